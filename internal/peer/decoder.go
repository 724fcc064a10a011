package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error that says a message's bytes are not what docs/format/peer.md draws.
var ErrMalformed = errors.New("peer: malformed message")

// decoder reads one message. Its first error sticks, and after it everything reads as zero.
type decoder struct {
	b      []byte // what remains
	shared bool   // b is somebody's buffer: byte fields have to be copied before they leave
	err    error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
		d.b = nil
	}
}

func (d *decoder) uint8() uint8 {
	if len(d.b) < 1 {
		d.fail("ends early")
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) uint16() uint16 {
	if len(d.b) < 2 {
		d.fail("ends early")
		return 0
	}
	v := binary.LittleEndian.Uint16(d.b)
	d.b = d.b[2:]
	return v
}

func (d *decoder) uint64() uint64 {
	if len(d.b) < 8 {
		d.fail("ends early")
		return 0
	}
	v := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

// uvarint reads a number in its shortest form; a longer form is malformed, so that a message has one encoding only.
func (d *decoder) uvarint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 {
		v := uint64(d.b[0])
		d.b = d.b[1:]
		return v
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("a number ends early or is too long")
		return 0
	}
	if d.b[n-1] == 0 {
		d.fail("a number is not in its shortest form")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bool() bool {
	v := d.uint8()
	if v > 1 {
		d.fail("%d is not a boolean", v)
	}
	return v == 1
}

// count reads a number of things that each take at least minBytes, at most limit of them.
func (d *decoder) count(what string, minBytes, limit int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/minBytes) || n > uint64(limit) {
		d.fail("%d %s in %d bytes", n, what, len(d.b))
		return 0
	}
	return int(n)
}

// bytes reads a length and that many bytes. The result is not nil, and aliases d.b or, when that is shared, a copy of
// what remained of the message, so that a message costs one copy and not one for each field.
func (d *decoder) bytes() []byte {
	n := d.count("bytes", 1, MaxMessageBytes)
	if n == 0 {
		return []byte{}
	}
	if d.shared {
		d.b, d.shared = bytes.Clone(d.b), false
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) string(limit int) string {
	n := d.count("bytes of text", 1, limit)
	v := string(d.b[:n])
	d.b = d.b[n:]
	return v
}

// finish reports the first error, or that something follows where the message should end.
func (d *decoder) finish() error {
	if d.err == nil && len(d.b) != 0 {
		d.fail("%d bytes after its end", len(d.b))
	}
	return d.err
}
