package server

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"gopherwood/internal/audit"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// TestAudit: each change, and each attempt at one, has one line, on the server that its client is connected to; the end of a session one on each server for each
// node that goes with it.
func TestAudit(t *testing.T) {
	var files [2]bytes.Buffer
	var logs [2]*audit.Log
	for i := range files {
		logs[i] = audit.New(&files[i], quietLog(t))
	}
	e := secured(t, 2, func(c *Config) { c.Audit = logs[c.ID-1] })
	bob := e.saslClient(0, "bob")
	bob.must(zk.OpAuth, &wire.AuthPacket{Scheme: "digest", Auth: []byte("joe:" + bobSecret)})
	bob.create("/a", "data is in no line", zk.ModePersistent)
	bob.create("/a/n-", "", zk.ModeEphemeralSequential)
	h, _ := bob.call(zk.OpCreate, createReq("/a", "", zk.ModePersistent))
	if h.Err != zk.ErrNodeExists {
		t.Fatal(h.Err)
	}
	bob.must(zk.OpSetData, setReq("/a", "x"))
	bob.get("/a", false)
	digest := zk.ACL{Perms: zk.PermRead | zk.PermAdmin, ID: zk.ID{Scheme: "digest", ID: (&Server{}).digestID("joe:" + bobSecret)}}
	bob.must(zk.OpSetACL, &wire.SetACLRequest{Path: "/a", ACL: []zk.ACL{saslACL("bob"), digest}, Version: -1})
	bob.must(zk.OpMulti, &wire.MultiRequest{Ops: []wire.Op{{Type: zk.OpCheck, Path: "/a", Version: -1}, {Type: zk.OpCreate, Path: "/m", ACL: zk.OpenACL()}, {Type: zk.OpDelete, Path: "/m", Version: -1}}})
	bob.call(zk.OpMulti, &wire.MultiRequest{Ops: []wire.Op{{Type: zk.OpDelete, Path: "/none", Version: -1}}})
	bob.call(zk.OpDelete, &wire.DeleteRequest{Path: "/no\nne", Version: -1})
	e.client(1).call(zk.OpSetData, setReq("/a", "x"))
	bob.must(zk.OpCloseSession, nil)
	bob.ended()
	e.quiet()
	e.close()
	for _, l := range logs {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	const who = "session=0xS\tuser=127.0.0.1,bob,joe\tip=127.0.0.1\t"
	gone := "session=0xS\tuser=" + audit.ServerUser() + "\toperation=ephemeralZNodeDeletionOnSessionCloseOrExpire\tznode=/a/n-0000000000\tresult=success"
	want := [2][]string{{
		who + "operation=create\tznode=/a\tznode_type=persistent\tresult=success",
		who + "operation=create\tznode=/a/n-0000000000\tznode_type=ephemeral_sequential\tresult=success",
		who + "operation=create\tznode=/a\tznode_type=persistent\tresult=failure",
		who + "operation=setData\tznode=/a\tresult=success",
		who + "operation=setAcl\tznode=/a\tacl=sasl:bob:cdrwa,digest:joe:x:ra\tresult=success",
		who + "operation=create\tznode=/m\tznode_type=persistent\tresult=success",
		who + "operation=delete\tznode=/m\tresult=success",
		who + "operation=multiOperation\tresult=failure",
		who + "operation=delete\tznode=/no\\u000ane\tresult=failure",
		gone,
	}, {
		"session=0xS\tuser=127.0.0.1\tip=127.0.0.1\toperation=setData\tznode=/a\tresult=failure",
		gone,
	}}
	session := regexp.MustCompile(`session=0x[0-9a-f]+`)
	for i := range files {
		var got []string
		for line := range strings.Lines(files[i].String()) {
			_, line, _ = strings.Cut(strings.TrimSuffix(line, "\n"), "Logger: ")
			got = append(got, session.ReplaceAllString(line, "session=0xS"))
		}
		if g, w := strings.Join(got, "\n"), strings.Join(want[i], "\n"); g != w {
			t.Errorf("server %d:\n%s\nwant\n%s", i+1, g, w)
		}
	}
}
