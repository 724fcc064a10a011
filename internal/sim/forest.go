package sim

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"

	"gopherwood/internal/node"
	"gopherwood/internal/tree"
	"gopherwood/zk"
)

// forest is the real tree as the machine under test. The checks compare every field of every result and the digest after every entry
// among replicas; what the results have to be is internal/tree's own tests' matter.
type forest struct {
	sim     *simulation
	tree    *tree.Tree
	command tree.Command
	result  tree.Result
	lastMs  int64
	zxid    int64
	buf     []byte
}

func newForest(s *simulation) *forest {
	// The hash keys differ between replicas and must not matter.
	return &forest{sim: s, tree: tree.New(tree.Options{Seed: 1 + s.processes})}
}

var forestNames = [...]string{"/a", "/b", "/c", "/a/a", "/a/b", "/b/a", "/b/b", "/b/c", "/a/a/a", "/a/a/b", "/c/x", "/c/y", "/c/z", "/c/x/x"}

// forestCommand is a client's next command: a session first, then mostly writes.
func forestCommand(s *simulation, c *client) []byte {
	r := s.clientRand
	t := tree.Command{Kind: tree.KindWrite, Session: int64(c.session)}
	binary.LittleEndian.PutUint64(t.Passwd[:], c.session)
	c.n++
	switch n := r.IntN(100); {
	case c.n == 1 && r.chance(0.8):
		t.Kind, t.Timeout = tree.KindCreateSession, 10_000
	case c.n == 1: // somebody's session moves here
		t.Kind, t.Session = tree.KindAttachSession, 1+r.Int64N(int64(s.clients))
		c.session = uint64(t.Session)
		binary.LittleEndian.PutUint64(t.Passwd[:], c.session)
		if r.chance(0.1) {
			t.Passwd[9] = 1
		}
	case n < 2:
		t.Kind = tree.KindCloseSession
	case n < 12:
		t.Kind = tree.KindMulti
		for range 1 + r.IntN(4) {
			t.Ops = append(t.Ops, forestOp(s))
		}
	default:
		t.Ops = []tree.Op{forestOp(s)}
	}
	t.EnforceQuota = r.chance(0.7) && (t.Kind == tree.KindWrite || t.Kind == tree.KindMulti)
	return t.Append(nil)
}

// forestQuota is what a shell does for a quota, in any order, or wrongly.
func forestQuota(s *simulation) tree.Op {
	r := s.clientRand
	paths := [...]string{"/a", "/a", "/a/zookeeper_limits", "/a/zookeeper_limits", "/a/zookeeper_stats", "/a/zookeeper_stats", "/b", "/b/zookeeper_limits", "/b/zookeeper_stats"}
	limits := [...]string{"countHardLimit=3", "countHardLimit=6", "byteHardLimit=90", "count=2,bytes=10", "nonsense", ""}
	o := tree.Op{Code: zk.OpCreate, Path: "/zookeeper/quota" + paths[r.IntN(len(paths))], ACL: zk.OpenACL(), Version: -1}
	o.Data = []byte(limits[r.IntN(len(limits))])
	switch n := r.IntN(10); {
	case n < 1:
		o.Code, o.Data, o.ACL = zk.OpDelete, nil, nil
	case n < 3:
		o.Code, o.ACL = zk.OpSetData, nil
	}
	return o
}

func forestOp(s *simulation) tree.Op {
	r := s.clientRand
	if r.chance(0.08) {
		return forestQuota(s)
	}
	o := tree.Op{Path: forestNames[r.IntN(len(forestNames))], Version: -1}
	switch n := r.IntN(20); {
	case n < 8:
		o.Code, o.Mode, o.ACL, o.Data = zk.OpCreate, zk.CreateMode(r.IntN(4)), zk.OpenACL(), s.filler()
	case n < 9:
		o.Code, o.Mode, o.ACL, o.Data = zk.OpCreateContainer, zk.ModeContainer, zk.OpenACL(), s.filler()
	case n < 10:
		o.Code, o.Mode, o.ACL, o.Data, o.TTL = zk.OpCreateTTL, zk.ModeTTL, zk.OpenACL(), s.filler(), r.between(1, 5000)
	case n < 14:
		o.Code, o.Data = zk.OpSetData, s.filler()
	case n < 18:
		o.Code = zk.OpDelete
	default:
		o.Code, o.Version = zk.OpCheck, int32(r.IntN(3)-1)
	}
	return o
}

func (f *forest) apply(c *node.Command, body []byte) outcome {
	if err := f.command.Decode(body); err != nil {
		f.sim.fail("the tree cannot decode the command of entry %d: %v", c.Index, err)
	}
	leaders := f.command.Kind == tree.KindExpire || f.command.Kind == tree.KindReap
	late := leaders && f.command.Term != c.Term
	env := tree.Env{Index: c.Index, Term: c.Term, TimeMs: c.TimeMs, Origin: c.Origin}
	if late {
		f.sim.stats.LateExpiries++
	}
	before := f.tree.Digest()
	f.lastMs = c.TimeMs
	f.tree.Apply(env, &f.command, &f.result)
	if late && f.tree.Digest() != before {
		f.sim.expired(f.command.Term, c.Term)
	}
	if f.result.Zxid < f.zxid {
		f.sim.fail("the zxid goes back from %x to %x in entry %d", f.zxid, f.result.Zxid, c.Index)
	}
	f.zxid = f.result.Zxid
	code := f.result.Code
	return outcome{hash: f.hash(), expired: code == zk.ErrSessionExpired || code == zk.ErrSessionMoved}
}

// hash is of everything in the result that a client may come to see.
func (f *forest) hash() uint64 {
	r := &f.result
	b := f.buf[:0]
	put := func(path string, code zk.Code, kind int32, stat *zk.Stat) {
		b = append(b, path...)
		b = binary.LittleEndian.AppendUint32(b, uint32(code))
		b = binary.LittleEndian.AppendUint32(b, uint32(kind))
		b, _ = binary.Append(b, binary.LittleEndian, stat) // a Stat has a fixed size: no error
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Zxid))
	put(r.Path, r.Code, 0, &r.Stat)
	for i := range r.Ops {
		o := &r.Ops[i]
		put(o.Path, o.Code, int32(o.Type), &o.Stat)
	}
	for i := range r.Events {
		e := &r.Events[i]
		put(e.Path, 0, int32(e.Type), &zk.Stat{Mzxid: e.Zxid})
	}
	for _, s := range r.Closed {
		put("", 0, 0, &zk.Stat{Czxid: s.ID, Mzxid: int64(s.Owner)})
	}
	for _, q := range r.Quotas {
		put(q.Path, 0, int32(q.Unit), &zk.Stat{Mzxid: q.Now, Czxid: q.Limit})
	}
	put("", 0, r.Session.TimeoutMs, &zk.Stat{Czxid: r.Session.ID, Mzxid: int64(r.Session.Owner), Pzxid: int64(r.Session.PreviousOwner)})
	f.buf = b
	return xxhash.Sum64(b)
}

func (f *forest) digest() uint64 { return f.tree.Digest() }

func (f *forest) expiry(term uint64, r random) []byte {
	c := tree.Command{Kind: tree.KindExpire, Term: term}
	if r.chance(0.3) {
		c.Kind = tree.KindReap
		for _, path := range f.tree.Reapable(f.lastMs, 4) {
			c.Ops = append(c.Ops, tree.Op{Code: zk.OpDeleteContainer, Path: path})
		}
		if len(c.Ops) == 0 {
			return nil
		}
		return c.Append(nil)
	}
	skip := r.IntN(max(1, f.tree.SessionCount()))
	f.tree.Sessions(func(s tree.SessionInfo) bool {
		if skip--; skip < 0 {
			c.Sessions = append(c.Sessions, s.ID)
		}
		return skip >= 0
	})
	if len(c.Sessions) == 0 {
		return nil
	}
	return c.Append(nil)
}

type forestView struct{ *tree.View }

func (f *forest) view() (machineView, error) { return forestView{f.tree.View()}, nil }

func (v forestView) writeTo(w io.Writer) error {
	_, err := v.WriteTo(w)
	return err
}

func (v forestView) close() { v.Close() }

func (f *forest) restore(r io.Reader) error {
	if err := f.tree.Restore(r); err != nil {
		return err
	}
	f.zxid = f.tree.LastZxid()
	if err := f.tree.Check(); err != nil {
		return fmt.Errorf("a restored tree is not sound: %w", err)
	}
	return nil
}
