package server

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gopherwood/internal/tree"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

const anyBody = "digest any:body"

func restorable(c *Config) { c.AdminInterval = time.Nanosecond }

// snapshotOf is what the admin port of members[i] gives.
func (e *ensemble) snapshotOf(i int) []byte {
	e.quiet()
	w := e.ask(i, "GET", "/commands/snapshot", anyBody, nil)
	if w.Code != 200 {
		e.t.Fatal(w.Code, w.Body)
	}
	return w.Body.Bytes()
}

func (e *ensemble) restore(i int, body io.Reader) *httptest.ResponseRecorder {
	return e.ask(i, "POST", "/commands/restore", anyBody, body)
}

// back opens a client's session again on members[i]; nil if it is no more.
func (e *ensemble) back(i int, c *rawClient) *rawClient {
	again := newClient(e.t, e.dial(i))
	again.session, again.passwd = c.session, c.passwd
	if r := again.handshake(&wire.ConnectRequest{TimeOut: 10_000, LastZxidSeen: int64(e.members[i].server.zxid.Load()), SessionID: c.session, Passwd: c.passwd}); r.SessionID != c.session {
		return nil
	}
	return again
}

// TestAdminRestore: the state of all servers becomes that of the snapshot, whichever of them gets it. All clients have to come back; a session that has the same
// ephemeral nodes in both states goes on, and its watches tell what they could not see.
func TestAdminRestore(t *testing.T) {
	e := newEnsemble(t, 3, restorable)
	keeps, loses := e.client(0), e.client(1)
	keeps.create("/a", "then", zk.ModePersistent)
	keeps.create("/mine", "", zk.ModeEphemeral)
	for i := range 3 { // more than one command of the restore
		keeps.create(fmt.Sprintf("/big%d", i), strings.Repeat("x", stageBytes), zk.ModePersistent)
	}
	b := e.snapshotOf(1)
	keeps.must(zk.OpSetData, &wire.SetDataRequest{Path: "/a", Data: []byte("now"), Version: -1})
	loses.create("/lock", "", zk.ModeEphemeral)
	e.quiet()
	before := e.members[0].server.zxid.Load()

	w := e.restore(2, bytes.NewReader(b))
	e.quiet()
	if want := fmt.Sprintf(`"last_zxid": "0x%x"`, before+1); w.Code != 200 || !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Body.String(), `"command": "restore"`) {
		t.Fatalf("%d %s, want %s", w.Code, w.Body, want)
	}
	for i, m := range e.members {
		if m.server.tree.Digest() != e.members[0].server.tree.Digest() {
			t.Errorf("server %d has another state", i+1)
		}
	}
	keeps.ended()
	loses.ended()
	if e.back(0, loses) != nil {
		t.Error("a session goes on that has lost its lock")
	}
	again := e.back(1, keeps)
	if again == nil {
		t.Fatal("a session is gone that has lost nothing")
	}
	if data, _, _ := again.get("/a", false); data != "then" {
		t.Errorf("/a is %q", data)
	}
	again.must(zk.OpSetWatches, &wire.SetWatches{RelativeZxid: before, DataWatches: []string{"/a"}})
	if want := eventNames[zk.EventNodeDataChanged] + " /a @-1"; len(again.events) != 1 || again.events[0] != want {
		t.Errorf("events %v: whoever has read \"now\" would not hear of \"then\"", again.events)
	}
	again.create("/after", "", zk.ModePersistent)
}

// TestAdminRestoreRefused: what is no snapshot of ours, or comes too often, changes nothing, and the answer says so with ZooKeeper's status.
func TestAdminRestoreRefused(t *testing.T) {
	e := newEnsemble(t, 2, restorable)
	c := e.client(0)
	c.create("/a", "x", zk.ModePersistent)
	good := e.snapshotOf(0)
	for _, tc := range []struct {
		name string
		body io.Reader
		code int
		want string
	}{
		{"no body", nil, 400, "there is no snapshot in the request"},
		{"an empty one", http.NoBody, 400, "there is no snapshot in the request"},
		{"nonsense", strings.NewReader("Invalid snapshot data"), 500, "not a whole snapshot of Gopherwood's: tree: corrupt snapshot"},
		{"ZooKeeper's", strings.NewReader("ZKSN\x00\x00\x00\x02" + strings.Repeat("\x00", 200)), 500, "a snapshot of ZooKeeper's"},
		{"cut short", bytes.NewReader(good[:len(good)-3]), 500, "cut short"},
		{"a wrong byte", io.MultiReader(bytes.NewReader(good[:90]), strings.NewReader("\xee"), bytes.NewReader(good[91:])), 500, "nothing was changed"},
		{"a body that breaks off", io.MultiReader(bytes.NewReader(good[:90]), broken{}), 500, "did not come to its end"},
	} {
		before := e.members[0].server.tree.Digest()
		w := e.restore(0, tc.body)
		e.quiet()
		if w.Code != tc.code || !strings.Contains(w.Body.String(), tc.want) {
			t.Errorf("%s: %d %s", tc.name, w.Code, w.Body)
		}
		if e.members[0].server.tree.Digest() != before {
			t.Errorf("%s: the state has changed", tc.name)
		}
	}
	s := e.members[0].server
	if got := s.stats.restoreErrors.Load(); got != 5 {
		t.Errorf("restore_error_count %d", got)
	}
	s.cfg.AdminInterval = time.Hour
	if w := e.restore(0, bytes.NewReader(good)); w.Code != 429 || !strings.Contains(w.Body.String(), "admin.rateLimiterIntervalInMS") {
		t.Errorf("too soon: %d %s", w.Code, w.Body)
	}
	s.cfg.NoAdminRestore = true
	if w := e.restore(0, bytes.NewReader(good)); w.Code != 503 {
		t.Errorf("switched off: %d %s", w.Code, w.Body)
	}
	if data, _, _ := c.get("/a", false); data != "x" {
		t.Errorf("/a is %q", data)
	}
}

// broken is a connection that ends.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestTwoRestores: of two at a time the one that begins later succeeds, and the other says that it has not.
func TestTwoRestores(t *testing.T) {
	e := newEnsemble(t, 2, restorable)
	c := e.client(0)
	c.create("/a", "x", zk.ModePersistent)
	good := e.snapshotOf(0)
	e.hold()
	answer := make(chan *httptest.ResponseRecorder)
	go func() { answer <- e.restore(0, bytes.NewReader(good)) }()
	e.await(1)
	if err := e.members[1].Propose((&tree.Command{Kind: tree.KindStage, Stage: 99, Data: []byte("x")}).Append(nil), nil); err != nil {
		t.Fatal(err)
	}
	e.release()
	if w := <-answer; w.Code != 500 || !strings.Contains(w.Body.String(), "another restore has begun meanwhile; nothing was changed") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	e.quiet()
	if data, _, _ := c.get("/a", false); data != "x" {
		t.Errorf("/a is %q", data)
	}
}

// TestRestoreEndsLocalSessions: no server but their own knows them, and they have seen another history.
func TestRestoreEndsLocalSessions(t *testing.T) {
	e := newEnsemble(t, 2, func(c *Config) { restorable(c); c.LocalSessions = true })
	c := e.client(0)
	b := e.snapshotOf(0)
	if w := e.restore(1, bytes.NewReader(b)); w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	c.ended()
	if e.back(0, c) != nil {
		t.Error("the local session goes on")
	}
}
