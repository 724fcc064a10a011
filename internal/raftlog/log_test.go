package raftlog

import (
	"errors"
	"fmt"
	"math"
	"path"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"gopherwood/internal/vfs"
)

func entries(term, from, n uint64, size int) []*pb.Entry {
	var es []*pb.Entry
	for i := from; i < from+n; i++ {
		data := fmt.Appendf(make([]byte, 0, size), "entry %d of term %d ", i, term)
		es = append(es, &pb.Entry{Index: new(i), Term: new(term), Type: new(pb.EntryNormal), Data: data[:size]})
	}
	return es
}

func put(t testing.TB, l *Log, recs ...*Record) {
	t.Helper()
	for _, err := range []error{l.Writer().Write(recs), l.Writer().Sync()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range recs {
		l.Stable(r)
	}
}

// What is written is there after closing, on every filesystem, with direct writes and without.
func TestReopen(t *testing.T) {
	everywhere(t, func(t *testing.T, fsys vfs.FS, dir string, o Options) {
		l, err := Open(fsys, dir, o)
		must(t, err)
		if !l.Empty() {
			t.Error("a new log is not empty")
		}
		put(t, l, &Record{Snapshot: meta(1, 1), HardState: hard(1, 0, 1)})
		for i := uint64(2); i < 102; i += 2 {
			put(t, l, &Record{Entries: entries(1, i, 2, 1000)}, &Record{HardState: hard(1, 3, i)})
			must(t, l.Prepare())
			must(t, l.Watermark())
		}
		for range 3 {
			must(t, l.Close())
			must(t, l.Close())
			l, err = Open(fsys, dir, o)
			must(t, err)
			if r := l.Recovered(); l.Empty() || !r.Clean || r.Cut != 0 {
				t.Errorf("recovered %+v", r)
			}
			got, err := l.Entries(2, 102, math.MaxUint64)
			if err != nil || len(got) != 100 {
				t.Fatalf("%d entries, %v", len(got), err)
			}
			for i, want := range entries(1, 2, 100, 1000) {
				if !proto.Equal(got[i], want) {
					t.Fatalf("entry %v, want %v", got[i], want)
				}
			}
			h, cs, err := l.InitialState()
			if byValue(h) != (hardState{1, 3, 100}) || len(cs.GetVoters()) != 3 || err != nil {
				t.Errorf("%v, %v, %v", h, cs, err)
			}
		}
		if err := l.Writer().Write([]*Record{{}}); err != nil {
			t.Errorf("empty record: %v", err)
		}
		must(t, l.Close())
		if err := l.Writer().Write([]*Record{{Entries: entries(1, 102, 1, 30)}}); !errors.Is(err, ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
	})
}

func hard(term, vote, commit uint64) *pb.HardState {
	return &pb.HardState{Term: &term, Vote: &vote, Commit: &commit}
}

func TestDirectIsUsed(t *testing.T) {
	m := vfs.NewMem(1)
	m.SetDirect(true)
	for _, noDirect := range []bool{false, true} {
		l, err := Open(m, fmt.Sprint(noDirect), Options{NoDirect: noDirect})
		must(t, err)
		if got := l.writer.cur.direct; got == noDirect {
			t.Errorf("direct %v with NoDirect %v", got, noDirect)
		}
	}
}

func TestEmptyLog(t *testing.T) {
	l, err := Open(vfs.NewMem(1), dir, Options{})
	must(t, err)
	m := raft.NewMemoryStorage()
	for _, s := range []raft.Storage{l, m} {
		first, err1 := s.FirstIndex()
		last, err2 := s.LastIndex()
		term, err3 := s.Term(0)
		_, err4 := s.Term(1)
		snap, err5 := s.Snapshot()
		h, cs, err6 := s.InitialState()
		_, err7 := s.Entries(0, 1, 10)
		if first != 1 || last != 0 || term != 0 || !raft.IsEmptySnap(snap) || !raft.IsEmptyHardState(h) || cs == nil ||
			errors.Join(err1, err2, err3, err5, err6) != nil || err4 != raft.ErrUnavailable || err7 != raft.ErrCompacted {
			t.Errorf("%T: %d %d %d %v %v %v; %v %v %v %v %v %v %v", s, first, last, term, snap, h, cs, err1, err2, err3, err4, err5, err6, err7)
		}
	}
	if l.Size() != 0 || l.BytesSince(0) != 0 || l.PreviousSnapshot() != 0 {
		t.Error("an empty log has a size")
	}
}

// TestAsMemoryStorage compares with raft's own storage over what raft may ask, where entries are cut off by size among them.
func TestAsMemoryStorage(t *testing.T) {
	l, err := Open(vfs.NewMem(1), dir, Options{CacheBytes: 5000, FirstSegmentBytes: 8 * blockSize})
	must(t, err)
	m := raft.NewMemoryStorage()
	must(t, m.ApplySnapshot(&pb.Snapshot{Metadata: meta(1, 1)}))
	put(t, l, &Record{Snapshot: meta(1, 1), HardState: hard(1, 0, 1)})
	for i := uint64(0); i < 30; i++ {
		es := entries(1+i/7, 2+i*5, 5, 200)
		es[2].Data = nil
		es[3].Type = new(pb.EntryConfChangeV2)
		es[4].Data = []byte{}
		must(t, m.Append(es))
		put(t, l, &Record{Entries: es})
	}
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.Uint64Range(0, 151).Draw(t, "lo")
		hi := rapid.Uint64Range(lo, 152).Draw(t, "hi")
		size := rapid.SampledFrom([]uint64{0, 1, 100, 500, 3000, 20000, 1 << 30, math.MaxUint64}).Draw(t, "max size")
		want, err1 := m.Entries(lo, hi, size)
		got, err2 := l.Entries(lo, hi, size)
		if err1 != err2 || len(want) != len(got) {
			t.Fatalf("%d entries, %v; want %d, %v", len(got), err2, len(want), err1)
		}
		for i := range want {
			if !proto.Equal(want[i], got[i]) {
				t.Fatalf("entry %d: %v, want %v", i, got[i], want[i])
			}
		}
		at := rapid.Uint64Range(0, 160).Draw(t, "at")
		t1, err1 := m.Term(at)
		t2, err2 := l.Term(at)
		if t1 != t2 || err1 != err2 {
			t.Fatalf("term of %d: %d, %v; want %d, %v", at, t2, err2, t1, err1)
		}
	})
}

func TestEntrySize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := &pb.Entry{}
		if rapid.Bool().Draw(t, "index") {
			e.Index = new(rapid.Uint64().Draw(t, "index"))
		}
		if rapid.Bool().Draw(t, "term") {
			e.Term = new(rapid.Uint64().Draw(t, "term"))
		}
		if rapid.Bool().Draw(t, "type") {
			e.Type = new(pb.EntryType(rapid.IntRange(0, 2).Draw(t, "type")))
		}
		if rapid.Bool().Draw(t, "data") {
			e.Data = make([]byte, rapid.IntRange(0, 20000).Draw(t, "data"))
		}
		if got, want := entrySize(e), proto.Size(e); got != uint64(want) {
			t.Fatalf("%d, want %d", got, want)
		}
	})
}

// What Entries gave out stays as it was, whatever happens to the log.
func TestEntriesAreNotOverwritten(t *testing.T) {
	l, err := Open(vfs.NewMem(1), dir, Options{})
	must(t, err)
	put(t, l, &Record{Snapshot: meta(1, 1), HardState: hard(1, 0, 1)}, &Record{Entries: entries(1, 2, 8, 30)})
	got, err := l.Entries(2, 10, math.MaxUint64)
	must(t, err)
	put(t, l, &Record{Entries: entries(2, 4, 9, 30)})
	for i, want := range entries(1, 2, 8, 30) {
		if !proto.Equal(got[i], want) {
			t.Errorf("entry %v, want %v", got[i], want)
		}
	}
}

// Of a batch only those records count that the log was told of: a later one may replace what an earlier one says.
func TestPartOfABatch(t *testing.T) {
	l, err := Open(vfs.NewMem(1), dir, Options{CacheBytes: 1})
	must(t, err)
	put(t, l, &Record{Snapshot: meta(1, 1), HardState: hard(1, 0, 1)})
	recs := []*Record{{Entries: entries(1, 2, 3, 30)}, {Entries: entries(2, 3, 3, 30)}, {Entries: entries(3, 2, 1, 30)}}
	must(t, l.Writer().Write(recs))
	must(t, l.Writer().Sync())
	for i, want := range [][]uint64{{1, 1, 1}, {1, 2, 2, 2}, {3}} {
		l.Stable(recs[i])
		got, err := l.Entries(2, uint64(2+len(want)), math.MaxUint64)
		must(t, err)
		for j, e := range got {
			if e.GetTerm() != want[j] || !strings.Contains(string(e.Data), fmt.Sprintf("of term %d ", want[j])) {
				t.Errorf("after %d records entry %d is %.30q of term %d, want term %d", i+1, 2+j, e.Data, e.GetTerm(), want[j])
			}
		}
		if len(got) != len(want) {
			t.Errorf("after %d records: %d entries, want %d", i+1, len(got), len(want))
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	l, err := Open(vfs.NewMem(1), dir, Options{CacheBytes: 10_000})
	must(t, err)
	put(t, l, &Record{Snapshot: meta(1, 1), HardState: hard(1, 0, 1)})
	for i := uint64(2); i < 400; i++ {
		put(t, l, &Record{Entries: entries(1, i, 1, 500)})
		sum := int64(0)
		for _, e := range l.tail {
			sum += cost(e)
		}
		if sum != l.tailSize || sum > 10_000 || cap(l.tail) > 64 {
			t.Fatalf("%d entries of %d bytes in memory, capacity %d; counted %d", len(l.tail), sum, cap(l.tail), l.tailSize)
		}
	}
	put(t, l, &Record{Entries: entries(1, 400, 1, 50_000)})
	if len(l.tail) != 1 {
		t.Errorf("%d entries in memory beside a large one", len(l.tail))
	}
}

func TestBytesSince(t *testing.T) {
	l, err := Open(vfs.NewMem(1), dir, Options{FirstSegmentBytes: 4 * blockSize})
	must(t, err)
	put(t, l, &Record{Snapshot: meta(1, 1), HardState: hard(1, 0, 1)})
	for i := uint64(2); i < 12; i += 2 {
		put(t, l, &Record{Entries: entries(1, i, 2, 30)}) // one block for two
	}
	check := func(want ...int64) {
		t.Helper()
		for index, blocks := range want {
			if got := l.BytesSince(uint64(index)); got != blocks*blockSize {
				t.Errorf("since %d: %d bytes, want %d blocks", index, got, blocks)
			}
		}
	}
	check(5, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0)
	put(t, l, &Record{Entries: entries(2, 5, 1, 30)})
	check(6, 6, 6, 5, 1, 0, 0) // what is replaced was written all the same
	l.SetSnapshot(meta(4, 1))
	l.Compact(4)
	check(1, 1, 1, 1, 1, 0)
}

// A record that only moves the commit index costs no write; a later record takes it along, and so does Close.
func TestCommitIndexOnly(t *testing.T) {
	fsys := vfs.WithErrors(vfs.NewMem(1))
	l, err := Open(fsys, dir, Options{})
	must(t, err)
	put(t, l, &Record{Snapshot: meta(1, 1), HardState: hard(1, 2, 1)}, &Record{Entries: entries(1, 2, 5, 30)})
	before := fsys.Count(vfs.OpWrite | vfs.OpSync)
	for i := uint64(2); i < 6; i++ {
		put(t, l, &Record{HardState: hard(1, 2, i)})
	}
	h, _, _ := l.InitialState()
	if n := fsys.Count(vfs.OpWrite|vfs.OpSync) - before; n != 0 || h.GetCommit() != 5 {
		t.Errorf("%d operations, committed %d", n, h.GetCommit())
	}
	put(t, l, &Record{HardState: hard(1, 3, 5)}) // a vote is another matter
	if n := fsys.Count(vfs.OpWrite|vfs.OpSync) - before; n != 2 {
		t.Errorf("%d operations for a vote", n)
	}
	put(t, l, &Record{HardState: hard(1, 3, 6)})
	must(t, l.Close())
	l, err = Open(fsys, dir, Options{})
	must(t, err)
	if h, _, _ := l.InitialState(); byValue(h) != (hardState{1, 3, 6}) {
		t.Errorf("after closing: %v", h)
	}
}

// Segments double in size, a batch that is larger than that gets a segment that is larger, and what Prepare made ready costs the writer nothing.
func TestSegmentSizes(t *testing.T) {
	fsys := vfs.WithErrors(vfs.NewMem(1))
	l, err := Open(fsys, dir, Options{FirstSegmentBytes: 4 * blockSize, SegmentBytes: 16 * blockSize})
	must(t, err)
	put(t, l, &Record{Snapshot: meta(1, 1), HardState: hard(1, 0, 1)})
	next := uint64(2)
	for range 50 {
		must(t, l.Prepare())
		if l.NeedsPrepare() {
			t.Error("Prepare left something to do")
		}
		before := fsys.Count(vfs.OpAny)
		put(t, l, &Record{Entries: entries(1, next, 1, 3000)})
		next++
		if n := fsys.Count(vfs.OpAny) - before; n > 3 { // write, sync; sync of the segment that is left
			t.Fatalf("%d operations for entry %d", n, next)
		}
	}
	put(t, l, &Record{Entries: entries(1, next, 1, 40*blockSize)})
	put(t, l, &Record{Entries: entries(1, next+1, 1, 30)})
	var sizes []string
	for _, g := range l.segs.live {
		sizes = append(sizes, fmt.Sprint(g.size/blockSize))
	}
	if got := strings.Join(sizes, " "); got != "4 8 16 16 16 42 16" {
		t.Errorf("segments of %s blocks", got)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{SegmentBytes: 1}, {FirstSegmentBytes: -1}, {CacheBytes: -1}, {SegmentBytes: 1 << 20, FirstSegmentBytes: 2 << 20}} {
		if _, err := Open(vfs.NewMem(1), dir, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if _, err := Open(vfs.NewMem(1), dir, Options{SegmentBytes: 9000}); err != nil {
		t.Error(err)
	}
}

func TestBrokenInvariants(t *testing.T) {
	for name, do := range map[string]func(l *Log){
		"hole":               func(l *Log) { _ = l.Writer().Write([]*Record{{Entries: entries(1, 9, 1, 30)}}) },
		"compact too far":    func(l *Log) { l.Compact(2) },
		"snapshot backwards": func(l *Log) { l.SetSnapshot(meta(0, 1)) },
	} {
		l, err := Open(vfs.NewMem(1), dir, Options{})
		must(t, err)
		put(t, l, &Record{Snapshot: meta(1, 1), HardState: hard(1, 0, 1)}, &Record{Entries: entries(1, 2, 3, 30)})
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: nothing", name)
				}
			}()
			do(l)
		}()
	}
}

// TestGoroutines runs all owners beside one another; the race detector looks on.
func TestGoroutines(t *testing.T) {
	everywhere(t, func(t *testing.T, fsys vfs.FS, dir string, o Options) {
		l, err := Open(fsys, dir, o)
		must(t, err)
		put(t, l, &Record{Snapshot: meta(1, 1), HardState: hard(1, 0, 1)})
		const n = 150
		queue, done := make(chan *Record, 10), make(chan *Record, 10)
		var others sync.WaitGroup
		others.Go(func() {
			defer close(done)
			for r := range queue {
				if err := errors.Join(l.Writer().Write([]*Record{r}), l.Writer().Sync()); err != nil {
					t.Error(err)
					return
				}
				done <- r
			}
		})
		var ticks []chan struct{}
		for _, f := range []func() error{l.Prepare, l.Watermark} {
			tick := make(chan struct{}, 1)
			ticks = append(ticks, tick)
			others.Go(func() {
				for range tick {
					if err := f(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		go func() {
			defer close(queue)
			for i := uint64(0); i < n; i++ {
				queue <- &Record{Entries: entries(1, 2+i, 1, 500), HardState: hard(1, 0, 1+i)}
			}
		}()
		for r := range done { // the loop
			l.Stable(r)
			last, _ := l.LastIndex()
			first, _ := l.FirstIndex()
			if _, err := l.Entries(first, last+1, 3000); err != nil {
				t.Error(err)
			}
			for _, tick := range ticks {
				select {
				case tick <- struct{}{}:
				default:
				}
			}
			if last%40 == 0 {
				writeSnapshot(t, l, meta(last-1, 1), []byte("state"), 1)
				l.SetSnapshot(meta(last-1, 1))
				l.Compact(last - 5)
			}
		}
		for _, tick := range ticks {
			close(tick)
		}
		others.Wait()
		must(t, l.Close())
		l, err = Open(fsys, dir, o)
		must(t, err)
		if last, _ := l.LastIndex(); last != n+1 {
			t.Errorf("the log ends at %d", last)
		}
		must(t, l.Close())
	})
}

// Two logs in one process have nothing in common.
func TestTwoLogs(t *testing.T) {
	m := vfs.NewMem(1)
	a, err := Open(m, path.Join(dir, "a"), Options{Identity: Identity{1}})
	must(t, err)
	b, err := Open(m, path.Join(dir, "b"), Options{Identity: Identity{2}})
	must(t, err)
	put(t, a, &Record{Entries: entries(1, 1, 3, 30)})
	put(t, b, &Record{Entries: entries(2, 1, 1, 30)})
	last, _ := a.LastIndex()
	if other, _ := b.LastIndex(); last != 3 || other != 1 {
		t.Errorf("%d and %d", last, other)
	}
}
