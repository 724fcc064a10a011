package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/internal/raw"
)

const (
	stormTimeoutMs = 10_000
	// stormPause bounds the random pause before a client tries the next server, as ZooKeeper's Java client has it (ClientCnxn.SendThread).
	stormPause = time.Second
	// stormQuiet is how long the writer is measured before the storm.
	stormQuiet = 5 * time.Second
	// stormLimit ends a storm that never does; long before, sessions would have expired.
	stormLimit = time.Minute
)

// TestFaultReconnectStorm kills a server that many sessions are connected to: all are back on the others, none has expired, and a client of another server
// goes on writing.
func TestFaultReconnectStorm(t *testing.T) {
	need(t)
	n := setting(t, "GOPHERWOOD_E2E_STORM", 500)
	n = min(n, moreFiles(t, n+1000)-100)
	t.Run("follower", func(t *testing.T) { storm(t, n, "follower") })
	if n > 1000 { // the quick run has enough of one
		t.Run("leader", func(t *testing.T) { storm(t, n, "leader") })
	}
}

func storm(t *testing.T, n int, role string) {
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 3, TickMs: 2000, Config: []string{"maxCnxns=0"}})
	leader, err := e.Leader()
	if err != nil {
		t.Fatal(err)
	}
	victim, other := leader, leader
	for _, s := range e.Servers {
		if s != leader {
			if role == "leader" {
				other = s
			} else {
				victim = s
			}
		}
	}
	w := startStormWriter(t, other.Addr())
	s := &stormClients{t: t, servers: e.Servers, stop: make(chan struct{})}
	s.open(n, victim)
	if t.Failed() {
		t.FailNow()
	}
	time.Sleep(stormQuiet) // measured, not waited for
	killed := time.Now()
	victim.Kill()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := killed.Add(stormLimit); s.back.Load()+s.expired.Load() < int64(n); <-tick.C {
		if time.Now().After(deadline) {
			t.Errorf("only %d of %d sessions are back after %v", s.back.Load(), n, stormLimit)
			break
		}
	}
	over := time.Now()
	// Sessions that would expire for the storm's sake do so within their timeout.
	time.Sleep(time.Duration(stormTimeoutMs+2*2000) * time.Millisecond)
	if k := s.expired.Load(); k > 0 {
		t.Errorf("%d sessions have expired", k)
	}
	if k := countChildren(t, other.Addr(), "/storm"); k != n {
		t.Errorf("%d ephemeral nodes of %d sessions are there", k, n)
	}
	if k := metric(t, other, "stale_sessions_expired"); k != 0 {
		t.Errorf("%v sessions have expired", k)
	}
	s.close()
	w.close(t)
	s.mu.Lock()
	slices.Sort(s.after)
	back := fmt.Sprintf("half after %v, 99 %% after %v, the last after %v", share(s.after, 0.5), share(s.after, 0.99), share(s.after, 1))
	s.mu.Unlock()
	before, during, after := w.between(killed.Add(-stormQuiet), killed), w.between(killed, over), w.between(over, over.Add(stormQuiet))
	t.Logf("FIGURE reconnect storm, the %s dies: %d sessions back, %s; writes of a client of another server, p50/p99/longest: %s in %v before, %s during, %s in %v after",
		role, n, back, spread(before), stormQuiet, spread(during), spread(after), stormQuiet)
}

// share is the element of a sorted list that a share of it does not exceed.
func share(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Round(10 * time.Microsecond)
}

func spread(took []time.Duration) string {
	slices.Sort(took)
	return fmt.Sprintf("%v/%v/%v of %d", share(took, 0.5), share(took, 0.99), share(took, 1), len(took))
}

// countChildren asks a server that has seen everything.
func countChildren(t *testing.T, addr, path string) int {
	t.Helper()
	c, err := raw.Dial(addr, raw.Session{TimeoutMs: stormTimeoutMs})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if r, err := c.Call(raw.Sync(nil, 1, path)); err != nil || r.Err != 0 {
		t.Fatalf("sync: error %d, %v", r.Err, err)
	}
	r, err := c.Call(raw.Read(nil, 2, raw.OpGetChildren, path))
	if err != nil || r.Err != 0 {
		t.Fatalf("getChildren: error %d, %v", r.Err, err)
	}
	names, err := raw.Strings(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// stormClients are sessions that do little but live.
type stormClients struct {
	t       *testing.T
	servers []*ensemble.Server
	stop    chan struct{}
	running sync.WaitGroup

	back, expired atomic.Int64

	mu    sync.Mutex
	after []time.Duration // from the end of a connection to the next one's session
}

// open connects n sessions to one server, each with an ephemeral node.
func (s *stormClients) open(n int, at *ensemble.Server) {
	c, err := raw.Dial(at.Addr(), raw.Session{TimeoutMs: stormTimeoutMs})
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if r, err := c.Call(raw.Create(nil, 1, "/storm", nil, raw.Persistent)); err != nil || r.Err != 0 {
		s.t.Fatalf("create: error %d, %v", r.Err, err)
	}
	if _, err := c.Call(raw.CloseSession(nil, 2)); err != nil { // or it would expire
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.close)
	var openers sync.WaitGroup
	for w := range 16 {
		openers.Go(func() {
			for i := w; i < n; i += 16 {
				conn, err := raw.Dial(at.Addr(), raw.Session{TimeoutMs: stormTimeoutMs})
				if err != nil {
					s.t.Errorf("session %d: %v", i, err)
					return
				}
				if r, err := conn.Call(raw.Create(nil, 1, fmt.Sprintf("/storm/e%d", i), nil, raw.Ephemeral)); err != nil || r.Err != 0 {
					s.t.Errorf("session %d: error %d, %v", i, r.Err, err)
					return
				}
				s.running.Go(func() { s.live(conn) })
			}
		})
	}
	openers.Wait()
}

func (s *stormClients) close() {
	select {
	case <-s.stop:
	default:
		close(s.stop)
	}
	s.running.Wait()
}

// live pings, and looks for another server when its own is gone.
func (s *stormClients) live(c *raw.Conn) {
	for first := true; ; first = false {
		s.idle(c)
		c.Close()
		session, lost := c.Session, time.Now()
		select {
		case <-s.stop:
			return
		default:
		}
		if c = s.reconnect(session); c == nil {
			return
		}
		s.mu.Lock()
		s.after = append(s.after, time.Since(lost))
		s.mu.Unlock()
		if first {
			s.back.Add(1)
		}
	}
}

// idle pings three times per timeout until the connection ends, or the test.
func (s *stormClients) idle(c *raw.Conn) {
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-s.stop:
			c.Close()
		case <-done:
		}
	}()
	for {
		third := time.Duration(c.Session.TimeoutMs/3) * time.Millisecond
		if c.Net().SetReadDeadline(time.Now().Add(third/2+rand.N(third/2))) != nil {
			return
		}
		_, err := c.Receive()
		var timeout net.Error
		switch {
		case err == nil: // the answer to a ping
		case errors.As(err, &timeout) && timeout.Timeout():
			if c.Send(raw.Ping(nil)) != nil || c.Flush() != nil {
				return
			}
		default:
			return
		}
	}
}

// reconnect goes round the servers in an order of its own, with a random pause before each attempt. nil: the test ends, or the session has.
func (s *stormClients) reconnect(session raw.Session) *raw.Conn {
	order := rand.Perm(len(s.servers))
	for i := 0; ; i++ {
		select {
		case <-time.After(rand.N(stormPause)):
		case <-s.stop:
			return nil
		}
		c, err := raw.Dial(s.servers[order[i%len(order)]].Addr(), session)
		switch {
		case err == nil:
			return c
		case errors.Is(err, raw.ErrExpired):
			s.expired.Add(1)
			return nil
		}
	}
}

// stormWriter writes one after the other and notes how long each took.
type stormWriter struct {
	conn *raw.Conn
	stop atomic.Bool
	done chan error

	at   []time.Time // when the write was sent
	took []time.Duration
}

func startStormWriter(t *testing.T, addr string) *stormWriter {
	t.Helper()
	c, err := raw.Dial(addr, raw.Session{TimeoutMs: 40_000})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := c.Call(raw.Create(nil, 1, "/writer", nil, raw.Persistent)); err != nil || r.Err != 0 {
		t.Fatalf("create: error %d, %v", r.Err, err)
	}
	w := &stormWriter{conn: c, done: make(chan error, 1)}
	t.Cleanup(func() { w.stop.Store(true); c.Close() })
	go func() { w.done <- w.run() }()
	return w
}

func (w *stormWriter) run() error {
	data := []byte(strings.Repeat("x", 100))
	for xid := int32(2); !w.stop.Load(); xid++ {
		start := time.Now()
		r, err := w.conn.Call(raw.Set(nil, xid, "/writer", data, -1))
		if err != nil || r.Err != 0 {
			return fmt.Errorf("write %d: error %d, %w", xid, r.Err, err)
		}
		w.at, w.took = append(w.at, start), append(w.took, time.Since(start))
		time.Sleep(time.Millisecond) // a client of its own pace: about a thousand writes in a second at most
	}
	return nil
}

// close ends the writer; that it failed is a failure of the test.
func (w *stormWriter) close(t *testing.T) {
	t.Helper()
	w.stop.Store(true)
	if err := <-w.done; err != nil {
		t.Error(err)
	}
}

// between is the writes that were sent in that time. The writer must be closed.
func (w *stormWriter) between(from, to time.Time) (took []time.Duration) {
	for i, at := range w.at {
		if !at.Before(from) && at.Before(to) {
			took = append(took, w.took[i])
		}
	}
	return took
}
