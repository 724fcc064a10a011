package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"gopherwood/zk"
)

// ErrFrameTooLong is returned by EndFrame for more bytes than a length can state.
var ErrFrameTooLong = errors.New("wire: frame longer than 2 GiB")

// LengthError is returned by SplitFrame for a frame whose length is negative or above the receiver's limit.
type LengthError struct {
	Length int // as sent, in bytes
	Max    int
}

// Error is the length and the limit.
func (e *LengthError) Error() string {
	return fmt.Sprintf("wire: frame of %d bytes, at most %d allowed", e.Length, e.Max)
}

// SplitFrame finds the first frame in b, bytes as they came from a connection. limit is the longest frame to accept, without
// its length; only a frame longer than that is refused.
//
// If the frame is complete, frame is its contents (never nil, an alias of b) and size what it takes in b, its length included:
// the next one starts at b[size:]. If not, frame is nil, and size is what it will take, or 0 when not even its length is there.
// The error is a *LengthError.
func SplitFrame(b []byte, limit int) (frame []byte, size int, err error) {
	if len(b) < FrameHeaderSize {
		return nil, 0, nil
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	if n < 0 || n > limit {
		return nil, 0, &LengthError{Length: n, Max: limit}
	}
	size = FrameHeaderSize + n
	if len(b) < size {
		return nil, size, nil
	}
	return b[FrameHeaderSize:size:size], size, nil
}

// BeginFrame reserves the length of a frame at the end of b. Append the frame's contents, then give mark to EndFrame. Frames
// may follow each other in one buffer, and cutting b back to mark takes an unfinished one out again.
func BeginFrame(b []byte) (_ []byte, mark int) {
	return append(b, 0, 0, 0, 0), len(b)
}

// EndFrame writes the length of the frame that began at mark and ends where b ends. Its only error is ErrFrameTooLong.
func EndFrame(b []byte, mark int) error {
	return putLength(b[mark:], len(b)-mark-FrameHeaderSize)
}

func putLength(b []byte, n int) error {
	if n > MaxFrame {
		return ErrFrameTooLong
	}
	binary.BigEndian.PutUint32(b, uint32(n))
	return nil
}

// AppendHeaderFrame appends a whole frame that holds nothing but a reply header: the answer to a ping, to an operation
// without a result, and every error.
func AppendHeaderFrame(b []byte, h *ReplyHeader) []byte {
	b = AppendInt32(b, ReplyHeaderSize)
	return h.Append(b)
}

// AppendEventFrame appends a whole frame with a watch event. zxid is that of the transaction which caused it (ZooKeeper sent
// -1 before 3.9). The same bytes go to every connection that watches.
func AppendEventFrame(b []byte, zxid int64, e *WatcherEvent) []byte {
	b = AppendInt32(b, int32(ReplyHeaderSize+4+4+4+len(e.Path)))
	h := ReplyHeader{Xid: zk.XidNotification, Zxid: zxid}
	return e.Append(h.Append(b))
}
