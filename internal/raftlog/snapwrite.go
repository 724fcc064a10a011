package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path"

	"github.com/klauspost/compress/zstd"
	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/planted"
	"gopherwood/internal/vfs"
)

// partFile is a snapshot file that has no name yet under which it would be found.
type partFile struct {
	snaps    *snapshots
	index    uint64
	name     string
	f        vfs.File
	unsynced int
	err      error // the first; nothing is written after it
}

func (s *snapshots) create(index uint64) (*partFile, error) {
	name := path.Join(s.dir, seqName(index, fmt.Sprintf(".%d%s", s.partial.Add(1), tmpSuffix)))
	f, err := s.fs.Create(name)
	if err != nil {
		return nil, fmt.Errorf("raftlog: create snapshot: %w", noSpace(err))
	}
	return &partFile{snaps: s, index: index, name: name, f: f}, nil
}

// write appends, and syncs now and then so that the last sync isn't a long one.
func (p *partFile) write(b []byte) error {
	if p.err != nil {
		return p.err
	}
	_, err := p.f.Write(b)
	if p.unsynced += len(b); err == nil && p.unsynced >= snapSyncBytes {
		p.unsynced = 0
		err = p.f.Sync()
	}
	return p.failed(err)
}

func (p *partFile) failed(err error) error {
	if err != nil {
		p.err = fmt.Errorf("raftlog: write snapshot: %w", noSpace(err))
	}
	return p.err
}

// commit makes the file durable and gives it its name.
func (p *partFile) commit() error {
	if err := p.err; err != nil {
		return errors.Join(err, p.abort())
	}
	var err error
	if !planted.SnapshotNotSynced.On() {
		err = p.f.Sync()
	}
	if err = errors.Join(err, p.f.Close()); err == nil {
		err = p.snaps.fs.Rename(p.name, p.snaps.path(p.index))
	}
	if err == nil {
		err = p.snaps.fs.SyncDir(p.snaps.dir)
	}
	p.f = nil
	if p.failed(err) != nil {
		_ = p.snaps.fs.Remove(p.name) // if it stays, the next Open removes it
		return p.err
	}
	p.snaps.add(p.index)
	p.err = ErrClosed
	return nil
}

// abort removes the file, unless it was committed.
func (p *partFile) abort() error {
	if p.f == nil {
		return nil
	}
	err := errors.Join(p.f.Close(), p.snaps.fs.Remove(p.name))
	p.f, p.err = nil, ErrClosed
	return err
}

// SnapshotWriter writes a snapshot file. The payload is compressed in chunks as it comes; the caller may pause between Writes. One goroutine at a
// time. It ends with Commit or Abort.
type SnapshotWriter struct {
	file   *partFile
	enc    *zstd.Encoder
	raw    []byte // the chunk that is being filled
	out    []byte // chunk header and compressed bytes
	crc    uint32
	chunks uint64
	total  uint64
}

// CreateSnapshot begins a snapshot file. It is found only after Commit. Any goroutine.
func (l *Log) CreateSnapshot(m *pb.SnapshotMetadata) (*SnapshotWriter, error) {
	p, err := l.snaps.create(m.GetIndex())
	if err != nil {
		return nil, err
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(snapChunkBytes), zstd.WithNoEntropyCompression(true))
	if err != nil {
		return nil, errors.Join(err, p.abort())
	}
	w := &SnapshotWriter{file: p, enc: enc, raw: make([]byte, 0, snapChunkBytes)}
	b := appendSnapshotMeta(make([]byte, snapHeaderSize), m)
	w.crc = crc32.Checksum(b[snapHeaderSize:], castagnoli)
	le := binary.LittleEndian
	le.PutUint32(b, snapMagic)
	le.PutUint32(b[4:], uint32(len(b)-snapHeaderSize))
	le.PutUint32(b[8:], w.crc)
	if err := p.write(b); err != nil {
		return nil, errors.Join(err, p.abort())
	}
	return w, nil
}

// Write implements io.Writer. An error, which may match ErrNoSpace, is final for this snapshot; the log is not harmed by it.
func (w *SnapshotWriter) Write(b []byte) (int, error) {
	n := 0
	for len(b) > 0 {
		k := min(len(b), cap(w.raw)-len(w.raw))
		w.raw = append(w.raw, b[:k]...)
		n, b = n+k, b[k:]
		if len(w.raw) == cap(w.raw) {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, w.file.err
}

// flush writes the chunk.
func (w *SnapshotWriter) flush() error {
	if len(w.raw) == 0 {
		return w.file.err
	}
	var h [chunkHeaderSize]byte
	w.out = w.enc.EncodeAll(w.raw, append(w.out[:0], h[:]...))
	w.chunks++
	w.total += uint64(len(w.raw))
	w.frame(uint32(len(w.out)-chunkHeaderSize), uint32(len(w.raw)))
	w.raw = w.raw[:0]
	return w.file.write(w.out)
}

// frame completes the header of the frame in out.
func (w *SnapshotWriter) frame(size, raw uint32) {
	le := binary.LittleEndian
	le.PutUint32(w.out, size)
	le.PutUint32(w.out[4:], raw)
	w.crc = crc32.Update(crc32.Update(w.crc, castagnoli, w.out[:8]), castagnoli, w.out[chunkHeaderSize:])
	le.PutUint32(w.out[8:], w.crc)
}

// Commit writes the end, makes the file durable and gives it its name. After an error there is no snapshot.
func (w *SnapshotWriter) Commit() error {
	if err := w.flush(); err == nil {
		le := binary.LittleEndian
		w.out = append(w.out[:0], make([]byte, chunkHeaderSize+snapEndSize)...)
		le.PutUint64(w.out[chunkHeaderSize:], w.total)
		le.PutUint64(w.out[chunkHeaderSize+8:], w.chunks)
		w.frame(0, 0)
		_ = w.file.write(w.out) // commit reports it
	}
	return w.file.commit()
}

// Abort removes what was written. After Commit it does nothing.
func (w *SnapshotWriter) Abort() error { return w.file.abort() }

// RawSnapshotWriter takes the bytes of a snapshot file from another member. One goroutine at a time. It ends with Commit or Abort.
type RawSnapshotWriter struct {
	file *partFile
	term uint64
	meta *pb.SnapshotMetadata
}

// ReceiveSnapshot begins to take a snapshot file that is said to be at index and term. It is found only after Commit. Any goroutine.
func (l *Log) ReceiveSnapshot(index, term uint64) (*RawSnapshotWriter, error) {
	p, err := l.snaps.create(index)
	if err != nil {
		return nil, err
	}
	return &RawSnapshotWriter{file: p, term: term}, nil
}

// Write implements io.Writer.
func (w *RawSnapshotWriter) Write(b []byte) (int, error) {
	if err := w.file.write(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Commit verifies the whole file, makes it durable and gives it its name. It returns a *CorruptError if the file is not a whole snapshot at
// the expected index and term; then, and after every other error, there is no snapshot.
func (w *RawSnapshotWriter) Commit() error {
	if w.file.err == nil {
		if err := w.verify(); err != nil {
			return errors.Join(err, w.file.abort())
		}
	}
	return w.file.commit()
}

func (w *RawSnapshotWriter) verify() error {
	f, err := w.file.snaps.fs.Open(w.file.name)
	if err != nil {
		return fmt.Errorf("raftlog: open received snapshot: %w", err)
	}
	defer f.Close()
	if w.meta, err = verifySnapshot(f, w.file.name); err != nil {
		return err
	}
	if w.meta.GetIndex() != w.file.index || w.meta.GetTerm() != w.term {
		return &CorruptError{File: w.file.name, Reason: fmt.Sprintf("it is the snapshot at %d of term %d, not at %d of term %d",
			w.meta.GetIndex(), w.meta.GetTerm(), w.file.index, w.term)}
	}
	return nil
}

// Meta returns the snapshot's index, term and configuration after Commit.
func (w *RawSnapshotWriter) Meta() *pb.SnapshotMetadata { return w.meta }

// Abort removes what was written. After Commit it does nothing.
func (w *RawSnapshotWriter) Abort() error { return w.file.abort() }
