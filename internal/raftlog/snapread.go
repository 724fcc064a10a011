package raftlog

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/vfs"
)

// SnapshotReader reads a snapshot's payload. One goroutine at a time.
type SnapshotReader struct {
	// Constant.
	f    vfs.File // nil for ReadSnapshot
	meta *pb.SnapshotMetadata

	// Owned by the reader; with Prefetch by the goroutine that reads ahead.
	frames *snapFrames
	dec    *zstd.Decoder

	// Owned by the reader.
	buf   []byte // the chunk
	rest  []byte // of buf, not yet read
	err   error
	ahead *prefetch // nil without Prefetch

	off atomic.Int64 // how much of the file is read
}

// prefetch is a goroutine that reads and uncompresses up to prefetchChunks chunks before they are wanted.
type prefetch struct {
	chunks chan chunk    // in order; the one with an error is the last
	free   chan []byte   // buffers to be filled
	stop   chan struct{} // closed by Close
	done   chan struct{} // closed at the goroutine's end
}

type chunk struct {
	b   []byte
	err error
}

// OpenSnapshot opens the snapshot at index; the error matches fs.ErrNotExist if there is none. Any goroutine. Removing the snapshot does not disturb
// the reader.
func (l *Log) OpenSnapshot(index uint64) (*SnapshotReader, error) {
	name := l.snaps.path(index)
	f, err := l.snaps.fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("raftlog: open snapshot: %w", err)
	}
	r, err := ReadSnapshot(f, name)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.f = f
	return r, nil
}

// ReadSnapshot reads a snapshot file out of src, which is the caller's to close. name is for errors.
func ReadSnapshot(src io.Reader, name string) (*SnapshotReader, error) {
	r := &SnapshotReader{frames: newSnapFrames(src, name)}
	var err error
	if r.meta, err = r.frames.meta(); err != nil {
		return nil, err
	}
	if r.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true)); err != nil {
		return nil, fmt.Errorf("raftlog: read snapshot: %w", err)
	}
	return r, nil
}

// Meta returns the snapshot's index, term and configuration.
func (r *SnapshotReader) Meta() *pb.SnapshotMetadata { return r.meta }

// Size is the size of the file; not for ReadSnapshot.
func (r *SnapshotReader) Size() (int64, error) { return r.f.Size() }

// Offset is how much of the file is read. Any goroutine.
func (r *SnapshotReader) Offset() int64 { return r.off.Load() }

// Prefetch reads and uncompresses ahead on a goroutine that ends with Close. It is called before the first Read.
func (r *SnapshotReader) Prefetch() {
	p := &prefetch{
		chunks: make(chan chunk, prefetchChunks),
		free:   make(chan []byte, prefetchChunks),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	for range prefetchChunks {
		p.free <- nil
	}
	r.ahead = p
	go func() {
		defer close(p.done)
		for {
			select {
			case b := <-p.free:
				b, err := r.decode(b)
				p.chunks <- chunk{b, err} // never more than there are buffers
				if err != nil {
					return
				}
			case <-p.stop:
				return
			}
		}
	}()
}

// Read implements io.Reader. Every byte it returns is verified; io.EOF means that the snapshot is whole, and a *CorruptError that it isn't.
func (r *SnapshotReader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err == nil {
			r.buf, r.err = r.next()
			r.rest = r.buf
		}
		if r.err != nil {
			return 0, r.err
		}
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next returns the next chunk; the one before may be overwritten.
func (r *SnapshotReader) next() ([]byte, error) {
	if r.ahead == nil {
		return r.decode(r.buf)
	}
	if r.buf != nil {
		r.ahead.free <- r.buf
	}
	c := <-r.ahead.chunks
	return c.b, c.err
}

// decode reads a chunk into buf, or into a larger one.
func (r *SnapshotReader) decode(buf []byte) ([]byte, error) {
	compressed, raw, err := r.frames.chunk()
	if err != nil {
		return nil, err
	}
	r.off.Store(r.frames.off)
	if raw > cap(buf) {
		buf = make([]byte, 0, raw)
	}
	out, err := r.dec.DecodeAll(compressed, buf[:0:raw])
	if err != nil {
		return nil, r.frames.corrupt(err.Error())
	}
	if len(out) != raw {
		return nil, r.frames.corrupt(fmt.Sprintf("a chunk of %d bytes, not %d", len(out), raw))
	}
	return out, nil
}

// Close closes the file.
func (r *SnapshotReader) Close() error {
	if r.ahead != nil {
		close(r.ahead.stop)
		<-r.ahead.done
	}
	r.dec.Close()
	r.err = ErrClosed
	if r.f == nil {
		return nil
	}
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
