package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// frameHeaderBytes is a frame's length (4, of the body, little-endian) and the CRC32C of its body (4).
const frameHeaderBytes = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errChecksum says that a frame or chunk arrived damaged.
var errChecksum = errors.New("peer: checksum differs")

// appendFrame adds m as one frame to b.
func appendFrame(b []byte, m *Message) []byte {
	start := len(b)
	b = append(b, make([]byte, frameHeaderBytes)...)
	b = AppendMessage(b, m)
	sealFrame(b[start:])
	return b
}

// sealFrame fills in the header of a frame whose body is complete.
func sealFrame(frame []byte) {
	body := frame[frameHeaderBytes:]
	binary.LittleEndian.PutUint32(frame, uint32(len(body)))
	binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(body, castagnoli))
}

// parseHeader takes a frame's header apart and checks the length.
func parseHeader(header []byte, maxBytes int) (length int, sum uint32, err error) {
	n := binary.LittleEndian.Uint32(header)
	if n == 0 || n > uint32(maxBytes) {
		return 0, 0, fmt.Errorf("peer: frame of %d bytes; at most %d fit", n, maxBytes)
	}
	return int(n), binary.LittleEndian.Uint32(header[4:]), nil
}

// readFrame reads one frame into buf, which is grown if it has to be, and returns the body.
func readFrame(r io.Reader, buf []byte, maxBytes int) ([]byte, error) {
	var header [frameHeaderBytes]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length, sum, err := parseHeader(header[:], maxBytes)
	if err != nil {
		return nil, err
	}
	if cap(buf) < length {
		buf = make([]byte, length)
	}
	return readBody(r, buf[:length], 0, sum)
}

// readBody completes a body of which the first have bytes are there.
func readBody(r io.Reader, body []byte, have int, sum uint32) ([]byte, error) {
	if _, err := io.ReadFull(r, body[have:]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, errChecksum
	}
	return body, nil
}

// frameReader takes messages from a stream: as many as arrive together come from one Read. Owned by one reader goroutine.
//
//	buf  | read before |  unread: start … end  | free |
type frameReader struct {
	r          io.Reader
	buf        []byte // of fixed size, reused: no message aliases it
	start, end int
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: r, buf: make([]byte, readBufferBytes)}
}

// next returns the next message. io.EOF means that the stream ended between two frames.
func (f *frameReader) next() (*Message, error) {
	if err := f.need(frameHeaderBytes); err != nil {
		return nil, err
	}
	header := f.buf[f.start : f.start+frameHeaderBytes]
	length, sum, err := parseHeader(header, MaxMessageBytes)
	if err != nil {
		return nil, err
	}
	total := frameHeaderBytes + length
	if total >= ownFrameBytes && f.end-f.start < total {
		body := make([]byte, length)
		have := copy(body, f.buf[f.start+frameHeaderBytes:f.end])
		f.start, f.end = 0, 0
		if body, err = readBody(f.r, body, have, sum); err != nil {
			return nil, err
		}
		return DecodeMessage(body)
	}
	if err := f.need(total); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	body := f.buf[f.start+frameHeaderBytes : f.start+total]
	f.start += total
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, errChecksum
	}
	return decodeShared(body)
}

// need reads until n bytes are unread, n being at most len(f.buf).
func (f *frameReader) need(n int) error {
	if f.end-f.start >= n {
		return nil
	}
	if unread := f.end - f.start; unread <= cheapMoveBytes || f.start+n > len(f.buf) {
		copy(f.buf, f.buf[f.start:f.end])
		f.start, f.end = 0, unread
	}
	for f.end-f.start < n {
		read, err := f.r.Read(f.buf[f.end:])
		f.end += read
		if err != nil && f.end-f.start < n {
			if err == io.EOF && f.end > f.start {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}
