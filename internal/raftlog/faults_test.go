package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/vfs"
)

// TestEveryError lets every operation of every script fail, one by one. After an error of its own the writer refuses everything, and whatever
// happened, what was said to be durable is there after a restart of the process or of the machine.
func TestEveryError(t *testing.T) {
	for _, s := range scripts {
		for _, direct := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/direct=%v", s.name, direct), func(t *testing.T) {
				t.Parallel()
				for n := 1; ; n++ {
					if !failNth(t, s.run, n, direct) {
						t.Logf("%d operations", n-1)
						return
					}
				}
			})
		}
	}
}

// failNth runs a script whose n-th operation fails, and says whether there was an n-th.
func failNth(t *testing.T, script func(h *harness), n int, direct bool) bool {
	t.Helper()
	mem := vfs.NewMem(uint64(n))
	mem.SetDirect(direct)
	fsys := vfs.WithErrors(mem, &vfs.Rule{Ops: vfs.OpAny &^ vfs.OpClose, Nth: n, Err: errInjected, Written: n % 2 * blockSize})
	h := &harness{t: t, o: smallSegments, mem: mem, fs: fsys, states: []model{{}}, files: map[uint64]*pb.SnapshotMetadata{}, maybe: map[uint64]*pb.SnapshotMetadata{}}
	h.open()
	h.bootstrap()
	script(h)
	if h.log != nil && h.log.writer.err != nil && !errors.Is(h.log.writer.err, ErrClosed) {
		if !h.off {
			t.Fatalf("operation %d: the writer failed and nobody was told: %v", n, h.log.writer.err)
		}
		refuses(t, h.log.writer)
	}
	killed := *h
	crashed := h.crashed(nil)
	killed.off, killed.fs = false, mem
	killed.open()
	killed.append(killed.written().last()+1, 1, 10)
	crashed.open()
	crashed.append(crashed.written().last()+1, 1, 10)
	return fsys.Count(vfs.OpAny&^vfs.OpClose) >= n
}

// refuses checks that a writer that failed does nothing any more.
func refuses(t *testing.T, w *Writer) {
	t.Helper()
	seq, off := w.seq, w.off
	term := uint64(9)
	for _, r := range []*Record{{}, {HardState: &pb.HardState{Term: &term}}, {Entries: []*pb.Entry{{Index: new(w.terms.last + 1), Term: &term}}}} {
		if err := w.Write([]*Record{r}); err == nil || errors.Is(err, ErrNoSpace) {
			t.Fatalf("a failed writer wrote %v: %v", r, err)
		}
	}
	if err := w.Sync(); err == nil || w.seq != seq || w.off != off {
		t.Fatalf("a failed writer went on: %v", err)
	}
}

// A sync that failed must not be followed by one that succeeds.
func TestSyncFailsForGood(t *testing.T) {
	mem := vfs.NewMem(1)
	fsys := vfs.WithErrors(mem)
	l, err := Open(fsys, dir, Options{})
	must(t, err)
	w := l.Writer()
	must(t, w.Write([]*Record{{Entries: []*pb.Entry{{Index: new(uint64(1)), Term: new(uint64(1))}}}}))
	fsys.Add(&vfs.Rule{Ops: vfs.OpSync, Err: syscall.EIO})
	if err := w.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	refuses(t, w)
	if err := l.Watermark(); err != nil || l.mark.seq != 0 {
		t.Errorf("the watermark is %d, %v", l.mark.seq, err)
	}
	if err := l.Close(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Close: %v", err)
	}
}

// When the disk is full the writer uses up what it has, then says so before it writes anything, and the same records go through once there is
// space.
func TestNoSpace(t *testing.T) {
	mem := vfs.NewMem(1)
	mem.SetDirect(true)
	h := newHarness(t, mem, Options{FirstSegmentBytes: 4 * blockSize, SegmentBytes: 4 * blockSize, CacheBytes: 1})
	h.bootstrap()
	h.prepare()
	free, err := mem.Free(dir)
	must(t, err)
	mem.SetCapacity(int64(1<<63 - 1 - free)) // not one byte more
	next := uint64(2)
	for ; ; next++ {
		r := &Record{Entries: h.entries(next, 1, 100), HardState: h.hardState()}
		before := image(t, mem)
		err := h.log.writer.Write([]*Record{r})
		if err == nil {
			h.states[len(h.states)-1] = h.written().with(r)
			h.pending = append(h.pending, r)
			h.durable()
			h.tell(1)
			continue
		}
		if !errors.Is(err, ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("entry %d: %v", next, err)
		}
		if perr := h.log.Prepare(); !errors.Is(perr, ErrNoSpace) || !h.log.NeedsPrepare() {
			t.Errorf("Prepare: %v", perr)
		}
		must(t, h.log.writer.Sync())
		h.verify()
		h.crashed(nil).open()
		if names, _ := mem.List(dir); len(names) != len(before) {
			t.Errorf("files are left over: %v", names)
		}
		mem.SetCapacity(1 << 40)
		must(t, h.log.writer.Write([]*Record{r}))
		h.states[len(h.states)-1] = h.written().with(r)
		h.pending = append(h.pending, r)
		h.durable()
		h.tell(1)
		break
	}
	if next != 7 { // three batches in each of two segments, the bootstrap is one
		t.Errorf("the disk was full at entry %d", next)
	}
	h.verify()
	h.open()
}

// A snapshot for which there is no space is nobody else's matter.
func TestNoSpaceForSnapshot(t *testing.T) {
	mem := vfs.NewMem(1)
	h := newHarness(t, mem, Options{})
	h.bootstrap()
	free, err := mem.Free(dir)
	must(t, err)
	mem.SetCapacity(int64(1<<63-1-free) + 1000)
	w, err := h.log.CreateSnapshot(meta(1, 1))
	must(t, err)
	for i := 0; err == nil && i < 10; i++ {
		_, err = w.Write(noise(snapChunkBytes, i))
	}
	if !errors.Is(err, ErrNoSpace) {
		t.Errorf("Write: %v", err)
	}
	if err := w.Commit(); !errors.Is(err, ErrNoSpace) {
		t.Errorf("Commit: %v", err)
	}
	names, err := mem.List(dir)
	must(t, err)
	if got := strings.Join(names, " "); strings.Contains(got, tmpSuffix) || strings.Contains(got, snapSuffix) {
		t.Errorf("left over: %s", got)
	}
	h.append(2, 1, 100)
	h.verify()
}

// noise does not compress.
func noise(n, seed int) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// What an interrupted write left behind is gone after the next start.
func TestPartialFilesAreRemoved(t *testing.T) {
	mem := vfs.NewMem(1)
	h := newHarness(t, mem, smallSegments)
	h.bootstrap()
	for _, name := range []string{"0000000000000009.1.tmp", "0000000000000002.tmp", "0000000000000007.log"} {
		f, err := mem.Create(path.Join(dir, name))
		must(t, err)
		must(t, f.Truncate(3*blockSize))
	}
	h.open()
	names, err := mem.List(dir)
	must(t, err)
	if got := strings.Join(names, " "); strings.Contains(got, tmpSuffix) || strings.Contains(got, "7.log") {
		t.Errorf("still there: %v", names)
	}
	if _, err := h.log.OpenSnapshot(9); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a partial snapshot can be opened: %v", err)
	}
}

// A process whose sync failed dies. The next one can read what was not made durable, and no later sync makes it so: the kernel has dropped it with the
// error. What the next process takes for durable has to survive a loss of power all the same.
func TestSyncFailsAndTheNextProcessReadsOn(t *testing.T) {
	mem := vfs.NewMem(1)
	h := newHarness(t, mem, Options{})
	h.bootstrap()
	h.append(2, 3, 100)
	h.watermark()
	for i := range uint64(5) {
		h.write(&Record{Entries: h.entries(5+3*i, 3, 9000)})
	}
	name := path.Join(dir, h.log.writer.cur.name)
	if err := mem.FailSync(name); err != nil {
		t.Fatal(err)
	}
	l, err := Open(mem, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	last, err := l.LastIndex()
	if err != nil || last != 19 {
		t.Fatalf("the next process finds entries up to %d (%v), not 19", last, err)
	}
	if mem.Stuck(name) {
		t.Error("it takes for durable what is only in the page cache")
	}
	after, err := Open(mem.Crash(first{}), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if last, err := after.LastIndex(); err != nil || last != 19 {
		t.Errorf("after a loss of power there are entries up to %d (%v), not 19", last, err)
	}
}

// first chooses the oldest of what may have survived.
type first struct{}

func (first) IntN(int) int { return 0 }
