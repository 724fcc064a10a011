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

// Likewise the fewest bytes of a multi's members, headers included. A multi states no count, so these only bound how far its
// slice grows ahead.
const (
	minMultiHeader = 4 + 1 + 4
	minOp          = minMultiHeader + minString + 1
	minResult      = minMultiHeader
)

// AllocFactor bounds the memory that decoding any record takes, as a multiple of the bytes of its frame, garbage included. The
// worst case is a MultiResponse of deletes: 9 bytes each make a MultiResult of 144 in a slice that has grown. The tests hold it.
const AllocFactor = 64
