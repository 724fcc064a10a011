package tree_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"gopherwood/internal/tree"
	"gopherwood/zk"
)

var (
	genPath = rapid.SampledFrom([]string{
		"/a", "/b", "/c", "/a/a", "/a/b", "/a/c", "/b/a", "/b/b", "/a/b/c", "/a/b/c/d", "/c/é", "/zookeeper/x",
		"/a", "/b", "/a/a", "/a/b", "/b/a", "/a/", "/b/", "/", "/a/b/", // a slash at the end is good for a sequence
		"", "a", "a/b", "//", "//a", "/a//b", "/a/.", "/a/..", "/a\x00", "/a/\x1f", "/a/\x7f", "/a/\xff", "/a/\u0085", "/a/\ue000", "/a/\U0001f333",
		"/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/a0000000001", "/a/0000000000", "/x/y",
	})
	genData = rapid.SampledFrom([][]byte{nil, {}, []byte("x"), []byte("some data"), bytes.Repeat([]byte("long "), 60), bytes.Repeat([]byte("huge "), 10000)})
	bob     = zk.ID{Scheme: "digest", ID: "bob:x"}
	home    = zk.ID{Scheme: "ip", ID: "10.1.2.3"}
	genAuth = rapid.SampledFrom([][]zk.ID{nil, nil, {bob}, {home}, {home, bob}, {{Scheme: "super"}}, {bob, {Scheme: "digest", ID: "ann:y:"}, bob}, {{Scheme: "ip", ID: "::1"}}, {{Scheme: "ip", ID: "host"}}})
	genACL  = rapid.SampledFrom([][]zk.ACL{
		zk.OpenACL(), zk.OpenACL(), zk.OpenACL(), zk.OpenACL(), zk.OpenACL(), zk.OpenACL(),
		nil,
		{},
		{{Perms: zk.PermAll, ID: bob}},
		{{Perms: zk.PermAll, ID: zk.ID{Scheme: "auth"}}},
		{{Perms: zk.PermRead, ID: zk.ID{Scheme: "auth"}}, {Perms: zk.PermRead, ID: bob}, {Perms: zk.PermAll &^ zk.PermRead, ID: zk.WorldAnyone}},
		{{Perms: zk.PermRead, ID: zk.WorldAnyone}, {Perms: zk.PermRead, ID: zk.WorldAnyone}, {Perms: zk.PermAll, ID: home}},
		{{Perms: zk.PermAll, ID: zk.ID{Scheme: "ip", ID: "10.0.0.0/8"}}, {Perms: zk.PermCreate | zk.PermDelete, ID: zk.WorldAnyone}},
		{{Perms: zk.PermAll, ID: zk.ID{Scheme: "ip", ID: "::1"}}, {Perms: zk.PermAll &^ zk.PermDelete, ID: zk.WorldAnyone}},
		{{Perms: zk.PermAll, ID: zk.ID{Scheme: "ip", ID: "fe80::/10"}}},
		{{Perms: 0, ID: zk.WorldAnyone}},
		{{Perms: zk.PermAll, ID: zk.ID{Scheme: "world", ID: "bob"}}},
		{{Perms: zk.PermAll, ID: zk.ID{Scheme: "digest", ID: "bob"}}},
		{{Perms: zk.PermAll, ID: zk.ID{Scheme: "digest", ID: "a:b:c"}}},
		{{Perms: zk.PermAll, ID: zk.ID{Scheme: "digest", ID: "bob:"}}},
		{{Perms: zk.PermAll, ID: zk.ID{Scheme: "digest", ID: ":x"}}, {Perms: zk.PermAll, ID: zk.ID{Scheme: "digest", ID: "ann:y:"}}},
		{{Perms: zk.PermAll, ID: zk.ID{Scheme: "ip", ID: "10.0.0.0/33"}}},
		{{Perms: zk.PermAll, ID: zk.ID{Scheme: "ip", ID: "10.0.0"}}},
		{{Perms: zk.PermAll, ID: zk.ID{Scheme: "sasl", ID: "bob"}}},
		{{Perms: zk.PermAll, ID: zk.ID{Scheme: "super", ID: ""}}},
	})
	genVersion = rapid.SampledFrom([]int32{-1, -1, -1, -1, 0, 0, 1, 2, -2, 7})
	genMode    = rapid.SampledFrom([]zk.CreateMode{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, -1})
	genTTL     = rapid.SampledFrom([]int64{1, 5, 1000, zk.MaxTTL, zk.MaxTTL + 1, 0, -1})
	genSession = rapid.SampledFrom([]int64{1, 1, 1, 2, 2, 3, 0x7f00000000000001, -1 << 63})
	genOp      = rapid.Custom(drawOp)
	genCommand = rapid.Custom(drawCommand)
)

func drawOp(t *rapid.T) tree.Op {
	o := tree.Op{Path: genPath.Draw(t, "path")}
	o.Code = rapid.SampledFrom([]zk.OpCode{
		zk.OpCreate, zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL, zk.OpDelete, zk.OpDelete, zk.OpSetData, zk.OpSetACL, zk.OpCheck,
	}).Draw(t, "op")
	switch o.Code {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		o.Data, o.ACL, o.Mode = genData.Draw(t, "data"), genACL.Draw(t, "acl"), genMode.Draw(t, "mode")
		if o.Code == zk.OpCreateTTL {
			o.TTL = genTTL.Draw(t, "ttl")
			if rapid.Bool().Draw(t, "fitting") {
				o.Mode = zk.ModeTTL + o.Mode&1
			}
		}
	case zk.OpSetData:
		o.Data, o.Version = genData.Draw(t, "data"), genVersion.Draw(t, "version")
	case zk.OpSetACL:
		o.ACL, o.Version = genACL.Draw(t, "acl"), genVersion.Draw(t, "version")
	default:
		o.Version = genVersion.Draw(t, "version")
	}
	return o
}

func drawCommand(t *rapid.T) *tree.Command {
	c := &tree.Command{}
	switch n := rapid.IntRange(0, 99).Draw(t, "kind"); {
	case n < 60:
		c.Kind, c.Session, c.Auth, c.Ops = tree.KindWrite, genSession.Draw(t, "session"), genAuth.Draw(t, "auth"), []tree.Op{genOp.Draw(t, "op")}
	case n < 80:
		c.Kind, c.Session, c.Auth = tree.KindMulti, genSession.Draw(t, "session"), genAuth.Draw(t, "auth")
		c.Ops = rapid.SliceOfN(genOp, 0, 6).Draw(t, "ops")
	case n < 86:
		c.Kind, c.Session, c.Timeout = tree.KindCreateSession, genSession.Draw(t, "session"), 4000
		c.Passwd[0] = byte(c.Session)
	case n < 90:
		c.Kind, c.Session = tree.KindAttachSession, genSession.Draw(t, "session")
		c.Timeout = rapid.SampledFrom([]int32{0, 9000}).Draw(t, "timeout")
		c.Passwd[0] = byte(c.Session)
		if rapid.IntRange(0, 3).Draw(t, "wrong") == 0 {
			c.Passwd[1] = 1
		}
	case n < 92:
		c.Kind, c.Session = tree.KindCloseSession, genSession.Draw(t, "session")
	case n < 94:
		c.Kind, c.Term = tree.KindExpire, rapid.Uint64Range(1, 2).Draw(t, "term")
		c.Sessions = rapid.SliceOfN(genSession, 0, 3).Draw(t, "sessions")
	case n < 98:
		c.Kind, c.Term = tree.KindReap, rapid.Uint64Range(1, 2).Draw(t, "term")
		for _, p := range rapid.SliceOfN(genPath, 0, 6).Draw(t, "paths") {
			c.Ops = append(c.Ops, tree.Op{Code: zk.OpDeleteContainer, Path: p})
		}
	case n < 99:
		c.Kind, c.Stage = tree.KindUnstage, rapid.Uint64Range(100, 101).Draw(t, "stage")
	default:
		c.Kind, c.Ops = tree.KindConfig, []tree.Op{{Code: zk.OpSetData, Data: genData.Draw(t, "data"), Version: -1}}
	}
	if c.Kind == tree.KindWrite || c.Kind == tree.KindMulti {
		c.EnforceQuota = rapid.Bool().Draw(t, "enforce")
		c.Local = rapid.IntRange(0, 7).Draw(t, "local") == 0
	}
	return c
}

var sameOutcome = cmpopts.EquateEmpty()

// rig is a tree, the model beside it, and a second tree that is fed the same log as bytes, with other hash keys, and restored from
// snapshots on the way.
type rig struct {
	t     *rapid.T
	tree  *tree.Tree
	model *model
	twin  *tree.Tree
	views []shot
	env   tree.Env

	result, twinResult tree.Result
	decoded            tree.Command
	log                []byte
}

// shot is a View and what it must show.
type shot struct {
	view  *tree.View
	model *model
	check uint64
}

func (r *rig) apply(c *tree.Command) {
	r.env.Index++
	r.env.TimeMs += rapid.Int64Range(0, 4).Draw(r.t, "ms")
	r.env.Origin = uint64(rapid.SampledFrom([]int{8, 8, 8, 8, 9}).Draw(r.t, "origin"))
	r.env.Term = 1
	r.log = c.Append(r.log[:0])
	if err := r.decoded.Decode(r.log); err != nil {
		r.t.Fatalf("decode %+v: %v", c, err)
	}
	want := r.model.apply(r.env, c)
	r.tree.Apply(r.env, c, &r.result)
	r.twin.Apply(r.env, &r.decoded, &r.twinResult)
	got, twin := outcomeOf(r.tree, &r.result), outcomeOf(r.twin, &r.twinResult)
	if d := cmp.Diff(want, got, sameOutcome); d != "" {
		r.t.Fatalf("%+v\nmodel (-) and tree (+) differ:\n%s", c, d)
	}
	if d := cmp.Diff(want, twin, sameOutcome); d != "" {
		r.t.Fatalf("%+v\nmodel (-) and twin (+) differ:\n%s", c, d)
	}
	for i := range r.log { // the tree must not have kept what aliases the log
		r.log[i] = 0xee
	}
}

func (r *rig) check() {
	if err := r.model.compare(r.tree); err != nil {
		r.t.Fatal(err)
	}
	if err := r.tree.Check(); err != nil {
		r.t.Fatal(err)
	}
	if err := r.twin.Check(); err != nil {
		r.t.Fatal(err)
	}
	if r.tree.Digest() != r.twin.Digest() {
		r.t.Fatal("digests of tree and twin differ")
	}
}

func (r *rig) takeView() {
	if len(r.views) == 3 {
		r.closeView()
	}
	r.views = append(r.views, shot{view: r.tree.View(), model: r.model.clone(), check: r.tree.Digest()})
}

// closeView writes a random one of the views, restores it and compares.
func (r *rig) closeView() {
	if len(r.views) == 0 {
		return
	}
	i := rapid.IntRange(0, len(r.views)-1).Draw(r.t, "view")
	s := r.views[i]
	r.views = append(r.views[:i], r.views[i+1:]...)
	b := snapshot(r.t, s.view)
	restored := tree.New(tree.Options{})
	if err := restored.Restore(bytes.NewReader(b)); err != nil {
		r.t.Fatal(err)
	}
	if err := s.model.compare(restored); err != nil {
		r.t.Fatal("restored view: ", err)
	}
	if err := restored.Check(); err != nil {
		r.t.Fatal("restored view: ", err)
	}
	if restored.Digest() != s.check || s.view.Digest() != s.check {
		r.t.Fatal("restored view has another digest")
	}
	if again := snapshot(r.t, restored.View()); !bytes.Equal(b, again) {
		r.t.Fatal("restored view is written otherwise")
	}
	s.view.Close()
}

type fataler interface{ Fatal(...any) }

func snapshot(t fataler, v *tree.View) []byte {
	var b bytes.Buffer
	n, err := v.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatal("WriteTo: ", n, b.Len(), err)
	}
	return b.Bytes()
}

// restoreTwin sends the twin through a snapshot, and says that both trees give the same bytes.
func (r *rig) restoreTwin() {
	v, w := r.tree.View(), r.twin.View()
	a, b := snapshot(r.t, v), snapshot(r.t, w)
	v.Close()
	w.Close()
	if !bytes.Equal(a, b) {
		r.t.Fatal("the twin's snapshot differs")
	}
	if err := r.twin.Restore(bytes.NewReader(a)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) read() {
	path, auth := genPath.Draw(r.t, "path"), genAuth.Draw(r.t, "auth")
	want := zk.OK
	n := r.model.get(path)
	if n == nil {
		want = zk.ErrNoNode
	} else if !mayDo(n, zk.PermRead, auth) {
		want = zk.ErrNoAuth
	}
	_, _, got := r.tree.Get(path, auth)
	_, children := r.tree.Children(path, auth, func([]byte) bool { return true })
	_, all := r.tree.AllChildrenNumber(path, auth)
	if got != want || children != want || all != want {
		r.t.Fatalf("read %q as %v: %v %v %v, want %v", path, auth, got, children, all, want)
	}
	if _, exists := r.tree.Exists(path, auth); exists != want && path != "/a\x00" {
		r.t.Fatalf("exists %q as %v: %v, want %v", path, auth, exists, want)
	}
	acl, _, code := r.tree.ACL(path, auth)
	if code == zk.OK && !mayDo(n, zk.PermAdmin, auth) && len(acl) > 0 && acl[0].ID == bob {
		r.t.Fatalf("ACL of %q as %v shows %v", path, auth, acl)
	}
}

func TestTreeIsTheModel(t *testing.T) { checkAgainstModel(t, genCommand) }

// checkAgainstModel gives a tree, its twin and the model the same commands, with views and restores in between.
func checkAgainstModel(t *testing.T, commands *rapid.Generator[*tree.Command]) {
	rapid.Check(t, func(t *rapid.T) {
		r := &rig{t: t, tree: tree.New(tree.Options{Seed: 1}), twin: tree.New(tree.Options{}), model: newModel(), env: tree.Env{TimeMs: 1 << 40}}
		for _, id := range []int64{1, 2} {
			r.env.Origin = 8
			r.apply(&tree.Command{Kind: tree.KindCreateSession, Session: id, Timeout: 4000, Passwd: [16]byte{byte(id)}})
		}
		for _, c := range quotaSetup(1, rapid.MapOfN(genQuotaOn, genLimits, 0, 3).Draw(t, "quotas")) {
			r.apply(c)
		}
		for range rapid.IntRange(20, 160).Draw(t, "steps") {
			switch n := rapid.IntRange(0, 99).Draw(t, "step"); {
			case n < 80:
				r.apply(commands.Draw(t, "command"))
			case n < 88:
				r.read()
			case n < 92:
				r.takeView()
			case n < 95:
				r.closeView()
			case n < 97:
				r.restoreTwin()
			case n < 98:
				r.replace(commands)
			default:
				r.check()
			}
		}
		r.check()
		r.restoreTwin()
		for len(r.views) > 0 {
			r.closeView()
		}
	})
}

// TestCommandRoundTrip holds decode∘encode = id.
func TestCommandRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genCommand.Draw(t, "command")
		b := want.Append(nil)
		var got tree.Command
		if err := got.Decode(b); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, &got, sameOutcome, cmpopts.IgnoreUnexported(tree.Command{}), cmpopts.IgnoreFields(tree.Op{}, "Data")); d != "" {
			t.Fatal(d)
		}
		for i := range got.Ops {
			if g, w := got.Ops[i].Data, want.Ops[i].Data; !bytes.Equal(g, w) || (g == nil) != (w == nil) {
				t.Fatalf("data %q became %q", w, g)
			}
		}
		if again := got.Append(nil); !bytes.Equal(b, again) {
			t.Fatalf("%x became %x", b, again)
		}
		if n := rapid.IntRange(0, len(b)-1).Draw(t, "cut"); got.Decode(b[:n]) == nil {
			t.Fatalf("the first %d of %d bytes decode", n, len(b))
		}
	})
}
