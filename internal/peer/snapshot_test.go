package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

func randomFile(size int) []byte {
	b := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(b)
	return b
}

// stored is a snapshot as a handler got it.
type stored struct {
	header SnapshotHeader
	file   []byte
	err    error // of the reader
}

// store makes a member keep what arrives and answer with the reader's error.
func store(snapshots chan<- stored) func(*Config, *recorder) {
	return func(_ *Config, r *recorder) {
		r.snapshot = func(h SnapshotHeader, src io.Reader) error {
			file, err := io.ReadAll(src)
			snapshots <- stored{h, file, err}
			return err
		}
	}
}

func TestSnapshot(t *testing.T) {
	snapshots := make(chan stored, 10)
	a, b := start(t, 1, nil), start(t, 2, store(snapshots))
	link(t, a, b)
	for _, size := range []int{0, 1, snapshotChunkBytes, 3*snapshotChunkBytes + 1} {
		file := randomFile(size)
		h := SnapshotHeader{From: id1, To: id2, Index: 77, Term: 3, Raft: &pb.Message{Type: pb.MsgSnap.Enum(), From: new(uint64(id1)),
			Snapshot: &pb.Snapshot{Metadata: &pb.SnapshotMetadata{Index: new(uint64(77))}}}}
		if size == 1 {
			h.Raft = nil
		}
		src := iotest.OneByteReader(bytes.NewReader(file))
		if size > 1000 {
			src = iotest.HalfReader(bytes.NewReader(file))
		}
		if err := a.SendSnapshot(testContext(t), 2, h, src, int64(size), 0); err != nil {
			t.Fatal(err)
		}
		got := receive(t, snapshots, "snapshot")
		if got.err != nil || !bytes.Equal(got.file, file) {
			t.Errorf("%d bytes of %d, %v", len(got.file), size, got.err)
		}
		if g := got.header; g.From != id1 || g.To != id2 || g.Index != 77 || g.Term != 3 || g.Size != int64(size) ||
			g.Raft.GetSnapshot().GetMetadata().GetIndex() != h.Raft.GetSnapshot().GetMetadata().GetIndex() || (g.Raft == nil) != (h.Raft == nil) {
			t.Errorf("header %+v", g)
		}
	}
	if !a.Connected(2) {
		t.Error("a snapshot ended the messages connection")
	}
}

// A stream is cut or changed on its way at every interesting place: the receiver sees an error and never the file's end.
func TestSnapshotDamagedOnItsWay(t *testing.T) {
	const chunk = frameHeaderBytes + snapshotChunkBytes
	h := SnapshotHeader{From: id2, To: id1, Index: 5, Term: 1, Size: 2*snapshotChunkBytes + 10}
	header := appendSnapshotHeader(make([]byte, frameHeaderBytes), &h)
	sealFrame(header)
	stream, file := bytes.Clone(header), randomFile(int(h.Size))
	for part := file; len(part) > 0; part = part[min(len(part), snapshotChunkBytes):] {
		frame := append(make([]byte, frameHeaderBytes), part[:min(len(part), snapshotChunkBytes)]...)
		sealFrame(frame)
		stream = append(stream, frame...)
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	flip := func(n int) func([]byte) []byte {
		return func(b []byte) []byte { b[n] ^= 0x40; return b }
	}
	for _, c := range []struct {
		name   string
		damage func([]byte) []byte
		want   error // nil: it arrives
		arrive int   // bytes that the handler may see
	}{
		{"not at all", cut(len(stream)), nil, len(file)},
		{"cut before the first chunk", cut(len(header)), io.ErrUnexpectedEOF, 0},
		{"cut in a chunk's header", cut(len(header) + 4), io.ErrUnexpectedEOF, 0},
		{"cut in the first chunk", cut(len(header) + 1000), io.ErrUnexpectedEOF, 0},
		{"cut between chunks", cut(len(header) + chunk), io.ErrUnexpectedEOF, snapshotChunkBytes},
		{"cut one byte before the end", cut(len(stream) - 1), io.ErrUnexpectedEOF, 2 * snapshotChunkBytes},
		{"flip in the first chunk", flip(len(header) + 5000), errChecksum, 0},
		{"flip in the last chunk", flip(len(stream) - 1), errChecksum, 2 * snapshotChunkBytes},
		{"flip in a checksum", flip(len(header) + chunk + 4), errChecksum, snapshotChunkBytes},
	} {
		t.Run(c.name, func(t *testing.T) {
			snapshots := make(chan stored, 1)
			a := start(t, 1, store(snapshots))
			conn := dialGreeted(t, a, purposeSnapshot)
			if _, err := conn.Write(c.damage(bytes.Clone(stream))); err != nil {
				t.Fatal(err)
			}
			conn.(*net.TCPConn).CloseWrite()
			got := receive(t, snapshots, "snapshot")
			if c.want == nil && got.err != nil || c.want != nil && !errors.Is(got.err, c.want) {
				t.Errorf("read error %v, want %v", got.err, c.want)
			}
			if !bytes.Equal(got.file, file[:c.arrive]) {
				t.Errorf("%d bytes arrived, want %d", len(got.file), c.arrive)
			}
			if err := readVerdict(conn); (err == nil) != (c.want == nil) {
				t.Errorf("verdict %v", err)
			}
		})
	}
}

func TestSnapshotHeaderRefused(t *testing.T) {
	a := start(t, 1, nil)
	good := appendSnapshotHeader(make([]byte, frameHeaderBytes), &SnapshotHeader{})
	tooBig := appendSnapshotHeader(make([]byte, frameHeaderBytes), &SnapshotHeader{Size: -1})
	longer := append(bytes.Clone(good), 0)
	for _, b := range [][]byte{tooBig, longer, good[:len(good)-1]} {
		sealFrame(b)
		conn := dialGreeted(t, a, purposeSnapshot)
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
		if answer := wantClosed(t, conn); len(answer) != 0 {
			t.Errorf("answered %x", answer)
		}
	}
}

func TestSnapshotChunkLongerThanTheRest(t *testing.T) {
	snapshots := make(chan stored, 1)
	a := start(t, 1, store(snapshots))
	conn := dialGreeted(t, a, purposeSnapshot)
	frame := appendSnapshotHeader(make([]byte, frameHeaderBytes), &SnapshotHeader{Size: 10})
	sealFrame(frame)
	chunk := make([]byte, frameHeaderBytes+11)
	sealFrame(chunk)
	if _, err := conn.Write(append(frame, chunk...)); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, snapshots, "snapshot"); got.err == nil || len(got.file) != 0 {
		t.Errorf("%d bytes, %v", len(got.file), got.err)
	}
}

// endless is a source that never ends; it counts what was taken.
type endless struct{ taken int64 }

func (e *endless) Read(b []byte) (int, error) {
	e.taken += int64(len(b))
	return len(b), nil
}

// The receiver's word reaches the sender, also in the middle of a file that would take for ever.
func TestSnapshotVerdictBeforeTheEnd(t *testing.T) {
	const huge = 1 << 50
	for _, c := range []struct {
		name string
		err  error
	}{{"not needed", nil}, {"no room", errors.New("no space left on device")}} {
		t.Run(c.name, func(t *testing.T) {
			a := start(t, 1, nil)
			b := start(t, 2, func(_ *Config, r *recorder) {
				r.snapshot = func(_ SnapshotHeader, src io.Reader) error {
					if _, err := io.CopyN(io.Discard, src, 1000); err != nil {
						return err
					}
					return c.err
				}
			})
			link(t, a, b)
			err := a.SendSnapshot(testContext(t), 2, SnapshotHeader{Index: 5}, &endless{}, huge, 0)
			var told *SnapshotError
			if c.err == nil && err != nil || c.err != nil && (!errors.As(err, &told) || told.Reason != c.err.Error()) {
				t.Errorf("%v, want %v", err, c.err)
			}
		})
	}
}

func TestSnapshotEnds(t *testing.T) {
	arrived := make(chan error, 1)
	setup := func(t *testing.T) (a, b *member, started chan struct{}) {
		started = make(chan struct{})
		a = start(t, 1, nil)
		b = start(t, 2, func(_ *Config, r *recorder) {
			r.snapshot = func(_ SnapshotHeader, src io.Reader) error {
				close(started)
				_, err := io.Copy(io.Discard, src)
				arrived <- err
				return err
			}
		})
		link(t, a, b)
		return a, b, started
	}
	send := func(a *member, ctx context.Context) chan error {
		result := make(chan error, 1)
		go func() { result <- a.SendSnapshot(ctx, 2, SnapshotHeader{}, &endless{}, 1<<50, 1<<20) }()
		return result
	}
	t.Run("by the context", func(t *testing.T) {
		a, _, started := setup(t)
		ctx, cancel := context.WithCancel(testContext(t))
		result := send(a, ctx)
		receive(t, started, "start")
		cancel()
		if err := receive(t, result, "result"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := receive(t, arrived, "receiver's error"); err == nil {
			t.Error("the receiver took a part for the whole")
		}
	})
	t.Run("by the sender's Close", func(t *testing.T) {
		a, _, started := setup(t)
		result := send(a, testContext(t))
		receive(t, started, "start")
		a.Close()
		if err := receive(t, result, "result"); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		receive(t, arrived, "receiver's error")
	})
	t.Run("by the receiver's Close", func(t *testing.T) {
		a, b, started := setup(t)
		result := send(a, testContext(t))
		receive(t, started, "start")
		b.Close()
		if err := receive(t, result, "result"); err == nil {
			t.Error("stored by a closed receiver")
		}
		receive(t, arrived, "receiver's error")
	})
	t.Run("by the source", func(t *testing.T) {
		a, _, _ := setup(t)
		src := io.MultiReader(strings.NewReader("short"), iotest.ErrReader(errors.New("bad sector")))
		err := a.SendSnapshot(testContext(t), 2, SnapshotHeader{}, src, 1000, 0)
		if err == nil || !strings.Contains(err.Error(), "bad sector") {
			t.Error(err)
		}
		if err := receive(t, arrived, "receiver's error"); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
}

func TestSnapshotsAreBounded(t *testing.T) {
	gate, entered := make(chan struct{}), make(chan struct{}, 2)
	slow := func(c *Config, r *recorder) {
		c.MaxSnapshots = 1
		r.snapshot = func(SnapshotHeader, io.Reader) error {
			entered <- struct{}{}
			<-gate
			return nil
		}
	}
	a, b, c := start(t, 1, slow), start(t, 2, slow), start(t, 3, slow)
	link(t, a, b, c)
	result := make(chan error, 1)
	go func() { result <- a.SendSnapshot(testContext(t), 2, SnapshotHeader{}, nil, 0, 0) }()
	receive(t, entered, "snapshot")
	if err := a.SendSnapshot(testContext(t), 3, SnapshotHeader{}, nil, 0, 0); !errors.Is(err, ErrSnapshotsBusy) {
		t.Errorf("second one sent: %v", err)
	}
	var refused *RefusedError
	if err := c.SendSnapshot(testContext(t), 2, SnapshotHeader{}, nil, 0, 0); !errors.As(err, &refused) || refused.Refusal != RefusedBusy {
		t.Errorf("second one received: %v", err)
	}
	close(gate)
	if err := receive(t, result, "result"); err != nil {
		t.Error(err)
	}
	if err := a.SendSnapshot(testContext(t), 9, SnapshotHeader{}, nil, 0, 0); err == nil {
		t.Error("sent to nobody")
	}
}

// A stream that goes silent is given up by its receiver.
func TestSnapshotGoesSilent(t *testing.T) {
	snapshots := make(chan stored, 1)
	a := start(t, 1, func(c *Config, r *recorder) {
		store(snapshots)(c, r)
		c.SnapshotIdle = 20 * time.Millisecond
	})
	conn := dialGreeted(t, a, purposeSnapshot)
	frame := appendSnapshotHeader(make([]byte, frameHeaderBytes), &SnapshotHeader{Size: 10})
	sealFrame(frame)
	if _, err := conn.Write(frame); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if got := receive(t, snapshots, "snapshot"); !errors.As(got.err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v", got.err)
	}
}

func FuzzSnapshotHeader(f *testing.F) {
	h := SnapshotHeader{From: id1, To: id2, Index: 5, Term: 1, Size: 9}
	f.Add(appendSnapshotHeader(nil, &h))
	h.Raft = benchMessages()["App12k"].Raft
	f.Add(appendSnapshotHeader(nil, &h))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeSnapshotHeader(b)
		if err == nil && !bytes.Equal(appendSnapshotHeader(nil, &h), b) {
			t.Fatalf("%x reads as %+v", b, h)
		}
	})
}

func TestVerdicts(t *testing.T) {
	if err := readVerdict(bytes.NewReader(appendVerdict(nil))); err != nil {
		t.Error(err)
	}
	long := fmt.Errorf("%s", strings.Repeat("e", 5000))
	var told *SnapshotError
	if err := readVerdict(bytes.NewReader(appendVerdict(long))); !errors.As(err, &told) || len(told.Reason) != maxReasonBytes {
		t.Error(err)
	}
}

// FuzzVerdict: a verdict is read as its sender meant it, or not at all.
func FuzzVerdict(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0})
	f.Add([]byte{0, 4, 0, 0, 0, 'f', 'u', 'l', 'l'})
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, body []byte) {
		frame := append(make([]byte, frameHeaderBytes), body...)
		sealFrame(frame)
		err := readVerdict(bytes.NewReader(frame))
		var refused *SnapshotError
		if errors.As(err, &refused) && len(refused.Reason) > maxReasonBytes {
			t.Fatalf("a reason of %d bytes", len(refused.Reason))
		}
		_ = readVerdict(bytes.NewReader(body)) // without a frame around it
	})
}
