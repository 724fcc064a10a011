package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/testing/protocmp"

	"gopherwood/internal/vfs"
)

// everywhere runs a test in memory and on the real filesystem, with direct writes and without.
func everywhere(t *testing.T, test func(t *testing.T, fsys vfs.FS, dir string, o Options)) {
	for _, noDirect := range []bool{false, true} {
		o := Options{NoDirect: noDirect, FirstSegmentBytes: 4 * blockSize, SegmentBytes: 16 * blockSize, CacheBytes: 1000}
		t.Run(fmt.Sprintf("os/noDirect=%v", noDirect), func(t *testing.T) { test(t, vfs.OS(), path.Join(t.TempDir(), "a/b"), o) })
		t.Run(fmt.Sprintf("mem/noDirect=%v", noDirect), func(t *testing.T) {
			m := vfs.NewMem(1)
			m.SetDirect(true)
			test(t, m, "a/b", o)
		})
	}
}

func writeSnapshot(t *testing.T, l *Log, m *pb.SnapshotMetadata, payload []byte, pieces int) {
	t.Helper()
	w, err := l.CreateSnapshot(m)
	must(t, err)
	for part := range slices.Chunk(payload, max(1, len(payload)/pieces)) {
		n, err := w.Write(part)
		if n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	must(t, w.Commit())
	must(t, w.Abort()) // does nothing any more
}

// readSnapshot reads a snapshot in both ways, which must give the same.
func readSnapshot(l *Log, index uint64) (*pb.SnapshotMetadata, []byte, error) {
	r, err := l.OpenSnapshot(index)
	if err != nil {
		return nil, nil, err
	}
	b, err := io.ReadAll(r)
	if err := r.Close(); err != nil {
		return nil, nil, err
	}
	ahead, err2 := l.OpenSnapshot(index)
	if err2 != nil {
		return nil, nil, err2
	}
	ahead.Prefetch()
	b2, err2 := io.ReadAll(ahead)
	if cerr := ahead.Close(); cerr != nil || !bytes.Equal(b, b2) || fmt.Sprint(err) != fmt.Sprint(err2) {
		return nil, nil, fmt.Errorf("prefetched: %d bytes, %w, %v; not %d, %w", len(b2), err2, cerr, len(b), err)
	}
	return r.Meta(), b, err
}

// A reader that is closed before its end leaves no goroutine.
func TestPrefetchIsClosed(t *testing.T) {
	defer goleak.VerifyNone(t)
	l, err := Open(vfs.NewMem(1), dir, Options{})
	must(t, err)
	writeSnapshot(t, l, meta(3, 1), noise(8*snapChunkBytes, 1), 1)
	for n := range 3 {
		r, err := l.OpenSnapshot(3)
		must(t, err)
		r.Prefetch()
		_, err = io.CopyN(io.Discard, r, int64(n*snapChunkBytes+n))
		must(t, err)
		must(t, r.Close())
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, ErrClosed) && n > 0 {
			t.Errorf("read after Close: %v", err)
		}
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	everywhere(t, func(t *testing.T, fsys vfs.FS, dir string, o Options) {
		l, err := Open(fsys, dir, o)
		must(t, err)
		full := &pb.SnapshotMetadata{Index: new(uint64(1 << 40)), Term: new(uint64(1 << 63)), ConfState: &pb.ConfState{
			Voters: []uint64{1, 1 << 60}, Learners: []uint64{4}, VotersOutgoing: []uint64{1, 2}, LearnersNext: []uint64{9}, AutoLeave: new(true)}}
		for i, payload := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("state "), 100_000), noise(3*snapChunkBytes, 1), noise(snapChunkBytes+1, 2)} {
			m := full
			if i%2 == 1 {
				m = meta(uint64(i), 7)
			}
			writeSnapshot(t, l, m, payload, 1+i*3)
			got, b, err := readSnapshot(l, m.GetIndex())
			if diff := cmp.Diff(m, got, protocmp.Transform()); err != nil || diff != "" || !bytes.Equal(b, payload) {
				t.Errorf("payload %d: %d bytes back, %v, %s", i, len(b), err, diff)
			}
		}
		if _, _, err := readSnapshot(l, 99); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing snapshot: %v", err)
		}
		must(t, l.Close())
	})
}

func TestAbortedSnapshot(t *testing.T) {
	m := vfs.NewMem(1)
	l, err := Open(m, dir, Options{})
	must(t, err)
	w, err := l.CreateSnapshot(meta(5, 1))
	must(t, err)
	_, err = w.Write(noise(1<<20, 1))
	must(t, err)
	must(t, w.Abort())
	if _, err := w.Write([]byte("more")); err == nil {
		if err := w.Commit(); err == nil {
			t.Error("an aborted snapshot was committed")
		}
	}
	r, err := l.ReceiveSnapshot(5, 1)
	must(t, err)
	must(t, r.Abort())
	if names, _ := m.List(dir); strings.Contains(fmt.Sprint(names), tmpSuffix) {
		t.Errorf("left over: %v", names)
	}
}

// One member's snapshot file is another's.
func TestReceiveSnapshot(t *testing.T) {
	everywhere(t, func(t *testing.T, fsys vfs.FS, dir string, o Options) {
		from, err := Open(fsys, dir, o)
		must(t, err)
		to, err := Open(fsys, path.Join(dir, "other"), o)
		must(t, err)
		payload := noise(700_000, 3)
		writeSnapshot(t, from, meta(8, 3), payload, 5)
		f, err := from.OpenSnapshotRaw(8)
		must(t, err)
		raw, err := io.ReadAll(f)
		must(t, err)
		must(t, f.Close())

		receive := func(index, term uint64, b []byte) (*RawSnapshotWriter, error) {
			w, err := to.ReceiveSnapshot(index, term)
			must(t, err)
			for part := range slices.Chunk(b, 100_000) {
				_, err := w.Write(part)
				must(t, err)
			}
			return w, w.Commit()
		}
		flipped := bytes.Clone(raw)
		flipped[len(raw)/2] ^= 4
		for what, bad := range map[string]struct {
			index, term uint64
			b           []byte
		}{
			"cut": {8, 3, raw[:len(raw)-1]}, "longer": {8, 3, append(bytes.Clone(raw), 0)}, "flipped": {8, 3, flipped},
			"index": {9, 3, raw}, "term": {8, 2, raw}, "nothing": {8, 3, nil},
		} {
			var corrupt *CorruptError
			if _, err := receive(bad.index, bad.term, bad.b); !errors.As(err, &corrupt) {
				t.Errorf("%s: %v", what, err)
			}
			if _, err := to.OpenSnapshotRaw(bad.index); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: there is a file: %v", what, err)
			}
		}
		w, err := receive(8, 3, raw)
		must(t, err)
		m, b, err := readSnapshot(to, 8)
		if diff := cmp.Diff(m, w.Meta(), protocmp.Transform()); err != nil || diff != "" || !bytes.Equal(b, payload) {
			t.Errorf("received: %v, %s", err, diff)
		}
		must(t, from.Close())
		must(t, to.Close())
	})
}

// The bytes of a snapshot file are all verified: whichever one changes, reading it ends in an error and never in a payload that is wrong and whole.
func TestDamagedSnapshot(t *testing.T) {
	m := vfs.NewMem(1)
	l, err := Open(m, dir, Options{})
	must(t, err)
	payload := bytes.Repeat([]byte("some state, "), 30)
	writeSnapshot(t, l, meta(7, 2), payload, 1)
	name := l.snaps.path(7)
	size, err := m.Stat(name)
	must(t, err)
	for off := int64(0); off < size; off++ {
		must(t, m.FlipBit(name, off, uint(off)))
		got, b, err := readSnapshot(l, 7)
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || corrupt.File != name {
			t.Errorf("byte %d of %d: %v, %v, %d bytes", off, size, err, got, len(b))
		}
		if !bytes.HasPrefix(payload, b) {
			t.Errorf("byte %d of %d: the reader gave what is not verified", off, size)
		}
		must(t, m.FlipBit(name, off, uint(off)))
	}
	for _, cut := range []int64{0, 1, size / 2, size - 1} {
		must(t, truncate(m, name, cut))
		var corrupt *CorruptError
		if _, _, err := readSnapshot(l, 7); !errors.As(err, &corrupt) {
			t.Errorf("cut to %d: %v", cut, err)
		}
	}
}

// with snapshots at 3 and 6, a log up to 8 that still has everything after the first, and 3 kept.
func twoSnapshots(t *testing.T, compact uint64) *harness {
	h := newHarness(t, vfs.NewMem(1), Options{FirstSegmentBytes: 2 * blockSize, SegmentBytes: 2 * blockSize})
	h.bootstrap()
	for i := uint64(2); i <= 8; i++ {
		h.append(i, 1, 100)
	}
	h.hard.commit = 6
	h.write(&Record{HardState: h.hardState()})
	h.sync()
	h.tell(1)
	h.snapshot(3, 3)
	h.snapshot(6, compact)
	for range 4 { // enough for what is free to be recycled
		h.prepare()
		h.append(h.written().last()+1, 1, 100)
	}
	return h
}

func TestSnapshotFallback(t *testing.T) {
	h := twoSnapshots(t, 3)
	if got := h.log.PreviousSnapshot(); got != 3 {
		t.Errorf("the snapshot before is at %d", got)
	}
	name := h.log.snaps.path(6)
	must(t, h.mem.FlipBit(name, 30, 1))
	l, err := Open(h.mem, dir, h.o)
	must(t, err)
	first, _ := l.FirstIndex()
	snap, _ := l.Snapshot()
	if first > 4 || snap.GetMetadata().GetIndex() != 3 || l.Recovered().FellBack != name {
		t.Errorf("first index %d, snapshot %v, recovered %+v", first, snap, l.Recovered())
	}
	if got, err := l.Entries(4, 9, 1<<20); err != nil || len(got) != 5 {
		t.Errorf("entries after it: %d, %v", len(got), err)
	}
	if size, err := h.mem.Stat(name + badSuffix); size == 0 || err != nil {
		t.Errorf("the damaged one was not set aside: %d, %v", size, err)
	}
	must(t, h.mem.FlipBit(l.snaps.path(3), 30, 1))
	var corrupt *CorruptError
	if _, err := Open(h.mem, dir, h.o); !errors.As(err, &corrupt) {
		t.Errorf("with both damaged: %v", err)
	}
}

func TestNoSnapshotToFallBackTo(t *testing.T) {
	h := twoSnapshots(t, 6)
	must(t, h.mem.FlipBit(h.log.snaps.path(6), 30, 1))
	var corrupt *CorruptError
	if _, err := Open(h.mem, dir, h.o); !errors.As(err, &corrupt) {
		t.Errorf("with the newest damaged and the log compacted up to it: %v", err)
	}
}

// Older snapshots are removed, except the one before.
func TestOldSnapshotsGo(t *testing.T) {
	h := twoSnapshots(t, 3)
	h.hard.commit = 8
	h.write(&Record{HardState: h.hardState()})
	h.sync()
	h.tell(1)
	h.snapshot(8, 6)
	h.prepare()
	check := func(want ...uint64) {
		t.Helper()
		names, err := h.mem.List(dir)
		must(t, err)
		var got []uint64
		for _, name := range names {
			if index, ok := parseName(name, snapSuffix); ok {
				got = append(got, index)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("there are snapshots %d, want %d", got, want)
		}
	}
	check(6, 8)
	h.install(30, 0)
	h.sync()
	h.tell(1)
	h.prepare()
	check(8, 30)
}

// A snapshot that came but that the log was never told of is not the log's.
func TestSnapshotNotInstalled(t *testing.T) {
	for _, index := range []uint64{5, 100} { // in the log with another term, and beyond it
		h := twoSnapshots(t, 3)
		h.file(meta(index+2, 9))
		delete(h.files, index+2)
		h.open()
		snap, _ := h.log.Snapshot()
		if snap.GetMetadata().GetIndex() != 6 {
			t.Errorf("the snapshot is at %d", snap.GetMetadata().GetIndex())
		}
		if _, err := h.log.OpenSnapshot(index + 2); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the file is still there: %v", err)
		}
	}
}
