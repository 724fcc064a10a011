package tree

import (
	"bytes"
	"testing"

	"gopherwood/zk"
)

func TestSmoke(t *testing.T) {
	tr := New(Options{})
	var r Result
	env := Env{Index: 1, Term: 1, TimeMs: 1000, Origin: 7}
	tr.Apply(env, &Command{Kind: KindCreateSession, Session: 5, Timeout: 1000}, &r)
	c := Command{Kind: KindWrite, Session: 5, Ops: []Op{{Code: zk.OpCreate, Path: "/a-", Data: []byte("x"), ACL: zk.OpenACL(), Mode: zk.ModeEphemeralSequential}}}
	var d Command
	if err := d.Decode(c.Append(nil)); err != nil {
		t.Fatal(err)
	}
	tr.Apply(env, &d, &r)
	if r.Code != zk.OK || r.Path != "/a-0000000000" {
		t.Fatal(r)
	}
	data, st, code := tr.Get("/a-0000000000", nil)
	t.Log(string(data), st, code)
	v := tr.View()
	var b bytes.Buffer
	if _, err := v.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	v.Close()
	t2 := New(Options{})
	if err := t2.Restore(&b); err != nil {
		t.Fatal(err)
	}
	if t2.Digest() != tr.Digest() {
		t.Fatal("digest")
	}
	tr.Apply(env, &Command{Kind: KindCloseSession, Session: 5}, &r)
	if r.Code != zk.OK || tr.NodeCount() != 4 || len(r.Events) != 2 {
		t.Fatal(r)
	}
}
