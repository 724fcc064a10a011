package raftlog

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/vfs"
)

// SnapshotReader reads a snapshot's payload. One goroutine at a time.
type SnapshotReader struct {
	f      vfs.File
	meta   *pb.SnapshotMetadata
	frames *snapFrames
	dec    *zstd.Decoder
	buf    []byte
	rest   []byte // of buf, not yet read
	err    error
}

// OpenSnapshot opens the snapshot at index; the error matches fs.ErrNotExist if there is none. Any goroutine. Removing the snapshot does not disturb
// the reader.
func (l *Log) OpenSnapshot(index uint64) (*SnapshotReader, error) {
	name := l.snaps.path(index)
	f, err := l.snaps.fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("raftlog: open snapshot: %w", err)
	}
	r := &SnapshotReader{f: f, frames: newSnapFrames(f, name)}
	if r.meta, err = r.frames.meta(); err == nil {
		r.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// Meta returns the snapshot's index, term and configuration.
func (r *SnapshotReader) Meta() *pb.SnapshotMetadata { return r.meta }

// Read implements io.Reader. Every byte it returns is verified; io.EOF means that the snapshot is whole, and a *CorruptError that it isn't.
func (r *SnapshotReader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err == nil {
			r.err = r.next()
		}
		if r.err != nil {
			return 0, r.err
		}
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *SnapshotReader) next() error {
	compressed, raw, err := r.frames.chunk()
	if err != nil {
		return err
	}
	if raw > cap(r.buf) {
		r.buf = make([]byte, 0, raw)
	}
	out, err := r.dec.DecodeAll(compressed, r.buf[:0:raw])
	if err != nil {
		return r.frames.corrupt(err.Error())
	}
	if len(out) != raw {
		return r.frames.corrupt(fmt.Sprintf("a chunk of %d bytes, not %d", len(out), raw))
	}
	r.rest = out
	return nil
}

// Close closes the file.
func (r *SnapshotReader) Close() error {
	r.dec.Close()
	return r.f.Close()
}

var _ io.ReadCloser = (*SnapshotReader)(nil)

// OpenSnapshotRaw opens the file of the snapshot at index as it is, to be sent to another member. Any goroutine.
func (l *Log) OpenSnapshotRaw(index uint64) (vfs.File, error) {
	f, err := l.snaps.fs.Open(l.snaps.path(index))
	if err != nil {
		return nil, fmt.Errorf("raftlog: open snapshot: %w", err)
	}
	return f, nil
}
