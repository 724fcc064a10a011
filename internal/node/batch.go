package node

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// An entry's data is one batch:
//
//	byte    1              the format
//	int64   time stamp     milliseconds since the Unix epoch, little endian
//	segments until the end:
//	  uint64  origin       little endian
//	  uvarint first        number of the first command
//	  uvarint count        of commands, ≥ 1
//	  uvarint size         bytes of commands
//	  count × (uvarint length, bytes)
//
// docs/format/batch.md draws it. An entry without data is raft's own of a new term.
const batchFormat = 1

var errBatch = errors.New("node: malformed batch")

// segment is a run of commands of one origin: numbers first … first+count-1.
type segment struct {
	origin uint64
	first  uint64
	count  uint64
	data   []byte // count × (uvarint length, bytes)
}

func (s *segment) last() uint64 { return s.first + s.count - 1 }

// skipTo drops the commands below number first. It must lie within the segment.
func (s *segment) skipTo(first uint64) error {
	for s.first < first {
		n, k := binary.Uvarint(s.data)
		if k <= 0 || n > uint64(len(s.data)-k) {
			return errBatch
		}
		s.data = s.data[k+int(n):]
		s.first++
		s.count--
	}
	return nil
}

func appendBatchHeader(b []byte, timeMs int64) []byte {
	b = append(b, batchFormat)
	return binary.LittleEndian.AppendUint64(b, uint64(timeMs))
}

func appendSegment(b []byte, s *segment) []byte {
	b = binary.LittleEndian.AppendUint64(b, s.origin)
	b = binary.AppendUvarint(b, s.first)
	b = binary.AppendUvarint(b, s.count)
	b = binary.AppendUvarint(b, uint64(len(s.data)))
	return append(b, s.data...)
}

// batchReader walks a batch; segments alias its bytes.
type batchReader struct {
	timeMs int64
	rest   []byte
}

func readBatch(b []byte) (batchReader, error) {
	if len(b) < 9 {
		return batchReader{}, errBatch
	}
	if b[0] != batchFormat {
		return batchReader{}, fmt.Errorf("node: batch format %d is unknown to this version; upgrade it before it joins", b[0])
	}
	return batchReader{timeMs: int64(binary.LittleEndian.Uint64(b[1:])), rest: b[9:]}, nil
}

// next fills s with the next segment; false at the end.
func (r *batchReader) next(s *segment) (bool, error) {
	if len(r.rest) == 0 {
		return false, nil
	}
	if len(r.rest) < 8 {
		return false, errBatch
	}
	s.origin = binary.LittleEndian.Uint64(r.rest)
	b := r.rest[8:]
	var size uint64
	for _, p := range []*uint64{&s.first, &s.count, &size} {
		v, k := binary.Uvarint(b)
		if k <= 0 {
			return false, errBatch
		}
		*p, b = v, b[k:]
	}
	if size > uint64(len(b)) || s.count == 0 || s.count > size || s.first == 0 || s.first+s.count < s.first {
		return false, errBatch
	}
	s.data, r.rest = b[:size], b[size:]
	return true, nil
}
