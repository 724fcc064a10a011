//go:build !planted

package node

// The bugs that a test build plants to see that the simulator finds them; here they are constants, and gone.
const (
	plantedOriginDuplicate = false // a repeated command is applied again
	plantedOriginGap       = false // a command after a gap is applied
	plantedSnapshotShort   = false // a snapshot says that it holds one entry more than it does
)
