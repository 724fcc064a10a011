package server

import (
	"testing"
	"time"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

func (e *ensemble) sessions(i int) int {
	e.quiet()
	n := 0
	e.do(func() { n = e.members[i].server.tree.SessionCount() })
	return n
}

func (s *Server) localCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.locals)
}

func TestLocalSessions(t *testing.T) {
	e := newEnsemble(t, 2, func(c *Config) { c.LocalSessions = true })
	s := e.members[0].server
	c := e.client(0)
	if n := e.sessions(0); n != 0 {
		t.Errorf("%d sessions are known to the ensemble, want none", n)
	}
	c.create("/a", "x", zk.ModePersistent)
	c.must(zk.OpSetData, setReq("/a", "y"))
	c.send(zk.OpCreate, &wire.CreateRequest{Path: "/e", ACL: zk.OpenACL(), Flags: zk.ModeEphemeral})
	if h, _ := c.reply(); h.Err != zk.ErrEphemeralOnLocalSession {
		t.Errorf("an ephemeral node: %v", h.Err)
	}

	again := newClient(t, e.dial(0))
	if r := again.handshake(&wire.ConnectRequest{SessionID: c.session, Passwd: c.passwd, HasReadOnly: true}); r.SessionID != c.session {
		t.Errorf("back on the same server: session %x, want %x", r.SessionID, c.session)
	}
	c.ended()
	elsewhere := newClient(t, e.dial(1))
	if r := elsewhere.handshake(&wire.ConnectRequest{SessionID: c.session, Passwd: c.passwd, HasReadOnly: true}); r.SessionID != 0 {
		t.Error("another server knows it")
	}
	wrong := newClient(t, e.dial(0))
	if r := wrong.handshake(&wire.ConnectRequest{SessionID: c.session, Passwd: make([]byte, 16), HasReadOnly: true}); r.SessionID != 0 {
		t.Error("a wrong password is taken")
	}
	again.must(zk.OpPing, nil)

	s.Housekeep(time.Duration(s.now()))
	s.Housekeep(time.Duration(s.now()) + 11*time.Second)
	again.ended()
	if n := s.localCount(); n != 0 {
		t.Errorf("%d local sessions after the timeout", n)
	}
	last := e.client(0)
	last.must(zk.OpCloseSession, nil)
	last.ended()
	if n := s.localCount(); n != 0 {
		t.Errorf("%d local sessions after the last was closed", n)
	}
}

func TestLocalSessionIsUpgraded(t *testing.T) {
	e := newEnsemble(t, 2, func(c *Config) { c.LocalSessions, c.LocalUpgrade = true, true })
	c := e.client(0)
	c.create("/a", "x", zk.ModePersistent)
	c.create("/e", "x", zk.ModeEphemeral)
	if n := e.sessions(1); n != 1 {
		t.Errorf("%d sessions are known to the ensemble, want 1", n)
	}
	moved := newClient(t, e.dial(1))
	if r := moved.handshake(&wire.ConnectRequest{SessionID: c.session, Passwd: c.passwd, HasReadOnly: true}); r.SessionID != c.session {
		t.Errorf("on another server: session %x, want %x", r.SessionID, c.session)
	}
	moved.must(zk.OpCloseSession, nil)
	e.quiet()
	e.do(func() {
		if _, _, code := e.members[0].server.tree.Get("/e", nil); code != zk.ErrNoNode {
			t.Errorf("the ephemeral node of the session that was closed: %v", code)
		}
	})
}
