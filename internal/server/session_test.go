package server

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gopherwood/internal/tree"
	"gopherwood/internal/wire"
	"gopherwood/replica"
	"gopherwood/zk"
)

func TestConnect(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	for _, tc := range []struct {
		name    string
		req     wire.ConnectRequest
		timeout int32
		size    int
	}{
		{"with the read-only byte", wire.ConnectRequest{TimeOut: 10_000, HasReadOnly: true}, 10_000, 37},
		{"old client", wire.ConnectRequest{TimeOut: 10_000}, 10_000, 36},
		{"old client with a null password", wire.ConnectRequest{TimeOut: 10_000, Passwd: nil}, 10_000, 36},
		{"too short a timeout", wire.ConnectRequest{TimeOut: 1, Passwd: make([]byte, 16)}, 4000, 36},
		{"too long a timeout", wire.ConnectRequest{TimeOut: 1 << 30}, 40_000, 36},
		{"negative timeout", wire.ConnectRequest{TimeOut: -5}, 4000, 36},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newClient(t, e.dial(0))
			b, mark := wire.BeginFrame(nil)
			c.write(endFrame(tc.req.Append(b), mark))
			frame := c.frame()
			var resp wire.ConnectResponse
			d := wire.NewDecoder(frame)
			resp.Decode(&d)
			if len(frame) != tc.size || resp.TimeOut != tc.timeout || resp.SessionID == 0 || len(resp.Passwd) != 16 {
				t.Errorf("%d bytes, %+v", len(frame), resp)
			}
			if byte(resp.SessionID>>56) != 1 {
				t.Errorf("session id %#x does not start with the server's", resp.SessionID)
			}
			c.must(zk.OpPing, nil)
		})
	}
}

func TestSessionIDsAndPasswordsDiffer(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	a, b := e.client(0), e.client(0)
	if a.session == b.session || bytes.Equal(a.passwd, b.passwd) {
		t.Errorf("%x %x, %x %x", a.session, b.session, a.passwd, b.passwd)
	}
}

// TestReattach: a client comes back with its session while the server still holds the old connection.
func TestReattach(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	old := e.client(0)
	old.create("/e", "", zk.ModeEphemeral)

	again := newClient(t, e.dial(0))
	again.session, again.passwd = old.session, old.passwd
	if r := again.connect(); r.SessionID != old.session || r.TimeOut != 10_000 || !bytes.Equal(r.Passwd, old.passwd) {
		t.Fatalf("%+v", r)
	}
	old.ended()
	if _, stat, code := again.get("/e", false); code != zk.OK || stat.EphemeralOwner != again.session {
		t.Errorf("ephemeral node: %v, owner %x", code, stat.EphemeralOwner)
	}
	again.create("/e2", "", zk.ModeEphemeral)
}

func TestReattachRefused(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	real := e.client(0)
	for _, tc := range []struct {
		name    string
		session int64
		passwd  []byte
		closes  bool // the older connection
	}{
		{"unknown session", 12345, make([]byte, 16), false},
		{"wrong password", real.session, make([]byte, 16), true},
		{"short password", real.session, []byte{1}, true},
		{"no password", real.session, nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			owner := newClient(t, e.dial(0))
			owner.session, owner.passwd = real.session, real.passwd
			owner.connect()
			c := newClient(t, e.dial(0))
			r := c.handshake(&wire.ConnectRequest{TimeOut: 10_000, SessionID: tc.session, Passwd: tc.passwd, HasReadOnly: true})
			if r.SessionID != 0 || r.TimeOut != 0 || !bytes.Equal(r.Passwd, make([]byte, 16)) {
				t.Errorf("%+v", r)
			}
			c.ended()
			if tc.closes {
				owner.ended() // but the session lives
				owner = newClient(t, e.dial(0))
				owner.session, owner.passwd = real.session, real.passwd
				if r := owner.connect(); r.SessionID != real.session {
					t.Errorf("the session is gone: %+v", r)
				}
			} else {
				owner.must(zk.OpPing, nil)
			}
		})
	}
}

// TestMove: the session's client goes to another server; the connection that it left is closed, and a write that was still
// under way through it is not carried out.
func TestMove(t *testing.T) {
	e := newEnsemble(t, 2, nil)
	old := e.client(0)
	old.create("/a", "1", zk.ModePersistent)

	e.hold()
	moved := newClient(t, e.dial(1))
	b, mark := wire.BeginFrame(nil)
	req := wire.ConnectRequest{TimeOut: 10_000, SessionID: old.session, Passwd: old.passwd}
	moved.write(endFrame(req.Append(b), mark))
	e.await(1) // the attach is in the log
	old.send(zk.OpSetData, setReq("/a", "late"))
	e.step(2, 2)
	e.release()

	old.ended()
	moved.frame()
	if data, _, _ := moved.get("/a", false); data != "1" {
		t.Errorf("a write of the previous owner was applied: %q", data)
	}
	moved.must(zk.OpSetData, setReq("/a", "2"))
}

// TestLeftBehind: the connection that a session has left stays open, so that its client, if there is one, does not come back to
// fight for the session; until it asks for something, or for as long as the session's timeout.
func TestLeftBehind(t *testing.T) {
	e := newEnsemble(t, 2, nil)
	s := e.members[0].server
	move := func() (old, moved *rawClient) {
		old = e.client(0)
		moved = newClient(t, e.dial(1))
		moved.session, moved.passwd = old.session, old.passwd
		moved.connect()
		e.quiet()
		return old, moved
	}
	for name, ask := range map[string]func(c *rawClient){
		"read":  func(c *rawClient) { c.send(zk.OpExists, &wire.ExistsRequest{Path: "/"}) },
		"write": func(c *rawClient) { c.send(zk.OpSetData, setReq("/", "x")) },
		"close": func(c *rawClient) { c.send(zk.OpCloseSession, nil) },
		"time":  func(*rawClient) { s.Housekeep(time.Duration(s.now()) + 11*time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			old, moved := move()
			old.must(zk.OpPing, nil)
			s.Housekeep(time.Duration(s.now()))
			old.must(zk.OpPing, nil)
			ask(old)
			old.ended()
			moved.must(zk.OpSetData, setReq("/", "y"))
		})
	}
}

func TestCloseSession(t *testing.T) {
	e := newEnsemble(t, 2, nil)
	c, other := e.client(0), e.client(1)
	c.create("/e", "", zk.ModeEphemeral)
	e.quiet()
	other.must(zk.OpExists, &wire.ExistsRequest{Path: "/e", Watch: true})
	if h, _ := c.call(zk.OpCloseSession, nil); h.Err != zk.OK || h.Zxid == 0 {
		t.Errorf("closeSession: %+v", h)
	}
	c.ended()
	e.quiet()
	if got := other.seen(); got != "deleted /e @4" {
		t.Errorf("events: %q", got)
	}
	again := newClient(t, e.dial(0))
	if r := again.handshake(&wire.ConnectRequest{SessionID: c.session, Passwd: c.passwd}); r.SessionID != 0 {
		t.Errorf("a closed session was given back: %+v", r)
	}
}

// TestExpiry: a silent session goes, one that is heard from on another server stays.
func TestExpiry(t *testing.T) {
	e := newEnsemble(t, 2, nil)
	silent, loud := e.client(0), e.client(1)
	silent.create("/silent", "", zk.ModeEphemeral)
	loud.create("/loud", "", zk.ModeEphemeral)
	e.tick(50)
	for at := int64(1000); at <= 14_000; at += 1000 { // the timeout is 10 s, rounded up to the tick
		loud.must(zk.OpPing, nil)
		for _, m := range e.members {
			m.server.Housekeep(0)
		}
		e.quiet() // the leader has heard it before time goes on
		e.tick(at)
	}
	silent.ended()
	_, _, code := loud.get("/silent", false)
	if code != zk.ErrNoNode {
		t.Errorf("the silent session's node: %v", code)
	}
	if _, _, code := loud.get("/loud", false); code != zk.OK {
		t.Errorf("the other's node: %v", code)
	}
}

// TestExpiryOfDeposedLeader: what a leader decides counts only in its own term.
func TestExpiryOfDeposedLeader(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	c := e.client(0)
	e.tick(50)
	e.do(func() { e.members[0].server.lead.leadership.Term = testTerm - 1 })
	e.tick(30_000)
	c.must(zk.OpPing, nil)
}

// TestNewLeaderIsPatient: after a change of leader everyone has the full timeout.
func TestNewLeaderIsPatient(t *testing.T) {
	e := newEnsemble(t, 2, nil)
	c := e.client(0)
	e.tick(9000)
	e.lead(1)
	e.tick(18_000)
	c.must(zk.OpPing, nil)
	e.tick(24_000)
	c.ended()
}

func TestZxidAhead(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	c := newClient(t, e.dial(0))
	b, mark := wire.BeginFrame(nil)
	req := wire.ConnectRequest{TimeOut: 10_000, LastZxidSeen: 1000}
	c.write(endFrame(req.Append(b), mark))
	c.ended()

	// A server that is merely behind catches up first.
	other := e.client(0)
	e.hold()
	other.send(zk.OpCreate, createReq("/late", "", zk.ModePersistent))
	e.await(1)
	c = newClient(t, e.dial(0))
	b, mark = wire.BeginFrame(nil)
	req = wire.ConnectRequest{TimeOut: 10_000, LastZxidSeen: 2}
	c.write(endFrame(req.Append(b), mark))
	e.await(2) // the barrier
	e.release()
	var resp wire.ConnectResponse
	d := wire.NewDecoder(c.frame())
	resp.Decode(&d)
	if resp.SessionID == 0 {
		t.Error("sent away though the server has caught up")
	}
}

// TestServesOnceCaughtUp: a server that took over a snapshot is behind; until it has caught up with the leader it is not ready.
func TestServesOnceCaughtUp(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	e.quiet()
	s := e.members[0].server
	if !s.IsReady() {
		t.Fatal("not ready at first")
	}
	view, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	var snapshot bytes.Buffer
	if _, err := view.WriteTo(&snapshot); err != nil {
		t.Fatal(err)
	}
	view.Close()
	e.noSync = true
	if err := s.Restore(&snapshot); err != nil {
		t.Fatal(err)
	}
	ready := httptest.NewRecorder()
	s.serveReady(ready, nil)
	if got := ready.Body.String(); ready.Code != 503 || got != "catching up with the leader\n" || s.IsReady() {
		t.Errorf("readyz of a server that is behind: %d %s", ready.Code, got)
	}
	e.syncs[0].w.Done(nil, replica.ErrBusy) // there were too many barriers: it asks again
	if len(e.syncs) != 2 || s.IsReady() {
		t.Errorf("%d barriers, ready: %v", len(e.syncs), s.IsReady())
	}
	e.syncs[1].w.Done(nil, nil)
	if !s.IsReady() {
		t.Error("not ready though it has caught up")
	}
}

// TestServesOnceConfigIsWritten: the servers of a new ensemble take clients when there is something in /zookeeper/config.
func TestServesOnceConfigIsWritten(t *testing.T) {
	e := newEnsemble(t, 2, func(c *Config) { c.ClientAddr = "host" + string(rune('0'+c.ID)) + ":2181" })
	var fresh bytes.Buffer
	if _, err := tree.New(treeOptions).View().WriteTo(&fresh); err != nil {
		t.Fatal(err)
	}
	for _, m := range e.members {
		e.do(func() {
			if err := m.server.Restore(bytes.NewReader(fresh.Bytes())); err != nil {
				t.Error(err)
			}
		})
	}
	e.quiet()
	for i, m := range e.members {
		if m.server.IsReady() {
			t.Errorf("server %d is ready, and /zookeeper/config is empty", i+1)
		}
		m.server.Housekeep(0)
	}
	e.quiet()
	e.tick(600)
	e.quiet()
	for i, m := range e.members {
		if !m.server.IsReady() {
			t.Errorf("server %d is not ready", i+1)
		}
	}
	if data, _, _ := e.client(0).get(configPath, false); !strings.Contains(data, "host2:2181") {
		t.Errorf("config %q", data)
	}
}

// TestNoLeader: for a moment new clients wait; later they are closed at once, and others after their session's timeout.
func TestNoLeader(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	s := e.members[0].server
	old := e.client(0)
	e.lead(-1)
	old.must(zk.OpPing, nil)

	fresh := newClient(t, e.dial(0))
	if r := fresh.connect(); r.SessionID == 0 {
		t.Error("a client was turned away at the start of an election")
	}
	s.awaySinceNs.Store(s.now() - int64(time.Hour)) // some time later
	late := newClient(t, e.dial(0))
	b, mark := wire.BeginFrame(nil)
	req := wire.ConnectRequest{TimeOut: 10_000}
	late.write(endFrame(req.Append(b), mark))
	late.ended()
	s.Housekeep(time.Duration(s.now()))
	old.ended()
	fresh.ended()
}
