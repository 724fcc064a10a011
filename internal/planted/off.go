//go:build !planted

package planted

// On says whether the bug is switched on: never, in this build.
func (Bug) On() bool { return false }
