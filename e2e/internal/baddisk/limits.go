package baddisk

const (
	// sectorBytes is what survives a loss of power whole or not at all.
	sectorBytes = 512
	// maxWriteBytes is the longest write that is taken in one.
	maxWriteBytes = 256 << 10
)
