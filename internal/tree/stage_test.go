package tree_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gopherwood/internal/tree"
	"gopherwood/zk"
)

// replace stages what a View shows, with other commands in between, makes it the state, and compares with what the model makes of it.
func (r *rig) replace(commands *rapid.Generator[*tree.Command]) {
	if len(r.views) == 0 {
		return
	}
	shot := r.views[rapid.IntRange(0, len(r.views)-1).Draw(r.t, "view")]
	b := snapshot(r.t, shot.view)
	id := rapid.Uint64Range(100, 101).Draw(r.t, "stage")
	r.apply(&tree.Command{Kind: tree.KindUnstage, Stage: id})
	for at := 0; at < len(b); {
		n := min(len(b)-at, rapid.IntRange(1, 20_000).Draw(r.t, "chunk"))
		r.apply(&tree.Command{Kind: tree.KindStage, Stage: id, Offset: uint64(at), Data: b[at : at+n]})
		at += n
		switch rapid.IntRange(0, 5).Draw(r.t, "between") {
		case 0:
			if c := commands.Draw(r.t, "command"); c.Kind != tree.KindUnstage {
				r.apply(c)
			}
		case 1:
			r.restoreTwin()
		case 2:
			r.takeView()
		}
	}
	c := &tree.Command{Kind: tree.KindRestore, Stage: id, Offset: uint64(len(b))}
	r.model.next = shot.model.clone()
	r.apply(c)
	r.check()
}

// restore is what KindRestore makes of the model's state and that of next.
func (m *model) restore(o *outcome) {
	next := m.next
	next.zxid = max(m.zxid, next.zxid) + 1
	next.replaced, o.Zxid = next.zxid, next.zxid
	was, is := m.nodes["/zookeeper/config"], next.nodes["/zookeeper/config"]
	is.data, is.stat.Version, is.stat.Mzxid, is.stat.Mtime = was.data, was.stat.Version, was.stat.Mzxid, was.stat.Mtime
	is.acl, is.stat.Aversion = was.acl, was.stat.Aversion
	ephemerals := func(m *model, id int64) map[string]int64 {
		all := map[string]int64{}
		for p, n := range m.nodes {
			if n.kind == "ephemeral" && n.owner == id {
				all[p] = n.stat.Czxid
			}
		}
		return all
	}
	for _, id := range slices.Sorted(maps.Keys(next.sessions)) {
		s := m.sessions[id]
		switch {
		case s == nil:
		case s.passwd == next.sessions[id].passwd && maps.Equal(ephemerals(m, id), ephemerals(next, id)):
			next.sessions[id] = s
		default:
			next.zxid--
			next.end(id, &outcome{})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(m.sessions)) {
		if next.sessions[id] == nil {
			o.Closed = append(o.Closed, tree.ClosedSession{ID: id, Owner: m.sessions[id].owner})
		}
	}
	*m = *next
}

// stager stages snapshots in a tree.
type stager struct {
	*writer
	env tree.Env
}

func (s *stager) stage(id, offset uint64, data []byte) zk.Code {
	s.Apply(s.env, &tree.Command{Kind: tree.KindStage, Stage: id, Offset: offset, Data: data}, &s.r)
	return s.r.Code
}

func (s *stager) restore(id, size uint64) zk.Code {
	s.Apply(s.env, &tree.Command{Kind: tree.KindRestore, Stage: id, Offset: size}, &s.r)
	return s.r.Code
}

// TestStagedNonsense: what is no snapshot, or not all of one, changes nothing but what is staged.
func TestStagedNonsense(t *testing.T) {
	s := &stager{writer: small(t), env: benchEnv}
	good := snapshot(t, s.View())
	s.create("/later")
	before := s.Digest()
	headless := tree.New(tree.Options{})
	empty := snapshot(t, headless.View())
	for name, b := range map[string][]byte{
		"nothing of one":     []byte("something else"),
		"ZooKeeper's":        append([]byte("ZKSN\x00\x00\x00\x02"), make([]byte, 100)...),
		"cut short":          good[:len(good)-1],
		"a byte too many":    append(bytes.Clone(good), 0),
		"a wrong byte":       append(append(bytes.Clone(good[:100]), good[100]^1), good[101:]...),
		"no quota directory": bytes.Replace(empty, []byte("quota"), []byte("quotb"), 1),
	} {
		if code := s.stage(1, 0, b); code != zk.OK {
			t.Fatalf("%s: %v", name, code)
		}
		if _, err := tree.CheckSnapshot(tree.Options{}, bytes.NewReader(b)); err == nil {
			t.Errorf("%s passes CheckSnapshot", name)
		}
		if code := s.restore(1, uint64(len(b))); code != zk.ErrMarshalling {
			t.Errorf("%s: %v", name, code)
		}
		if s.Digest() != before {
			t.Errorf("%s: the state has changed", name)
		}
		if err := s.Check(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for _, step := range []struct {
		id, offset uint64
		data       string
		want       zk.Code
	}{
		{0, 0, "x", zk.ErrBadArguments},
		{1, 1, "x", zk.ErrBadArguments},
		{1, 0, "", zk.ErrBadArguments},
		{1, 0, "abc", zk.OK},
		{1, 0, "abc", zk.ErrBadArguments},
		{1, 4, "d", zk.ErrBadArguments},
		{2, 3, "d", zk.ErrBadArguments},
		{1, 3, "d", zk.OK},
		{2, 0, "takes its place", zk.OK},
		{1, 4, "e", zk.ErrBadArguments},
	} {
		if code := s.stage(step.id, step.offset, []byte(step.data)); code != step.want {
			t.Errorf("%+v: %v", step, code)
		}
	}
	for _, wrong := range [][2]uint64{{1, 4}, {2, 14}, {2, 16}, {3, 0}} {
		if code := s.restore(wrong[0], wrong[1]); code != zk.ErrBadArguments {
			t.Errorf("restore %v: %v", wrong, code)
		}
	}
	s.Apply(s.env, &tree.Command{Kind: tree.KindUnstage, Stage: 1}, &s.r)
	if s.Digest() == before {
		t.Error("another's word has unstaged it")
	}
	s.SetStagedSize(tree.MaxStagedBytes - 2)
	if code := s.stage(2, tree.MaxStagedBytes-2, []byte("xyz")); code != zk.ErrBadArguments {
		t.Errorf("beyond the bound: %v", code)
	}
	s.env.TimeMs += 10*60*1000 + 1
	s.Apply(s.env, &tree.Command{Kind: tree.KindUnstage, Stage: 77}, &s.r)
	if s.Digest() != before {
		t.Error("what nobody adds to is not given up")
	}
}

// TestRestoreStaged: what outlives a restore, and what does not.
func TestRestoreStaged(t *testing.T) {
	s := &stager{writer: small(t), env: benchEnv} // session 1 has /a/e
	session := func(id int64) {
		s.Apply(benchEnv, &tree.Command{Kind: tree.KindCreateSession, Session: id, Timeout: 4000, Passwd: [16]byte{byte(id)}}, &s.r)
	}
	by := func(id int64, ops ...tree.Op) {
		t.Helper()
		for _, op := range ops {
			s.Apply(benchEnv, &tree.Command{Kind: tree.KindWrite, Session: id, Ops: []tree.Op{op}}, &s.r)
			if s.r.Code != zk.OK {
				t.Fatal(op, s.r.Code)
			}
		}
	}
	lock := func(path string) tree.Op {
		return tree.Op{Code: zk.OpCreate, Path: path, ACL: openACL, Mode: zk.ModeEphemeral}
	}
	gone := func(path string) tree.Op { return tree.Op{Code: zk.OpDelete, Path: path, Version: -1} }
	for id := int64(2); id <= 5; id++ {
		session(id)
		by(id, lock(fmt.Sprintf("/a/of%d", id)))
	}
	s.Apply(benchEnv, &tree.Command{Kind: tree.KindConfig, Ops: []tree.Op{{Code: zk.OpSetData, Data: []byte("of then")}}}, &s.r)
	v := s.View()
	b, then := snapshot(t, v), v.Zxid()
	v.Close()
	// 1 stays as it was; 2 takes one more; 3 loses one and gets it anew; 4 has ended; 5 gives one up; 6 is new.
	by(2, lock("/a/more"))
	by(3, gone("/a/of3"), lock("/a/of3"))
	s.Apply(benchEnv, &tree.Command{Kind: tree.KindCloseSession, Session: 4}, &s.r)
	by(5, gone("/a/of5"))
	session(6)
	by(6, tree.Op{Code: zk.OpSetData, Path: "/a", Data: []byte("new"), Version: -1}, lock("/a/of6"))
	s.Apply(benchEnv, &tree.Command{Kind: tree.KindConfig, Ops: []tree.Op{{Code: zk.OpSetData, Data: []byte("of now")}}}, &s.r)
	seen := s.LastZxid()

	if code := s.stage(9, 0, b); code != zk.OK {
		t.Fatal(code)
	}
	if code := s.restore(9, uint64(len(b))); code != zk.OK {
		t.Fatal(code)
	}
	if got := s.LastZxid(); got != seen+1 || s.r.Zxid != got || then >= seen {
		t.Errorf("zxid 0x%x after 0x%x", got, seen)
	}
	if want := []tree.ClosedSession{{ID: 2, Owner: 1}, {ID: 3, Owner: 1}, {ID: 5, Owner: 1}, {ID: 6, Owner: 1}}; cmp.Diff(want, s.r.Closed) != "" || len(s.r.Events) != 0 {
		t.Errorf("ended %v, events %v", s.r.Closed, s.r.Events)
	}
	var left []string
	s.Children("/a", nil, func(name []byte) bool { left = append(left, string(name)); return true })
	slices.Sort(left)
	if got := strings.Join(left, " "); got != "b e of4 t" { // 4 may still have a client elsewhere: it expires if not
		t.Errorf("children of /a: %s", got)
	}
	if data, stat, _ := s.Get("/zookeeper/config", nil); string(data) != "of now" || stat.Version != -1 {
		t.Errorf("config %q, %+v", data, stat)
	}
	if data, _, _ := s.Get("/a", nil); string(data) == "new" {
		t.Error("/a has the data that it had before the restore")
	}
	if _, mzxid, pzxid, _ := s.WatchState("/c"); mzxid != seen+1 || pzxid != seen+1 {
		t.Errorf("a client that has seen 0x%x would not be told: 0x%x 0x%x", seen, mzxid, pzxid)
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	s.create("/after")
	v = s.View()
	again := tree.New(tree.Options{})
	if err := again.Restore(bytes.NewReader(snapshot(t, v))); err != nil {
		t.Fatal(err)
	}
	if _, mzxid, _, _ := again.WatchState("/c"); again.Digest() != s.Digest() || mzxid != seen+1 {
		t.Error("a server that got this state differs")
	}
}

// TestUnstage: a snapshot for elsewhere does not carry what somebody is staging here.
func TestUnstage(t *testing.T) {
	s := &stager{writer: small(t), env: benchEnv}
	plain := snapshot(t, s.View())
	s.stage(1, 0, []byte("half of something"))
	v := s.View()
	if b := snapshot(t, v); !bytes.Contains(b, []byte("half of something")) || binary.LittleEndian.Uint32(b[8:]) != 2 {
		t.Error("a member that gets this snapshot misses what is staged")
	}
	v.Unstage()
	if b := snapshot(t, v); !bytes.Equal(b, plain) {
		t.Error("something of it is left")
	}
}

// TestRestoreKeepsWhoMayReconfigure: who may change the members is not for a snapshot to say either.
func TestRestoreKeepsWhoMayReconfigure(t *testing.T) {
	super := []zk.ID{{Scheme: "super", ID: "x"}}
	setACL := func(s *stager, perms zk.Perms) {
		t.Helper()
		c := &tree.Command{Kind: tree.KindWrite, Session: 1, Auth: super, Ops: []tree.Op{{Code: zk.OpSetACL, Path: "/zookeeper/config", Version: -1,
			ACL: []zk.ACL{{Perms: perms, ID: zk.WorldAnyone}}}}}
		if s.Apply(benchEnv, c, &s.r); s.r.Code != zk.OK {
			t.Fatal(s.r.Code)
		}
	}
	crafted := &stager{writer: small(t), env: benchEnv}
	setACL(crafted, zk.PermAll)
	v := crafted.View()
	b := snapshot(t, v)
	v.Close()
	s := &stager{writer: small(t), env: benchEnv}
	if s.stage(9, 0, b) != zk.OK || s.restore(9, uint64(len(b))) != zk.OK {
		t.Fatal(s.r.Code)
	}
	if s.Permits("/zookeeper/config", zk.PermWrite, nil) || !s.Permits("/zookeeper/config", zk.PermRead, nil) {
		t.Error("/zookeeper/config has the ACL of the snapshot")
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}
