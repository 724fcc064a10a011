package wire

import "math"

const (
	// DefaultMaxFrame is the longest frame that a server takes by default, in bytes without the length (jute.maxbuffer).
	DefaultMaxFrame = 0xfffff

	// MaxFrame is the longest frame that the length field can state.
	MaxFrame = math.MaxInt32

	// FrameHeaderSize is the length of the frame's length, in bytes.
	FrameHeaderSize = 4
)

// The fewest bytes that an element of each vector takes. A count is believed only if the rest of the frame can hold that many
// elements of this size: that bounds what is allocated before the elements themselves are read.
const (
	minString     = 4
	minACL        = 4 + minString + minString
	minClientInfo = minString + minString
)

// AllocFactor bounds the memory that decoding any record takes, as a multiple of the bytes of its frame. The worst case is a
// MultiResponse of deletes (9 bytes each against a MultiResult, in a slice grown by appending). The tests hold it.
const AllocFactor = 64
