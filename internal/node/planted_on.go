//go:build planted

package node

// The bugs that a test build plants to see that the simulator finds them. PlantBug switches one on, by name, before any node exists.
var plantedOriginDuplicate, plantedOriginGap, plantedSnapshotShort bool

// PlantBug switches a bug on in a test build. It reports false for a name that it does not know.
func PlantBug(name string) bool {
	switch name {
	case "origin-duplicate":
		plantedOriginDuplicate = true
	case "origin-gap":
		plantedOriginGap = true
	case "snapshot-short":
		plantedSnapshotShort = true
	default:
		return false
	}
	return true
}
