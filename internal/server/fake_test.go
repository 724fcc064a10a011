package server

import (
	"bytes"
	"flag"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"

	"gopherwood/internal/node"
	"gopherwood/internal/tree"
	"gopherwood/replica"
	"gopherwood/zk"
)

// ensemble stands in for the replicas of some servers: one log in memory, applied by every server in the same order. Either it
// applies what is proposed at once, or the test says when.
type ensemble struct {
	t       testing.TB
	members []*member

	mu      sync.Mutex
	wake    sync.Cond
	held    bool // nothing is applied but by step
	noSync  bool // barriers wait for release
	log     []proposal
	syncs   []proposal
	index   uint64
	timeMs  int64
	busy    bool
	closing bool
	done    chan struct{}

	guard *guard // of connections that dial makes; constant
}

// proposal is a command, a barrier (no data), or a call of the loop.
type proposal struct {
	from *member
	data []byte
	w    replica.Waiter
	call func()
}

// member is one server's Replicator.
type member struct {
	*ensemble
	id     uint64
	server *Server
	leads  replica.Leadership
}

const testTerm = 7

// noConfig is what newEnsemble leaves in /zookeeper/config.
const noConfig = "version=0"

var overTLS = flag.Bool("tls", false, "every test that dials does it with TLS")

// newEnsemble makes n servers, the first of which leads. change may change a server's Config.
func newEnsemble(t testing.TB, n int, change func(*Config)) *ensemble {
	e := &ensemble{t: t, timeMs: 1_000_000, index: 10, done: make(chan struct{})}
	e.wake.L = &e.mu
	for i := range n {
		cfg := Config{ID: uint64(i + 1), Log: quietLog(t), Manual: true}
		if n > 1 {
			for k := range n {
				cfg.Members = append(cfg.Members, Member{ID: uint64(k + 1), PeerAddr: "10.0.0." + string(rune('1'+k)) + ":2888", ElectPort: "3888"})
			}
		}
		if change != nil {
			change(&cfg)
		}
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		m := &member{ensemble: e, id: cfg.ID, server: s}
		e.members = append(e.members, m)
		if n > 1 { // something stands in /zookeeper/config, so that they serve without the leader's Tick
			s.tree.Apply(tree.Env{}, &tree.Command{Kind: tree.KindConfig, Ops: []tree.Op{{Code: zk.OpSetData, Data: []byte(noConfig)}}}, &s.loop.res)
		}
		s.Attach(m)
	}
	if *overTLS {
		e.guard = anonymousGuard(t)
	}
	go e.run()
	e.lead(0)
	t.Cleanup(e.close)
	return e
}

// quietLog shows a server's log lines if the test fails.
func quietLog(t testing.TB) *slog.Logger {
	var mu sync.Mutex
	var b bytes.Buffer
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		if t.Failed() {
			t.Logf("server log:\n%s", b.String())
		}
	})
	return slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return b.Write(p)
	}), nil))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (e *ensemble) close() {
	for _, m := range e.members {
		m.server.stopAccepting()
		m.server.killAll(reasonQuiet)
		m.server.closeAll()
	}
	e.mu.Lock()
	e.closing = true
	e.wake.Broadcast()
	e.mu.Unlock()
	<-e.done
	for _, m := range e.members {
		if err := m.server.Close(); err != nil {
			e.t.Error(err)
		}
	}
}

// run is the loop goroutine of all servers.
func (e *ensemble) run() {
	defer close(e.done)
	for {
		e.mu.Lock()
		for len(e.log) == 0 || (e.held && e.log[0].call == nil) {
			if e.closing {
				e.mu.Unlock()
				return
			}
			e.wake.Wait()
		}
		n := len(e.log)
		if e.held {
			n = 1
		}
		batch := e.log[:n:n]
		e.log = e.log[n:]
		e.busy = true
		e.mu.Unlock()
		e.apply(batch)
		e.mu.Lock()
		e.busy = false
		e.wake.Broadcast()
		e.mu.Unlock()
	}
}

// apply is one batch on every server.
func (e *ensemble) apply(batch []proposal) {
	for _, m := range e.members {
		m.server.BeginBatch()
		for i, p := range batch {
			switch {
			case p.call != nil:
				continue
			case p.data == nil:
				if p.from == m {
					p.w.Done(nil, nil)
				}
				continue
			}
			res := m.server.Apply(replica.Command{Index: e.index + uint64(i), Term: testTerm, TimeMs: e.timeMs, Origin: p.from.Origin(), Data: p.data})
			if p.from == m && p.w != nil {
				p.w.Done(res, nil)
			}
		}
		m.server.EndBatch()
	}
	e.index += uint64(len(batch))
	for _, p := range batch {
		if p.call != nil {
			p.call()
		}
	}
}

// do runs f on the loop goroutine, even if the log is held, and waits for it.
func (e *ensemble) do(f func()) {
	done := make(chan struct{})
	e.mu.Lock()
	e.log = append([]proposal{{call: func() { f(); close(done) }}}, e.log...)
	e.wake.Broadcast()
	e.mu.Unlock()
	<-done
}

func (e *ensemble) add(p proposal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.data == nil && p.call == nil && e.noSync {
		e.syncs = append(e.syncs, p)
	} else {
		e.log = append(e.log, p)
	}
	e.wake.Broadcast()
}

// hold stops applying.
func (e *ensemble) hold() { e.mu.Lock(); e.held = true; e.mu.Unlock() }

// step waits until n commands wait, and applies the first k of them as one batch.
func (e *ensemble) step(n, k int) {
	e.await(n)
	e.mu.Lock()
	batch := e.log[:k:k]
	e.log = e.log[k:]
	e.mu.Unlock()
	e.do(func() { e.apply(batch) })
}

// await waits until n commands wait to be applied.
func (e *ensemble) await(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.log) < n {
		e.wake.Wait()
	}
}

// quiet waits until every server has applied everything.
func (e *ensemble) quiet() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.log) > 0 || e.busy {
		e.wake.Wait()
	}
}

// release applies everything from now on.
func (e *ensemble) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = false
	e.wake.Broadcast()
}

// lead makes members[i] the leader; -1: none.
func (e *ensemble) lead(i int) {
	e.do(func() {
		var leader uint64
		if i >= 0 {
			leader = node.MakeID(uint16(e.members[i].id), 1)
		}
		for k, m := range e.members {
			m.server.LeaderChanged(replica.Leadership{Leader: leader, Term: testTerm, Mine: k == i})
			m.leads = replica.Leadership{Leader: leader, Term: testTerm, Mine: k == i}
		}
	})
}

// tick lets time pass until ms after the start, in steps of the loop's tick.
func (e *ensemble) tick(ms int64) {
	e.do(func() {
		for ; e.timeMs < 1_000_000+ms; e.timeMs += 50 {
			for _, m := range e.members {
				m.server.Tick(e.timeMs)
			}
		}
	})
}

// Propose and the rest implement Replicator.
func (m *member) Propose(data []byte, w replica.Waiter) error {
	m.add(proposal{from: m, data: bytes.Clone(data), w: w})
	return nil
}

func (m *member) TryPropose(data []byte, w replica.Waiter) error { return m.Propose(data, w) }
func (m *member) Barrier(w replica.Waiter)                       { m.add(proposal{from: m, w: w}) }
func (m *member) Origin() uint64                                 { return node.MakeID(uint16(m.id), 99) }

func (m *member) BeginReconfigure(_ []replica.Member, done func(error)) {
	m.add(proposal{call: func() { done(replica.ErrNotLeader) }})
}

func (m *member) ToMember(to uint64, data []byte) {
	m.add(proposal{call: func() {
		for _, o := range m.members {
			if uint16(o.id) == node.ServerOf(to) {
				o.server.Message(node.MakeID(uint16(m.id), 1), data)
			}
		}
	}})
}

func (m *member) ToLeader(data []byte) {
	m.add(proposal{call: func() {
		for _, to := range m.members {
			if to.leads.Mine {
				to.server.Message(node.MakeID(uint16(m.id), 1), data)
			}
		}
	}})
}

func (m *member) Status() replica.Status {
	var st replica.Status
	m.do(func() {
		st.RaftID, st.Leadership, st.Applied, st.Commit = node.MakeID(uint16(m.id), 1), m.leads, m.index, m.index
		for _, o := range m.members {
			st.Members = append(st.Members, replica.MemberStatus{
				Member:    replica.Member{RaftID: node.MakeID(uint16(o.id), 1), ServerID: uint16(o.id)},
				Connected: true, Active: true, Match: m.index,
			})
		}
	})
	return st
}

// dial connects to members[i] over a real socket.
func (e *ensemble) dial(i int) net.Conn {
	s := e.members[i].server
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	defer l.Close()
	type result struct {
		c   net.Conn
		err error
	}
	ch := make(chan result, 1)
	go func() {
		c, err := net.Dial("tcp", l.Addr().String())
		ch <- result{c, err}
	}()
	far, err := l.Accept()
	if err != nil {
		e.t.Fatal(err)
	}
	near := <-ch
	if near.err != nil {
		e.t.Fatal(near.err)
	}
	if g := e.guard; g != nil {
		s.serveConn(far, g)
		near.c = secureTest(near.c, g.source)
	} else {
		s.ServeConn(far)
	}
	e.t.Cleanup(func() { near.c.Close() })
	return near.c
}

// pipe connects to members[i] without a socket.
func (e *ensemble) pipe(i int) net.Conn {
	near, far := net.Pipe()
	e.members[i].server.ServeConn(far)
	e.t.Cleanup(func() { near.Close() })
	return near
}

var _ Replicator = (*member)(nil)
var _ io.Writer = writerFunc(nil)
