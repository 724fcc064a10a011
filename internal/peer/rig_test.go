package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// guard is how long a test waits for what must happen before it calls it a failure. Nothing is asserted about times.
const guard = 20 * time.Second

func TestMain(m *testing.M) {
	if addr := os.Getenv(victimEnv); addr != "" {
		runVictim(addr)
		return
	}
	goleak.VerifyTestMain(m)
}

// recorder is a Handler that tells what it sees.
type recorder struct {
	events   chan string // "up 2-a2", "down 2-a2"
	messages chan *Message
	gate     chan struct{} // Deliver takes a token from it, unless it is nil
	snapshot func(h SnapshotHeader, r io.Reader) error
}

func newRecorder() *recorder {
	return &recorder{events: make(chan string, 1000), messages: make(chan *Message, 100_000)}
}

func (r *recorder) Deliver(m *Message) {
	if r.gate != nil {
		<-r.gate
	}
	r.messages <- m
}
func (r *recorder) PeerUp(server uint16, id uint64)   { r.events <- "up " + who(server, id) }
func (r *recorder) PeerDown(server uint16, id uint64) { r.events <- "down " + who(server, id) }
func (r *recorder) Snapshot(h SnapshotHeader, src io.Reader) error {
	if r.snapshot == nil {
		return errors.New("no snapshots here")
	}
	return r.snapshot(h, src)
}

func who(server uint16, id uint64) string { return fmt.Sprintf("%d %s", server, FormatRaftID(id)) }

func (r *recorder) wantEvents(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := receive(t, r.events, w); got != w {
			t.Fatalf("event %q, want %q", got, w)
		}
	}
}

func receive[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(guard):
		t.Fatalf("no %s after %v", what, guard)
		panic("unreachable")
	}
}

// eventually waits for a condition that no callback tells of.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(guard); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not %s after %v", what, guard)
		}
	}
}

// journal collects log lines.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// wantLine waits for a line that has all the words.
func (j *journal) wantLine(t *testing.T, words ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("a log line with %q", words), func() bool {
		for line := range strings.Lines(j.String()) {
			all := true
			for _, w := range words {
				all = all && strings.Contains(line, w)
			}
			if all {
				return true
			}
		}
		return false
	})
}

// member is a transport under test with what it is connected to.
type member struct {
	*Transport
	*recorder
	log *journal
}

// start starts a transport without peers on a free loopback port, closed when the test ends.
func start(t testing.TB, server uint16, change func(*Config, *recorder)) *member {
	t.Helper()
	m := &member{recorder: newRecorder(), log: &journal{}}
	cfg := Config{
		ServerID: server, RaftID: uint64(server)<<48 | uint64(server) + 0xa0, ClusterID: 0xc1, Listen: "127.0.0.1:0",
		Handler: m.recorder, Logger: slog.New(slog.NewTextHandler(m.log, nil)),
	}
	if change != nil {
		change(&cfg, m.recorder)
	}
	var err error
	if m.Transport, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	m.SetPeers(nil)
	return m
}

func (m *member) addr() string { return m.Addr().String() }

// link makes the members each other's peers and waits until all are connected.
func link(t testing.TB, members ...*member) {
	t.Helper()
	peers := map[uint16]string{}
	for _, m := range members {
		peers[m.cfg.ServerID] = m.addr()
	}
	for _, m := range members {
		m.SetPeers(peers)
	}
	for _, m := range members {
		for server := range peers {
			if server == m.cfg.ServerID {
				continue
			}
			for deadline := time.Now().Add(guard); !m.Connected(server); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("server %d is not connected to %d", m.cfg.ServerID, server)
				}
			}
		}
	}
}

// dialRaw opens a connection that the test drives by hand.
func dialRaw(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(guard))
	return conn
}

// dialGreeted opens a connection and greets as server 2 of the tests' cluster.
func dialGreeted(t *testing.T, to *member, p purpose) net.Conn {
	t.Helper()
	conn := dialRaw(t, to.addr())
	h := hello{purpose: p, from: 2, to: to.cfg.ServerID, identity: identity{raftID: id2, clusterID: 0xc1}}
	if err := greet(conn, h, guard); err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(guard))
	return conn
}

// wantClosed reads until the other side ends the connection.
func wantClosed(t *testing.T, conn net.Conn) []byte {
	t.Helper()
	b, err := io.ReadAll(conn)
	if nerr := net.Error(nil); errors.As(err, &nerr) && nerr.Timeout() {
		t.Fatalf("connection still open after %v; read %x", guard, b)
	}
	return b
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	t.Cleanup(cancel)
	return ctx
}
