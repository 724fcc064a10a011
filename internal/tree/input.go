package tree

import (
	"encoding/binary"
	"fmt"
	"io"
)

// inputSize is the buffer of an input; a blob in a slot and everything else that is read at once fits.
const inputSize = 128 << 10

// input reads a stream through a buffer.
type input struct {
	r    io.Reader
	buf  []byte // read and not used: buf[pos:]
	pos  int
	done int64 // bytes used before buf
}

// next is the next n bytes, n <= inputSize. They last until the next call.
func (in *input) next(n int) ([]byte, error) {
	if len(in.buf)-in.pos < n {
		if err := in.fill(n); err != nil {
			return nil, err
		}
	}
	b := in.buf[in.pos : in.pos+n]
	in.pos += n
	return b, nil
}

func (in *input) fill(n int) error {
	in.done += int64(in.pos)
	left := copy(in.buf[:cap(in.buf)], in.buf[in.pos:])
	in.pos = 0
	got, err := io.ReadAtLeast(in.r, in.buf[left:cap(in.buf)], n-left)
	in.buf = in.buf[:left+got]
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return in.corrupt("cut short")
	}
	if err != nil {
		return fmt.Errorf("tree: read snapshot at byte %d: %w", in.done+int64(len(in.buf)), err)
	}
	return nil
}

// large appends n bytes to b, not believing n further than bytes come.
func (in *input) large(b []byte, n int) ([]byte, error) {
	for n > 0 {
		step := min(n, inputSize)
		piece, err := in.next(step)
		if err != nil {
			return b, err
		}
		b = append(b, piece...)
		n -= step
	}
	return b, nil
}

func (in *input) uint32() (uint32, error) {
	b, err := in.next(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (in *input) string() (string, error) {
	n, err := in.uint32()
	if err != nil || n > inputSize {
		return "", in.or(err, "string of %d bytes", n)
	}
	b, err := in.next(int(n))
	return string(b), err
}

func (in *input) corrupt(format string, args ...any) error {
	return &CorruptError{Offset: in.done + int64(in.pos), Reason: fmt.Sprintf(format, args...)}
}

// or is err, or a corruption if there is none.
func (in *input) or(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return in.corrupt(format, args...)
}
