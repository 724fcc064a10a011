package server

import (
	"bytes"
	"sync"
	"testing"

	"gopherwood/internal/tree"
	"gopherwood/internal/wire"
	"gopherwood/replica"
	"gopherwood/zk"
)

// narrow is a Replicator in which a proposal that holds a word has to wait, as when too much is under way.
type narrow struct {
	Replicator
	word    []byte
	arrived chan struct{} // closed when it waits
	gate    chan struct{} // it goes on when this is closed
}

func (n *narrow) Propose(data []byte, w replica.Waiter) error {
	if bytes.Contains(data, n.word) {
		close(n.arrived)
		<-n.gate
	}
	return n.Replicator.Propose(data, w)
}

// TestSessionFollowsItsConnection: a client gives a connection up whose write waits to be proposed, and comes back to the same server. The write is applied
// before it is let in, or never; it must not appear later. (Found by the simulator: workload server, seed 1043.)
func TestSessionFollowsItsConnection(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	s := e.members[0].server
	n := &narrow{Replicator: s.rep, word: []byte("late"), arrived: make(chan struct{}), gate: make(chan struct{})}
	open := sync.OnceFunc(func() { close(n.gate) })
	t.Cleanup(open)
	s.rep = n
	a := e.client(0)
	a.create("/a", "first", 0)
	old := s.conns()[0]
	a.send(zk.OpSetData, setReq("/a", "late"))
	<-n.arrived

	b := newClient(t, e.dial(0))
	b.session, b.passwd = a.session, a.passwd
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.connect()
	}()
	eventually(t, func() bool {
		for _, c := range s.conns() {
			c.mu.Lock()
			waits, isOpen := c.waitFor == waitEnded, c.state == stateOpen
			c.mu.Unlock()
			if isOpen && c != old {
				t.Fatal("the session has a new connection, and a write of the old one is still to be proposed")
			}
			if waits {
				return true
			}
		}
		return false
	})
	open()
	<-done
	if got, _, _ := b.get("/a", false); got != "late" {
		t.Errorf("the client that has come back reads %q", got)
	}
}

// TestOutstandingAuth: replies that are decided at once wait in the queue, too, if a write is in front of them, and within its bound. (Found by the simulator.)
func TestOutstandingAuth(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.MaxOutstanding = 5 })
	c := e.client(0)
	c.create("/a", "", 0)
	e.hold()
	const many = 1000
	frames := request1(c.xid+1, zk.OpSetData, setReq("/a", "1"))
	for range many {
		frames = append(frames, request1(zk.XidAuth, zk.OpAuth, &wire.AuthPacket{Scheme: "digest", Auth: []byte("ann:secret")})...)
	}
	c.write(frames)
	s := e.members[0].server
	of := s.conns()[0]
	eventually(t, func() bool {
		if n := s.Load().Longest; n > 5 {
			t.Fatalf("%d requests wait, the bound is 5", n)
		}
		of.mu.Lock()
		defer of.mu.Unlock()
		return of.waitFor == waitRoom
	})
	e.release()
	if h, _ := c.reply(); h.Xid != c.xid+1 || h.Err != zk.OK {
		t.Errorf("the write is answered %+v", h)
	}
	for range many {
		if h, _ := c.reply(); h.Xid != zk.XidAuth || h.Err != zk.OK {
			t.Fatalf("an auth is answered %+v", h)
		}
	}
}

// TestConfigChangeIsNotMissed: a change of /zookeeper/config takes no zxid, so a client that was away and comes back with the last zxid of before is told
// of it all the same.
func TestConfigChangeIsNotMissed(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	config := func(data string) {
		cmd := tree.Command{Kind: tree.KindConfig, Ops: []tree.Op{{Code: zk.OpSetData, Path: configPath, Data: []byte(data), Version: -1}}}
		if err := e.members[0].Propose(cmd.Append(nil), nil); err != nil {
			t.Fatal(err)
		}
		e.quiet()
	}
	config("one")
	c := e.client(0)
	h, _ := c.call(zk.OpGetData, &wire.GetDataRequest{Path: configPath, Watch: true})
	c.nc.Close()
	config("two")
	again := newClient(t, e.dial(0))
	again.session, again.passwd = c.session, c.passwd
	again.connect()
	again.must(zk.OpSetWatches, &wire.SetWatches{RelativeZxid: h.Zxid, DataWatches: []string{configPath}})
	if got, want := again.seen(), "changed /zookeeper/config @-1"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}
