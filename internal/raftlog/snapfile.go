package raftlog

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	pb "go.etcd.io/raft/v3/raftpb"
)

const (
	snapMagic       = 0x314e5747 // "GWN1"
	snapHeaderSize  = 12
	chunkHeaderSize = 12
	snapEndSize     = 16 // after the last chunk header
)

// snapFrames reads a snapshot file frame by frame and verifies each. The checksum of each frame is begun with the one before, so
// that none can be missing, doubled or elsewhere.
type snapFrames struct {
	name   string
	r      *bufio.Reader
	off    int64 // of what is read next
	crc    uint32
	chunks uint64
	total  uint64 // uncompressed bytes
	buf    []byte
}

func newSnapFrames(r io.Reader, name string) *snapFrames {
	return &snapFrames{name: name, r: bufio.NewReaderSize(r, snapReadBytes)}
}

func (s *snapFrames) corrupt(reason string) error {
	return &CorruptError{File: s.name, Offset: s.off, Reason: reason}
}

// read fills b; the file must not end before.
func (s *snapFrames) read(b []byte) error {
	n, err := io.ReadFull(s.r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return s.corrupt("the file ends too early")
	}
	if err != nil {
		return fmt.Errorf("raftlog: read snapshot: %w", err)
	}
	s.off += int64(n)
	return nil
}

// meta reads the beginning.
func (s *snapFrames) meta() (*pb.SnapshotMetadata, error) {
	le := binary.LittleEndian
	var h [snapHeaderSize]byte
	if err := s.read(h[:]); err != nil {
		return nil, err
	}
	n := le.Uint32(h[4:])
	if le.Uint32(h[:]) != snapMagic || n > maxSnapMetaBytes {
		return nil, s.corrupt("no snapshot header")
	}
	b := make([]byte, n)
	if err := s.read(b); err != nil {
		return nil, err
	}
	s.crc = crc32.Checksum(b, castagnoli)
	if s.crc != le.Uint32(h[8:]) {
		return nil, s.corrupt("the header's checksum is wrong")
	}
	d := decoder{b: b}
	m := d.snapshotMeta()
	if d.bad || len(d.b) > 0 {
		return nil, s.corrupt("malformed header")
	}
	return m, nil
}

// chunk returns the next chunk's compressed bytes, good until the next call, and how many they are uncompressed; io.EOF at a whole end.
func (s *snapFrames) chunk() (compressed []byte, raw int, err error) {
	le := binary.LittleEndian
	var h [chunkHeaderSize]byte
	if err := s.read(h[:]); err != nil {
		return nil, 0, err
	}
	size, rawSize := le.Uint32(h[:]), le.Uint32(h[4:])
	if size == 0 && rawSize == 0 {
		return nil, 0, s.end(h[:])
	}
	if size == 0 || rawSize == 0 || size > maxSnapChunkBytes || rawSize > maxSnapChunkBytes {
		return nil, 0, s.corrupt(fmt.Sprintf("a chunk of %d bytes, %d uncompressed", size, rawSize))
	}
	if int(size) > cap(s.buf) {
		s.buf = make([]byte, size)
	}
	b := s.buf[:size]
	if err := s.read(b); err != nil {
		return nil, 0, err
	}
	s.crc = crc32.Update(crc32.Update(s.crc, castagnoli, h[:8]), castagnoli, b)
	if s.crc != le.Uint32(h[8:]) {
		return nil, 0, s.corrupt("the chunk's checksum is wrong")
	}
	s.chunks++
	s.total += uint64(rawSize)
	return b, int(rawSize), nil
}

func (s *snapFrames) end(h []byte) error {
	le := binary.LittleEndian
	var b [snapEndSize]byte
	if err := s.read(b[:]); err != nil {
		return err
	}
	s.crc = crc32.Update(crc32.Update(s.crc, castagnoli, h[:8]), castagnoli, b[:])
	switch {
	case s.crc != le.Uint32(h[8:]):
		return s.corrupt("the end's checksum is wrong")
	case le.Uint64(b[:]) != s.total || le.Uint64(b[8:]) != s.chunks:
		return s.corrupt(fmt.Sprintf("%d bytes in %d chunks, but the end says %d in %d", s.total, s.chunks, le.Uint64(b[:]), le.Uint64(b[8:])))
	}
	if _, err := s.r.ReadByte(); err == nil {
		return s.corrupt("bytes after the end")
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("raftlog: read snapshot: %w", err)
	}
	return io.EOF
}

// verifySnapshot reads a whole file without uncompressing it.
func verifySnapshot(r io.Reader, name string) (*pb.SnapshotMetadata, error) {
	s := newSnapFrames(r, name)
	m, err := s.meta()
	for err == nil {
		_, _, err = s.chunk()
	}
	if err != io.EOF {
		return nil, err
	}
	return m, nil
}
