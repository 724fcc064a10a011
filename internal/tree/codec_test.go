package tree_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"gopherwood/internal/tree"
	"gopherwood/zk"
)

// goldenCommands are the bytes of docs/format/command.md: a change here is a change of the log's format.
var goldenCommands = []struct {
	name string
	c    tree.Command
	hex  string
}{
	{"create", tree.Command{Kind: tree.KindWrite, Session: 0x0102030405060708, Ops: []tree.Op{{Code: zk.OpCreate, Path: "/a", Data: []byte("xy"), ACL: zk.OpenACL()}}},
		"01 01 0807060504030201 00 01 01 022f61 037879 00 00"},
	{"create2 sequential, null data, an ACL", tree.Command{Kind: tree.KindWrite, Session: 1, Auth: []zk.ID{{Scheme: "ip", ID: "::1"}}, Ops: []tree.Op{{Code: zk.OpCreate2, Path: "/a", ACL: []zk.ACL{{Perms: 31, ID: zk.ID{Scheme: "auth"}}}, Mode: zk.ModePersistentSequential}}},
		"01 01 0100000000000000 01 026970 033a3a31 01 0f 022f61 00 02 3e 0461757468 00 04"},
	{"createTTL, empty data, empty ACL", tree.Command{Kind: tree.KindWrite, Session: 1, Ops: []tree.Op{{Code: zk.OpCreateTTL, Path: "/a", Data: []byte{}, Mode: zk.ModeTTL, TTL: 1000}}},
		"01 01 0100000000000000 00 01 15 022f61 01 01 0a d00f"},
	{"multi", tree.Command{Kind: tree.KindMulti, Session: 1, Ops: []tree.Op{{Code: zk.OpDelete, Path: "/a", Version: -1}, {Code: zk.OpSetData, Path: "/b", Data: []byte("z"), Version: 3}, {Code: zk.OpCheck, Path: "/c"}}},
		"01 02 0100000000000000 00 03 02 022f61 01 05 022f62 027a 06 0d 022f63 00"},
	{"setData of a local session", tree.Command{Kind: tree.KindWrite, Session: 1, Local: true, Ops: []tree.Op{{Code: zk.OpSetData, Path: "/b", Data: []byte("z"), Version: 3}}},
		"01 41 0100000000000000 00 01 05 022f62 027a 06"},
	{"setData bound by quotas", tree.Command{Kind: tree.KindWrite, Session: 1, EnforceQuota: true, Ops: []tree.Op{{Code: zk.OpSetData, Path: "/b", Data: []byte("z"), Version: 3}}},
		"01 81 0100000000000000 00 01 05 022f62 027a 06"},
	{"setACL", tree.Command{Kind: tree.KindWrite, Session: 1, Ops: []tree.Op{{Code: zk.OpSetACL, Path: "/a", ACL: zk.OpenACL(), Version: -1}}},
		"01 01 0100000000000000 00 01 07 022f61 00 01"},
	{"create session", tree.Command{Kind: tree.KindCreateSession, Session: 2, Timeout: 4000, Passwd: [16]byte{1, 2, 15: 16}},
		"01 03 0200000000000000 c03e 01020000000000000000000000000010"},
	{"attach session", tree.Command{Kind: tree.KindAttachSession, Session: 2}, "01 04 0200000000000000 00 00000000000000000000000000000000"},
	{"close session", tree.Command{Kind: tree.KindCloseSession, Session: 2}, "01 05 0200000000000000"},
	{"expire", tree.Command{Kind: tree.KindExpire, Term: 300, Sessions: []int64{1, -1}}, "01 06 ac02 02 0100000000000000 ffffffffffffffff"},
	{"reap", tree.Command{Kind: tree.KindReap, Term: 2, Ops: []tree.Op{{Code: zk.OpDeleteContainer, Path: "/c"}}}, "01 07 02 01 14 022f63"},
	{"config", tree.Command{Kind: tree.KindConfig, Ops: []tree.Op{{Code: zk.OpSetData, Data: []byte("s"), Version: -1}}}, "01 08 01 05 00 0273 01"},
	{"stage", tree.Command{Kind: tree.KindStage, Stage: 7, Offset: 300, Data: []byte("gw")}, "01 09 0700000000000000 ac02 6777"},
	{"restore", tree.Command{Kind: tree.KindRestore, Stage: 7, Offset: 302}, "01 0a 0700000000000000 ae02"},
	{"unstage", tree.Command{Kind: tree.KindUnstage, Stage: 7}, "01 0b 0700000000000000"},
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCommandBytes(t *testing.T) {
	for _, g := range goldenCommands {
		want := unhex(t, g.hex)
		if got := g.c.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("%s:\n%x, want\n%x", g.name, got, want)
		}
		var c tree.Command
		if err := c.Decode(want); err != nil {
			t.Errorf("%s: %v", g.name, err)
		} else if got := c.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("%s: %x after decoding", g.name, got)
		}
	}
}

func TestMalformedCommands(t *testing.T) {
	for name, b := range map[string]string{
		"nothing":                     "",
		"another version":             "02 05 0200000000000000",
		"unknown kind":                "01 0c",
		"half a stage":                "01 09 070000",
		"no offset":                   "01 0a 0700000000000000",
		"restore with data":           "01 0a 0700000000000000 01 00",
		"kind 0":                      "01 00",
		"bound by quotas, no write":   "01 85 0200000000000000",
		"bytes left over":             "01 05 0200000000000000 00",
		"two ops in a write":          "01 01 0100000000000000 00 02 02 00 01 02 00 01",
		"no op in a write":            "01 01 0100000000000000 00 00",
		"unknown operation":           "01 01 0100000000000000 00 01 63 00",
		"count beyond the bytes":      "01 02 0100000000000000 00 ffff03",
		"identities beyond the limit": "01 02 0100000000000000 8108 " + strings.Repeat("0000", 1025) + "00",
		"ACL count beyond the bytes":  "01 01 0100000000000000 00 01 07 00 ffffffffffffffffff01 01",
		"length beyond the bytes":     "01 01 0100000000000000 00 01 02 ffffffffffffffffff01",
		"data beyond the bytes":       "01 01 0100000000000000 00 01 05 00 ffffffffffffffffff01 01",
		"a number of 11 bytes":        "01 06 ffffffffffffffffffff01 00",
		"a version out of range":      "01 01 0100000000000000 00 01 02 00 8080808010",
		"a mode out of range":         "01 01 0100000000000000 00 01 01 00 00 00 8080808010",
	} {
		var c tree.Command
		if err := c.Decode(unhex(t, b)); !errors.Is(err, tree.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDecodeAllocatesNothing once its slices have grown.
func TestDecodeAllocatesNothing(t *testing.T) {
	for _, g := range goldenCommands {
		b := g.c.Append(nil)
		var c tree.Command
		if n := testing.AllocsPerRun(100, func() {
			if err := c.Decode(b); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", g.name, n)
		}
	}
}

// FuzzDecode holds that any bytes either are refused or are what Append makes of them, in one way at least, and that the tree
// survives them.
func FuzzDecode(f *testing.F) {
	for _, g := range goldenCommands {
		f.Add(g.c.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, again tree.Command
		if c.Decode(b) != nil {
			return
		}
		if err := again.Decode(c.Append(nil)); err != nil {
			t.Fatalf("%x decodes, and not any more when encoded again: %v", b, err)
		}
		tr := tree.New(tree.Options{Seed: 1})
		var r tree.Result
		env := tree.Env{Index: 1, Term: 2, TimeMs: 5, Origin: 1}
		tr.Apply(env, &tree.Command{Kind: tree.KindCreateSession, Session: 1}, &r)
		tr.Apply(env, &c, &r)
		tr.Apply(env, &again, &r)
		if err := tr.Check(); err != nil {
			t.Fatal(err)
		}
	})
}
