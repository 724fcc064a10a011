package wire

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"

	"gopherwood/zk"
)

// Error says why a frame is not the record that it should be. The connection that sent it cannot be trusted any further.
type Error struct {
	Offset int    // byte of the frame, counted after the length
	Reason string // one clause without the offset
}

// Error is the offset and the reason.
func (e *Error) Error() string { return fmt.Sprintf("wire: byte %d: %s", e.Offset, e.Reason) }

// Decoder reads primitives and records from one frame, in order. The zero Decoder reads an empty frame; Reset gives it another
// one. What it reads after an error is zero or empty. Strings and buffers that it returns alias the frame (see the package comment).
//
// Invariant: 0 <= off <= len(buf); after an error off == len(buf), so nothing more is read.
type Decoder struct {
	buf []byte
	off int
	err *Error
}

// NewDecoder is a Decoder of frame. It is small enough to live on the caller's stack: d := NewDecoder(frame).
func NewDecoder(frame []byte) Decoder { return Decoder{buf: frame} }

// Reset makes d read frame from its start and forgets its error.
func (d *Decoder) Reset(frame []byte) { *d = Decoder{buf: frame} }

// Err is the first error, an *Error, or nil.
func (d *Decoder) Err() error {
	if d.err == nil {
		return nil
	}
	return d.err
}

// Remaining is how many bytes of the frame have not been read. It is 0 after an error.
func (d *Decoder) Remaining() int { return len(d.buf) - d.off }

// Offset is how many bytes of the frame have been read.
func (d *Decoder) Offset() int { return d.off }

// failf keeps the error if it is the first and moves to the frame's end.
func (d *Decoder) failf(format string, args ...any) {
	if d.err == nil {
		d.err = &Error{Offset: d.off, Reason: fmt.Sprintf(format, args...)}
	}
	d.off = len(d.buf)
}

// short is failf for a field of n bytes, kept apart so that the fixed-size readers can be inlined.
func (d *Decoder) short(n int) {
	d.failf("%d bytes wanted, %d left", n, d.Remaining())
}

// Bool reads a boolean.
func (d *Decoder) Bool() bool {
	if d.Remaining() < 1 {
		d.short(1)
		return false
	}
	v := d.buf[d.off]
	d.off++
	return v != 0
}

// Int32 reads an int.
func (d *Decoder) Int32() int32 {
	if d.Remaining() < 4 {
		d.short(4)
		return 0
	}
	v := binary.BigEndian.Uint32(d.buf[d.off:])
	d.off += 4
	return int32(v)
}

// Int64 reads a long.
func (d *Decoder) Int64() int64 {
	if d.Remaining() < 8 {
		d.short(8)
		return 0
	}
	v := binary.BigEndian.Uint64(d.buf[d.off:])
	d.off += 8
	return int64(v)
}

// Buffer reads a buffer: nil for null, not nil for an empty one. It aliases the frame; its capacity ends with it, so that
// appending to it cannot write into the next field.
func (d *Decoder) Buffer() []byte {
	n := int(d.Int32())
	if n == -1 || d.err != nil {
		return nil
	}
	if n < 0 || n > d.Remaining() {
		d.off -= 4
		d.failf("a length of %d with %d bytes left", n, d.Remaining()-4)
		return nil
	}
	v := d.buf[d.off : d.off+n : d.off+n]
	d.off += n
	return v
}

// String reads a string: "" for null. It aliases the frame. That it is UTF-8 is not checked.
func (d *Decoder) String() string {
	v := d.Buffer()
	return unsafe.String(unsafe.SliceData(v), len(v))
}

// Count reads the count of a vector whose elements take at least minElem bytes each: -1 for null. A count that the frame
// cannot hold is an error and comes back as 0.
func (d *Decoder) Count(minElem int) int {
	n := int(d.Int32())
	if n == -1 {
		return -1
	}
	if n < 0 || n > d.Remaining()/minElem {
		d.off -= 4
		d.failf("a count of %d elements with %d bytes left", n, d.Remaining()-4)
		return 0
	}
	return n
}

// Strings reads a vector of strings into the space of into: nil for null.
func (d *Decoder) Strings(into []string) []string {
	n := d.Count(minString)
	if n < 0 {
		return nil
	}
	into = emptied(into, n)
	for range n {
		into = append(into, d.String())
	}
	return into
}

// ACLs reads a vector of ACLs into the space of into: nil for null.
func (d *Decoder) ACLs(into []zk.ACL) []zk.ACL {
	n := d.Count(minACL)
	if n < 0 {
		return nil
	}
	into = emptied(into, n)
	for range n {
		into = append(into, zk.ACL{Perms: zk.Perms(d.Int32()), ID: zk.ID{Scheme: d.String(), ID: d.String()}})
	}
	return into
}

// Stat reads a Stat.
func (d *Decoder) Stat(s *zk.Stat) {
	if d.Remaining() < StatSize {
		d.short(StatSize)
		*s = zk.Stat{}
		return
	}
	b := d.buf[d.off : d.off+StatSize]
	d.off += StatSize
	s.Czxid = int64(binary.BigEndian.Uint64(b[0:]))
	s.Mzxid = int64(binary.BigEndian.Uint64(b[8:]))
	s.Ctime = int64(binary.BigEndian.Uint64(b[16:]))
	s.Mtime = int64(binary.BigEndian.Uint64(b[24:]))
	s.Version = int32(binary.BigEndian.Uint32(b[32:]))
	s.Cversion = int32(binary.BigEndian.Uint32(b[36:]))
	s.Aversion = int32(binary.BigEndian.Uint32(b[40:]))
	s.EphemeralOwner = int64(binary.BigEndian.Uint64(b[44:]))
	s.DataLength = int32(binary.BigEndian.Uint32(b[52:]))
	s.NumChildren = int32(binary.BigEndian.Uint32(b[56:]))
	s.Pzxid = int64(binary.BigEndian.Uint64(b[60:]))
}

// emptied is s without elements but not nil, with room for n.
func emptied[T any](s []T, n int) []T {
	if s == nil {
		return make([]T, 0, n)
	}
	return slices.Grow(s[:0], n)
}
