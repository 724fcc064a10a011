package tree_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gopherwood/internal/tree"
	"gopherwood/zk"
)

// The benchmarks use a million znodes in a thousand directories, with names of 12 bytes and 100 bytes of data.
const (
	benchDirs = 1000
	benchLeaf = 1000
)

var (
	benchData = bytes.Repeat([]byte("0123456789"), 10)
	benchEnv  = tree.Env{Term: 1, TimeMs: 1_700_000_000_000, Origin: 1}
	openACL   = zk.OpenACL()
)

func benchDir(i int) string { return fmt.Sprintf("/bench/dir-%06d", i) }

func benchPath(i int) string { return leafPath(benchDirs, i) }

func leafPath(dirs, i int) string {
	return fmt.Sprintf("/bench/dir-%06d/node-%07d", i%dirs, i/dirs)
}

// writer applies single writes of one session.
type writer struct {
	tb testing.TB
	*tree.Tree
	c tree.Command
	r tree.Result
}

func newWriter(tb testing.TB, t *tree.Tree) *writer {
	w := &writer{tb: tb, Tree: t}
	t.Apply(benchEnv, &tree.Command{Kind: tree.KindCreateSession, Session: 1, Timeout: 30000}, &w.r)
	w.c = tree.Command{Kind: tree.KindWrite, Session: 1, Ops: make([]tree.Op, 1)}
	return w
}

func (w *writer) do(op tree.Op) {
	w.c.Ops[0] = op
	w.Apply(benchEnv, &w.c, &w.r)
	if w.r.Code != zk.OK {
		w.tb.Fatal(op.Code, op.Path, w.r.Code)
	}
}

func (w *writer) create(path string) {
	w.do(tree.Op{Code: zk.OpCreate, Path: path, Data: benchData, ACL: openACL})
}

func (w *writer) set(path string, data []byte) {
	w.do(tree.Op{Code: zk.OpSetData, Path: path, Data: data, Version: -1})
}

func (w *writer) fill(dirs, leaves int) {
	w.create("/bench")
	for i := range dirs {
		w.create(benchDir(i))
	}
	for i := range dirs * leaves {
		w.create(leafPath(dirs, i))
	}
}

// million is a tree of a million znodes, made once, and the paths of its leaves in random order.
var million = sync.OnceValues(func() (*tree.Tree, []string) {
	t := tree.New(tree.Options{Seed: 1})
	newWriter(&testing.B{}, t).fill(benchDirs, benchLeaf)
	paths := make([]string, benchDirs*benchLeaf)
	for i := range paths {
		paths[i] = benchPath(i)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	return t, paths
})

func millionWriter(b *testing.B) (*writer, []string) {
	t, paths := million()
	w := &writer{tb: b, Tree: t, c: tree.Command{Kind: tree.KindWrite, Session: 1, Ops: make([]tree.Op, 1)}}
	b.ReportAllocs()
	b.ResetTimer()
	reportCPU(b)
	return w, paths
}

// reportCPU reports the time that the process uses from here on, which spares the noise of others.
func reportCPU(b *testing.B) {
	start := cpu()
	b.Cleanup(func() { b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op") })
}

func BenchmarkCreate(b *testing.B) {
	w := newWriter(b, tree.New(tree.Options{}))
	w.fill(benchDirs, 0)
	paths := make([]string, b.N)
	for i := range paths {
		paths[i] = benchPath(i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	reportCPU(b)
	for _, p := range paths {
		w.create(p)
	}
}

// BenchmarkCreateWorst is the longest that one create of a million took, in time of its thread: growing must not stall.
func BenchmarkCreateWorst(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		w := newWriter(b, tree.New(tree.Options{}))
		w.fill(benchDirs, 0)
		var took []time.Duration
		for i := range 1_000_000 {
			p := benchPath(i)
			start := threadCPU()
			w.create(p)
			took = append(took, threadCPU()-start)
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)-1])/1e3, "worst-µs")
		b.ReportMetric(float64(took[len(took)-10])/1e3, "10th-worst-µs")
	}
}

// BenchmarkCreateDeleteUnderQuota is BenchmarkCreateDelete where the nodes are counted and a hard limit binds.
func BenchmarkCreateDeleteUnderQuota(b *testing.B) {
	w := newWriter(b, tree.New(tree.Options{}))
	w.fill(benchDirs, 0)
	w.c.EnforceQuota = true
	for _, name := range []string{"", "/zookeeper_limits", "/zookeeper_stats"} {
		w.do(tree.Op{Code: zk.OpCreate, Path: "/zookeeper/quota/bench" + name, Data: []byte("byteHardLimit=1000000000;countHardLimit=1000000"), ACL: openACL})
	}
	b.ReportAllocs()
	b.ResetTimer()
	reportCPU(b)
	for range b.N {
		w.create("/bench/dir-000500/extra")
		w.do(tree.Op{Code: zk.OpDelete, Path: "/bench/dir-000500/extra", Version: -1})
	}
}

// BenchmarkNewQuota makes a stats node over a million nodes, which are counted for it.
func BenchmarkNewQuota(b *testing.B) {
	w, _ := millionWriter(b)
	for _, name := range []string{"", "/zookeeper_limits"} {
		w.do(tree.Op{Code: zk.OpCreate, Path: "/zookeeper/quota/bench" + name, Data: []byte("count=5"), ACL: openACL})
	}
	for range b.N {
		w.do(tree.Op{Code: zk.OpCreate, Path: "/zookeeper/quota/bench/zookeeper_stats", ACL: openACL})
		w.do(tree.Op{Code: zk.OpDelete, Path: "/zookeeper/quota/bench/zookeeper_stats", Version: -1})
	}
	for _, name := range []string{"/zookeeper_limits", ""} {
		w.do(tree.Op{Code: zk.OpDelete, Path: "/zookeeper/quota/bench" + name, Version: -1})
	}
}

func BenchmarkCreateDelete(b *testing.B) {
	w, _ := millionWriter(b)
	for range b.N {
		w.create("/bench/dir-000500/extra")
		w.do(tree.Op{Code: zk.OpDelete, Path: "/bench/dir-000500/extra", Version: -1})
	}
}

func BenchmarkCreateSequentialEphemeral(b *testing.B) {
	w, _ := millionWriter(b)
	for range b.N {
		w.do(tree.Op{Code: zk.OpCreate, Path: "/bench/dir-000500/lock-", ACL: openACL, Mode: zk.ModeEphemeralSequential})
		w.do(tree.Op{Code: zk.OpDelete, Path: w.r.Path, Version: -1})
	}
}

func BenchmarkSet(b *testing.B) {
	w, paths := millionWriter(b)
	for i := range b.N {
		w.set(paths[i%len(paths)], benchData)
	}
}

func BenchmarkSetUnderView(b *testing.B) {
	w, paths := millionWriter(b)
	v := w.View()
	for i := range b.N {
		w.set(paths[i%len(paths)], benchData)
	}
	b.StopTimer()
	v.Close()
}

func BenchmarkMultiOf10Sets(b *testing.B) {
	w, paths := millionWriter(b)
	c := tree.Command{Kind: tree.KindMulti, Session: 1, Ops: make([]tree.Op, 10)}
	for i := range b.N {
		for j := range c.Ops {
			c.Ops[j] = tree.Op{Code: zk.OpSetData, Path: paths[(i*10+j)%len(paths)], Data: benchData, Version: -1}
		}
		w.Apply(benchEnv, &c, &w.r)
		if w.r.Failed() != zk.OK {
			b.Fatal(w.r.Failed())
		}
	}
}

func BenchmarkGet(b *testing.B) {
	w, paths := millionWriter(b)
	for i := range b.N {
		if data, _, code := w.Get(paths[i%len(paths)], nil); code != zk.OK || len(data) != len(benchData) {
			b.Fatal(code)
		}
	}
}

func BenchmarkGetHot(b *testing.B) {
	w, paths := millionWriter(b)
	for i := range b.N {
		if _, _, code := w.Get(paths[i%64], nil); code != zk.OK {
			b.Fatal(code)
		}
	}
}

func BenchmarkExistsMissing(b *testing.B) {
	w, _ := millionWriter(b)
	for range b.N {
		if _, code := w.Exists("/bench/dir-000500/nobody-is-here", nil); code != zk.ErrNoNode {
			b.Fatal(code)
		}
	}
}

func BenchmarkChildren(b *testing.B) {
	w, _ := millionWriter(b)
	n := 0
	for range b.N {
		w.Children("/bench/dir-000500", nil, func(name []byte) bool { n += len(name); return true })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchLeaf, "ns/child")
}

func BenchmarkView(b *testing.B) {
	w, _ := millionWriter(b)
	for range b.N {
		w.View().Close()
	}
}

func BenchmarkWriteTo(b *testing.B) {
	w, _ := millionWriter(b)
	for range b.N {
		v := w.View()
		n, err := v.WriteTo(io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		v.Close()
		b.SetBytes(n)
	}
}

func BenchmarkRestore(b *testing.B) {
	w, _ := millionWriter(b)
	v := w.View()
	var snapshot bytes.Buffer
	if _, err := v.WriteTo(&snapshot); err != nil {
		b.Fatal(err)
	}
	v.Close()
	b.SetBytes(int64(snapshot.Len()))
	b.ResetTimer()
	for range b.N {
		if err := tree.New(tree.Options{}).Restore(bytes.NewReader(snapshot.Bytes())); err != nil {
			b.Fatal(err)
		}
	}
}

// threadCPU is the time that the calling thread has used.
func threadCPU() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// cpu is the time that the process has used: what noise of others spares.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMemory says what a znode costs, of a tree that was filled and of one that was restored.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		before := heap()
		w := newWriter(b, tree.New(tree.Options{}))
		w.fill(benchDirs, benchLeaf)
		b.ReportMetric(float64(heap()-before)/float64(w.NodeCount()), "B/znode")
		v := w.View()
		var snapshot bytes.Buffer
		if _, err := v.WriteTo(&snapshot); err != nil {
			b.Fatal(err)
		}
		v.Close()
		before = heap()
		restored := tree.New(tree.Options{})
		if err := restored.Restore(bytes.NewReader(snapshot.Bytes())); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(heap()-before)/float64(restored.NodeCount()), "B/znode-restored")
		runtime.KeepAlive(restored)
		runtime.KeepAlive(snapshot.Bytes())
		runtime.KeepAlive(w)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkDecode(b *testing.B) {
	c := tree.Command{Kind: tree.KindWrite, Session: 1, Ops: []tree.Op{{Code: zk.OpSetData, Path: benchPath(1), Data: benchData, Version: -1}}}
	log := c.Append(nil)
	b.ReportAllocs()
	for range b.N {
		if err := c.Decode(log); err != nil {
			b.Fatal(err)
		}
	}
}
