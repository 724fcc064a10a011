package tree

import (
	"math"
	"testing"

	"gopherwood/zk"
)

// TestCountersWrap puts counters near their end, where no test gets by counting.
func TestCountersWrap(t *testing.T) {
	tr := New(Options{})
	var r Result
	do := func(op Op) {
		t.Helper()
		op.ACL = openACL
		tr.Apply(Env{}, &Command{Kind: KindWrite, Session: 1, Ops: []Op{op}}, &r)
		if r.Code != zk.OK {
			t.Fatal(op.Path, r.Code)
		}
	}
	tr.Apply(Env{}, &Command{Kind: KindCreateSession, Session: 1}, &r)
	do(Op{Code: zk.OpCreate, Path: "/a"})
	poke := func(f func(r *record)) {
		id, d := tr.find("/a"), pathDigest("/a")
		rec := tr.nodes.edit(id)
		tr.sum.digest -= tr.nodeBody(d, rec) + tailDigest(d, rec) + tr.nodeGuard(d, rec)
		f(rec)
		tr.sum.digest += tr.nodeBody(d, rec) + tailDigest(d, rec) + tr.nodeGuard(d, rec)
	}

	// The counter of a sequence goes on below zero ("<path>-2147483648", ZooKeeper Programmer's Guide).
	poke(func(r *record) { r.cversion = math.MaxInt32 })
	for _, want := range []string{"/a/n2147483647", "/a/n-2147483648", "/a/n-2147483647"} {
		do(Op{Code: zk.OpCreate, Path: "/a/n", Mode: zk.ModePersistentSequential})
		if r.Path != want {
			t.Errorf("created %s, want %s", r.Path, want)
		}
	}
	// A version wraps too, and is never -1: no client could ask for that.
	poke(func(r *record) { r.version, r.aversion = math.MaxInt32, math.MaxInt32 })
	do(Op{Code: zk.OpSetData, Path: "/a", Version: math.MaxInt32})
	do(Op{Code: zk.OpSetACL, Path: "/a", Version: math.MaxInt32})
	if s := tr.nodes.at(tr.find("/a")).stat(); s.Version != math.MinInt32 || s.Aversion != math.MinInt32 {
		t.Errorf("versions are %d and %d", s.Version, s.Aversion)
	}
	poke(func(r *record) { r.version, r.aversion = -2, -2 })
	do(Op{Code: zk.OpSetData, Path: "/a", Version: -2})
	do(Op{Code: zk.OpSetACL, Path: "/a", Version: -2})
	if s := tr.nodes.at(tr.find("/a")).stat(); s.Version != 0 || s.Aversion != 0 {
		t.Errorf("versions are %d and %d", s.Version, s.Aversion)
	}
	if err := tr.Check(); err != nil {
		t.Error(err)
	}
}
