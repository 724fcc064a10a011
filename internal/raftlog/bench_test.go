package raftlog

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/vfs"
)

// noDisk forgets what is written to open segments, so that only the CPU is measured.
type noDisk struct{ vfs.FS }

type noFile struct{ vfs.File }

func (f noFile) WriteAt(b []byte, off int64) (int, error) {
	if off == 0 && len(b) == blockSize {
		return f.File.WriteAt(b, off) // the segment's header
	}
	return len(b), nil
}

func (noFile) Sync() error { return nil }

func (d noDisk) OpenLog(name string, create bool) (vfs.File, bool, error) {
	f, direct, err := d.FS.OpenLog(name, create)
	if err == nil && !strings.Contains(name, watermarkName) {
		f = noFile{f}
	}
	return f, direct, err
}

// appender writes n entries of size bytes per batch, over and over, preparing and compacting as a server does.
type appender struct {
	b    *testing.B
	l    *Log
	next uint64
	rec  Record
	recs []*Record
	idx  []uint64
}

func newAppender(b *testing.B, fsys vfs.FS, dir string, o Options, n, size int) *appender {
	l, err := Open(fsys, dir, o)
	if err != nil {
		b.Fatal(err)
	}
	put(b, l, &Record{Snapshot: meta(1, 1), HardState: hard(1, 0, 1)})
	a := &appender{b: b, l: l, next: 2, idx: make([]uint64, n)}
	data := noise(size, 1)
	for i := range n {
		a.rec.Entries = append(a.rec.Entries, &pb.Entry{Index: &a.idx[i], Term: new(uint64(1)), Type: new(pb.EntryNormal), Data: data})
	}
	a.recs = []*Record{&a.rec}
	return a
}

func (a *appender) append() {
	for i := range a.idx {
		a.idx[i] = a.next
		a.next++
	}
	if err := a.l.writer.Write(a.recs); err != nil {
		a.b.Fatal(err)
	}
	if err := a.l.writer.Sync(); err != nil {
		a.b.Fatal(err)
	}
}

// background does what other goroutines would, outside of the measurement: segments that are left are recycled.
func (a *appender) background() {
	if !a.l.NeedsPrepare() {
		return
	}
	a.b.StopTimer()
	a.l.segs.release(a.l.writer.cur.seq)
	if err := a.l.Prepare(); err != nil {
		a.b.Fatal(err)
	}
	a.b.StartTimer()
}

func BenchmarkAppendSync(b *testing.B) {
	for _, noDirect := range []bool{false, true} {
		for _, shape := range []struct{ n, size int }{{1, 200}, {64, 200}, {1, 12800}} {
			mode := map[bool]string{false: "direct", true: "fdatasync"}[noDirect]
			b.Run(fmt.Sprintf("%s/%dx%d", mode, shape.n, shape.size), func(b *testing.B) {
				a := newAppender(b, vfs.OS(), b.TempDir(), Options{NoDirect: noDirect}, shape.n, shape.size)
				if a.l.writer.cur.direct == noDirect {
					b.Skip("no direct writes here")
				}
				for a.l.writer.cur.size < 4<<20 { // past the small segments
					a.append()
					a.background()
				}
				took := make([]time.Duration, b.N)
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					start := time.Now()
					a.append()
					took[i] = time.Since(start)
					a.background()
				}
				b.ReportMetric(float64(b.N*shape.n)/b.Elapsed().Seconds(), "entries/s")
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			})
		}
	}
}

func BenchmarkAppendCPU(b *testing.B) {
	for _, shape := range []struct{ n, size int }{{1, 200}, {64, 200}, {1, 12800}} {
		b.Run(fmt.Sprintf("%dx%d", shape.n, shape.size), func(b *testing.B) {
			a := newAppender(b, noDisk{vfs.NewMem(1)}, "x", Options{}, shape.n, shape.size)
			a.append()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				a.append()
				a.background()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*shape.n), "ns/entry")
		})
	}
}

// fill makes a log of about 100 MB of batches of 12.8 kB and closes it, or leaves it as a crash would.
func fillLog(b *testing.B, dir string, o Options, clean bool) (sizeBytes int64) {
	b.Helper()
	l, err := Open(vfs.OS(), dir, o)
	if err != nil {
		b.Fatal(err)
	}
	put(b, l, &Record{Snapshot: meta(1, 1), HardState: hard(1, 0, 1)})
	for i := uint64(2); l.Size() < 100<<20; i += 64 {
		put(b, l, &Record{Entries: entries(1, i, 64, 200)})
		if l.NeedsPrepare() {
			if err := l.Prepare(); err != nil {
				b.Fatal(err)
			}
		}
	}
	sizeBytes = l.Size()
	if clean {
		err = l.Close()
	} else {
		err = l.segs.close()
	}
	if err != nil {
		b.Fatal(err)
	}
	return sizeBytes
}

func BenchmarkOpen(b *testing.B) {
	for _, noDirect := range []bool{false, true} {
		for _, clean := range []bool{false, true} {
			mode := map[bool]string{false: "direct", true: "pagecache"}[noDirect]
			b.Run(fmt.Sprintf("%s/clean=%v", mode, clean), func(b *testing.B) {
				dir, o := b.TempDir(), Options{NoDirect: noDirect}
				b.SetBytes(fillLog(b, dir, o, clean))
				b.ResetTimer()
				for range b.N {
					l, err := Open(vfs.OS(), dir, o)
					if err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					if clean {
						err = l.Close()
					} else {
						err = l.segs.close()
					}
					if err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			})
		}
	}
}

// BenchmarkReadOld reads entries that are no longer in memory as raft does for a follower that lags.
func BenchmarkReadOld(b *testing.B) {
	for _, noDirect := range []bool{false, true} {
		b.Run(map[bool]string{false: "direct", true: "pagecache"}[noDirect], func(b *testing.B) {
			dir, o := b.TempDir(), Options{NoDirect: noDirect}
			fillLog(b, dir, o, true)
			l, err := Open(vfs.OS(), dir, o)
			if err != nil {
				b.Fatal(err)
			}
			last, _ := l.LastIndex()
			b.ReportAllocs()
			b.ResetTimer()
			at, bytes := uint64(2), 0
			for range b.N {
				got, err := l.Entries(at, last+1, 1<<20)
				if err != nil {
					b.Fatal(err)
				}
				for _, e := range got {
					bytes += len(e.Data)
				}
				if at += uint64(len(got)); at > last {
					at = 2
				}
			}
			b.SetBytes(int64(bytes / b.N))
		})
	}
}

// state is 150 MB that compresses as a tree of znodes does: names that repeat, data that doesn't.
func state() []byte {
	rng := rand.New(rand.NewPCG(1, 1))
	b := make([]byte, 0, 150<<20)
	for i := 0; len(b) < 150<<20-200; i++ {
		b = fmt.Appendf(b, "/service/member-%010d", i)
		for range 50 {
			b = append(b, byte(rng.Uint32()), 'x')
		}
	}
	return b
}

func BenchmarkSnapshot(b *testing.B) {
	l, err := Open(vfs.OS(), b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	payload := state()
	write := func(b *testing.B) {
		w, err := l.CreateSnapshot(meta(5, 1))
		if err != nil {
			b.Fatal(err)
		}
		for at := 0; at < len(payload); at += 64 << 10 {
			if _, err := w.Write(payload[at:min(at+64<<10, len(payload))]); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(payload)))
		for range b.N {
			write(b)
		}
	})
	for _, name := range []string{"read", "prefetch"} {
		b.Run(name, func(b *testing.B) {
			if _, err := vfs.OS().Stat(l.snaps.path(5)); err != nil {
				write(b)
			}
			b.SetBytes(int64(len(payload)))
			b.ResetTimer()
			buf := make([]byte, 64<<10)
			for range b.N {
				r, err := l.OpenSnapshot(5)
				if err != nil {
					b.Fatal(err)
				}
				if name == "prefetch" {
					r.Prefetch()
				}
				n := 0
				for err == nil {
					var k int
					k, err = r.Read(buf)
					n += k
				}
				if err != io.EOF || n != len(payload) {
					b.Fatal(n, err)
				}
				r.Close()
			}
		})
	}
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(int64(len(payload)))
		for range b.N {
			if _, err := l.snaps.verify(5); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestWriteAllocatesNothing(t *testing.T) {
	l, err := Open(noDisk{vfs.NewMem(1)}, dir, Options{})
	must(t, err)
	put(t, l, &Record{Snapshot: meta(1, 1), HardState: hard(1, 0, 1)})
	next := uint64(2)
	recs := []*Record{{Entries: entries(1, 1, 3, 100), HardState: hard(1, 0, 1)}, {HardState: hard(1, 0, 2)}}
	for _, e := range recs[0].Entries {
		e.Index = new(uint64)
	}
	if n := testing.AllocsPerRun(50, func() {
		for _, e := range recs[0].Entries {
			*e.Index = next
			next++
		}
		if l.writer.Write(recs) != nil || l.writer.Sync() != nil {
			t.Error("failed")
		}
	}); n > 0 {
		t.Errorf("%v allocations per batch", n)
	}
}
