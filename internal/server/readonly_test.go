package server

import (
	"strings"
	"testing"
	"time"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// cutOff makes a server read-only: it has known no leader for an hour.
func (e *ensemble) cutOff() *Server {
	s := e.members[0].server
	e.quiet()
	e.lead(-1)
	s.awaySinceNs.Store(s.now() - int64(time.Hour))
	return s
}

func TestReadOnlyMode(t *testing.T) {
	e := newEnsemble(t, 3, func(c *Config) { c.ReadOnly = true })
	w := e.client(0)
	w.create("/a", "seen", zk.ModePersistent)
	reader := newClient(t, e.dial(0)) // content with reading, and connected when the majority is lost
	reader.handshake(&wire.ConnectRequest{TimeOut: 10_000, HasReadOnly: true, ReadOnly: true})
	s := e.cutOff()
	s.Housekeep(time.Duration(s.now()))
	reader.ended()
	if got := string(s.Command("isro")); got != "ro" || s.Mode() != "read-only" {
		t.Errorf("isro %q, mode %s", got, s.Mode())
	}

	writer := newClient(t, e.dial(0))
	b, mark := wire.BeginFrame(nil)
	req := wire.ConnectRequest{TimeOut: 10_000, HasReadOnly: true}
	writer.write(endFrame(req.Append(b), mark))
	writer.ended()

	r := newClient(t, e.dial(0))
	if a := r.handshake(&wire.ConnectRequest{HasReadOnly: true, TimeOut: 10_000, ReadOnly: true}); a.SessionID == 0 || !a.ReadOnly {
		t.Fatalf("answer %+v", a)
	}
	gets := map[int32]bool{r.send(zk.OpGetData, &wire.GetDataRequest{Path: "/a"}): true}
	r.send(zk.OpSetData, setReq("/a", "no"))
	r.send(zk.OpSync, &wire.SyncRequest{Path: "/a"})
	r.send(zk.OpPing, nil)
	if got := strings.Join(r.replies(4, gets), "|"); strings.Count(got, zk.ErrNotReadOnly.Error()) != 2 || !strings.Contains(got, "1=seen") {
		t.Errorf("got %s", got)
	}

	s.Housekeep(time.Duration(s.now()))
	r.must(zk.OpPing, nil)
	e.lead(1)
	s.Housekeep(time.Duration(s.now()))
	r.ended()
	if s.Mode() != "follower" {
		t.Errorf("mode %s when there is a leader again", s.Mode())
	}
}

// A session that this server knows is let in with its password, and with no other.
func TestReadOnlyModeKnowsSessions(t *testing.T) {
	e := newEnsemble(t, 3, func(c *Config) { c.ReadOnly = true })
	w := newClient(t, e.dial(0))
	own := w.handshake(&wire.ConnectRequest{HasReadOnly: true, TimeOut: 10_000})
	w.nc.Close()
	e.cutOff()
	again := newClient(t, e.dial(0))
	if a := again.handshake(&wire.ConnectRequest{HasReadOnly: true, SessionID: own.SessionID, Passwd: own.Passwd, ReadOnly: true}); a.SessionID != own.SessionID || !a.ReadOnly {
		t.Errorf("its own session: %+v, want %x", a, own.SessionID)
	}
	wrong := newClient(t, e.dial(0))
	if a := wrong.handshake(&wire.ConnectRequest{HasReadOnly: true, SessionID: own.SessionID, Passwd: make([]byte, 16), ReadOnly: true}); a.SessionID != 0 {
		t.Errorf("with another password: %+v", a)
	}
	wrong.ended()
}

// A silent read-only client is forgotten after its session's timeout.
func TestReadOnlySessionEnds(t *testing.T) {
	e := newEnsemble(t, 3, func(c *Config) { c.ReadOnly = true })
	e.client(0).create("/a", "x", zk.ModePersistent)
	s := e.cutOff()
	r := newClient(t, e.dial(0))
	a := r.handshake(&wire.ConnectRequest{HasReadOnly: true, TimeOut: 10_000, ReadOnly: true})
	now := time.Duration(s.now())
	s.Housekeep(now)
	s.Housekeep(now + ms(a.TimeOut) + time.Second)
	r.ended()
}

func TestLinearizableReads(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.LinearizableReads = true })
	c := e.client(0)
	c.create("/a", "0", zk.ModePersistent) // zxid 2
	e.quiet()
	e.mu.Lock()
	e.noSync = true
	e.mu.Unlock()
	gets := map[int32]bool{c.send(zk.OpGetData, &wire.GetDataRequest{Path: "/a"}): true} // 2
	c.send(zk.OpPing, nil)                                                               // behind it
	c.send(zk.OpSetData, setReq("/a", "1"))                                              // 4: not proposed before the read is answered
	for done := false; !done; {
		e.mu.Lock()
		if done = len(e.syncs) == 1; !done {
			e.wake.Wait()
		}
		e.mu.Unlock()
	}
	e.do(func() { e.apply([]proposal{e.syncs[0]}) })
	if got := strings.Join(c.replies(3, gets), "|"); got != "2=0@2|-2@2|4@3" {
		t.Errorf("got %s", got)
	}
}
