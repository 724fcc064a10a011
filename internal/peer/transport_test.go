package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

func numbered(n int) *Message {
	return &Message{Kind: KindApp, From: id1, To: 5, App: binary.LittleEndian.AppendUint32(nil, uint32(n))}
}

func number(m *Message) int { return int(binary.LittleEndian.Uint32(m.App)) }

func TestMessagesArriveInOrder(t *testing.T) {
	a, b, c := start(t, 1, nil), start(t, 2, nil), start(t, 3, nil)
	link(t, a, b, c)
	const messages = 20_000
	var wg sync.WaitGroup
	for i, m := range []*member{a, b, c} {
		for j, to := range []*member{a, b, c} {
			if i == j {
				continue
			}
			wg.Go(func() {
				for n := range messages {
					if !m.Send(to.cfg.ServerID, numbered(i<<24|n)) {
						t.Errorf("message %d from %d to %d was dropped", n, i, j)
						return
					}
				}
			})
		}
	}
	for i, m := range []*member{a, b, c} {
		var next [3]int
		for range 2 * messages {
			got := receive(t, m.messages, "message")
			from := number(got) >> 24
			if n := number(got) & 0xffffff; n != next[from] || from == i {
				t.Fatalf("message %d from %d, want %d", n, from, next[from])
			}
			next[from]++
		}
	}
	wg.Wait()
}

func TestSendToNobody(t *testing.T) {
	dials := make(chan string, 1000)
	a := start(t, 1, func(c *Config, _ *recorder) {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			dials <- addr
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		}
	})
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	a.SetPeers(map[uint16]string{1: a.addr(), 2: gone.Addr().String()})
	a.log.wantLine(t, "cannot connect", "to=2", gone.Addr().String())
	receive(t, dials, "dial")
	for range 5 { // the tries between which a line could be logged
		receive(t, dials, "dial")
	}
	for server := range uint16(4) {
		if a.Send(server, numbered(0)) || a.Connected(server) {
			t.Errorf("sent to server %d", server)
		}
	}
	if n := strings.Count(a.log.String(), "cannot connect"); n != 1 {
		t.Errorf("%d lines about the same failure:\n%s", n, a.log)
	}
}

func TestTooLongToSend(t *testing.T) {
	a, b := start(t, 1, nil), start(t, 2, nil)
	link(t, a, b)
	if a.Send(2, &Message{Kind: KindApp, App: make([]byte, MaxMessageBytes)}) {
		t.Error("a message that nobody would take was sent")
	}
	a.log.wantLine(t, "too long", "to=2")
	largest := &Message{Kind: KindApp, App: make([]byte, MaxMessageBytes-32)}
	if !a.Send(2, largest) || !a.Send(2, numbered(7)) {
		t.Fatal("messages were dropped")
	}
	if m := receive(t, b.messages, "large message"); len(m.App) != len(largest.App) {
		t.Errorf("%d bytes", len(m.App))
	}
	if m := receive(t, b.messages, "message"); number(m) != 7 {
		t.Errorf("message %d", number(m))
	}
}

func TestPeerRestartsUnderAnotherID(t *testing.T) {
	a, b := start(t, 1, nil), start(t, 2, nil)
	link(t, a, b)
	a.wantEvents(t, "up 2 2-a2")
	b.Close()
	b.wantEvents(t, "up 1 1-a1", "down 1 1-a1")
	a.wantEvents(t, "down 2 2-a2")
	eventually(t, "disconnected", func() bool { return !a.Connected(2) })
	again := start(t, 2, func(c *Config, _ *recorder) { c.RaftID, c.Listen = 2<<48|0xbb, b.addr() })
	link(t, a, again)
	a.wantEvents(t, "up 2 2-bb")
	if !a.Send(2, numbered(1)) {
		t.Fatal("dropped")
	}
	receive(t, again.messages, "message after the restart")
}

// A second connection from a server takes over from the first, whose end may never arrive.
func TestPeerConnectsAgain(t *testing.T) {
	a := start(t, 1, nil)
	first := dialGreeted(t, a, purposeMessages)
	a.wantEvents(t, "up 2 2-a2")
	second := dialGreeted(t, a, purposeMessages)
	a.wantEvents(t, "down 2 2-a2", "up 2 2-a2")
	wantClosed(t, first)
	if _, err := second.Write(appendFrame(nil, numbered(3))); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, a.messages, "message"); number(m) != 3 {
		t.Errorf("message %d", number(m))
	}
}

// The callbacks for one peer never overlap: the new connection's PeerUp waits for the last Deliver of the old one.
func TestPeerConnectsAgainDuringDeliver(t *testing.T) {
	a := start(t, 1, func(_ *Config, r *recorder) { r.gate = make(chan struct{}) })
	first := dialGreeted(t, a, purposeMessages)
	a.wantEvents(t, "up 2 2-a2")
	if _, err := first.Write(appendFrame(nil, numbered(1))); err != nil {
		t.Fatal(err)
	}
	second := dialRaw(t, a.addr())
	h := hello{purpose: purposeMessages, from: 2, to: 1, identity: identity{raftID: 2<<48 | 0xbb, clusterID: 0xc1}}
	if _, err := second.Write(appendHello(h)); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, first)
	if len(a.messages) != 0 || len(a.events) != 0 {
		t.Fatal("the gate is open")
	}
	close(a.gate)
	a.wantEvents(t, "down 2 2-a2", "up 2 2-bb")
}

func TestPeerReset(t *testing.T) {
	a := start(t, 1, nil)
	conn := dialGreeted(t, a, purposeMessages)
	a.wantEvents(t, "up 2 2-a2")
	conn.(*net.TCPConn).SetLinger(0) // the close is a reset
	conn.Close()
	a.wantEvents(t, "down 2 2-a2")
}

const victimEnv = "PEER_TEST_VICTIM"

// runVictim is the process that TestPeerProcessKilled kills: server 2, connected to server 1 at addr.
func runVictim(addr string) {
	t, err := New(Config{ServerID: 2, RaftID: id2, ClusterID: 0xc1, Listen: "127.0.0.1:0", Handler: newRecorder()})
	if err != nil {
		panic(err)
	}
	t.SetPeers(map[uint16]string{1: addr})
	fmt.Println(t.Addr())
	select {}
}

func TestPeerProcessKilled(t *testing.T) {
	a := start(t, 1, nil)
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), victimEnv+"="+a.addr())
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer victim.Wait()
	defer victim.Process.Kill()
	var addr string
	if _, err := fmt.Fscan(out, &addr); err != nil {
		t.Fatal(err)
	}
	a.SetPeers(map[uint16]string{2: addr})
	a.wantEvents(t, "up 2 2-a2")
	eventually(t, "connected", func() bool { return a.Connected(2) })
	victim.Process.Kill()
	a.wantEvents(t, "down 2 2-a2")
	eventually(t, "disconnected", func() bool { return !a.Connected(2) })
	if a.Send(2, numbered(0)) {
		t.Error("sent to a dead process")
	}
}

func TestSetPeersMovesAndRemoves(t *testing.T) {
	a, old, moved := start(t, 1, nil), start(t, 2, nil), start(t, 2, nil)
	link(t, a, old)
	old.wantEvents(t, "up 1 1-a1")
	a.SetPeers(map[uint16]string{2: moved.addr()})
	if !a.Send(2, numbered(3)) { // it may not know that it has moved
		t.Error("dropped")
	}
	receive(t, old.messages, "message on the connection that there was")
	old.Close()
	moved.wantEvents(t, "up 1 1-a1")
	eventually(t, "connected", func() bool { return a.Connected(2) })
	a.SetPeers(map[uint16]string{2: moved.addr()}) // no change: no new connection
	if !a.Send(2, numbered(4)) {
		t.Error("dropped")
	}
	receive(t, moved.messages, "message at the new address")
	a.SetPeers(nil)
	moved.wantEvents(t, "down 1 1-a1")
	if a.Send(2, numbered(5)) || a.Connected(2) {
		t.Error("sent to a removed peer")
	}
}

func TestSetIdentity(t *testing.T) {
	joiner := start(t, 2, func(c *Config, _ *recorder) { c.RaftID, c.ClusterID = 0, 0 })
	a := start(t, 1, nil)
	link(t, joiner, a)
	a.wantEvents(t, "up 2 none")
	joiner.SetIdentity(2<<48|9, 0xc1)
	a.wantEvents(t, "down 2 none", "up 2 2-9")
	eventually(t, "connected", func() bool { return joiner.Connected(1) })
	joiner.SetIdentity(2<<48|9, 0xc1) // no change: no new connection
	if !joiner.Send(1, numbered(1)) {
		t.Error("dropped")
	}
	receive(t, a.messages, "message")

	// A server of another cluster turns out to be one when the own cluster is known.
	lost := start(t, 3, func(c *Config, _ *recorder) { c.ClusterID = 0 })
	lost.SetPeers(map[uint16]string{1: a.addr()})
	a.wantEvents(t, "up 3 3-a3")
	lost.SetIdentity(3<<48|0xa3, 0xc2)
	a.wantEvents(t, "down 3 3-a3")
	lost.log.wantLine(t, "cannot connect", "of cluster c1, server 3 of cluster c2")
	a.log.wantLine(t, "refused", "from=3", "of cluster c1, server 3 of cluster c2")

	other := start(t, 4, func(c *Config, _ *recorder) { c.ClusterID = 0 })
	conn := dialRaw(t, other.addr())
	if err := greet(conn, hello{purpose: purposeMessages, from: 2, to: 4, identity: identity{clusterID: 0xc1}}, guard); err != nil {
		t.Fatal(err)
	}
	other.wantEvents(t, "up 2 none")
	other.SetIdentity(4<<48|1, 0xc9)
	other.wantEvents(t, "down 2 none")
}

// A peer that does not read: Send refuses at the bound, and what was accepted arrives when it reads again.
func TestBackPressure(t *testing.T) {
	const bound = 1 << 20
	a := start(t, 1, func(c *Config, _ *recorder) { c.MaxPendingBytes = bound })
	b := start(t, 2, func(_ *Config, r *recorder) { r.gate = make(chan struct{}) })
	link(t, a, b)
	m := &Message{Kind: KindApp, App: make([]byte, 100_000)}
	sent := 0
	for a.Send(2, m) {
		if sent++; sent > 1000 {
			t.Fatal("no bound")
		}
	}
	p := (*a.peers.Load())[2]
	p.mu.Lock()
	queued := len(p.pending) + p.writing
	p.mu.Unlock()
	if queued > bound {
		t.Errorf("%d bytes are waiting", queued)
	}
	close(b.gate)
	for i := range sent {
		receive(t, b.messages, fmt.Sprintf("message %d of %d", i, sent))
	}
	eventually(t, "room again", func() bool { return a.Send(2, m) })
	receive(t, b.messages, "message after the jam")
}

// Buffers that a burst made large go when there is no more use for them.
func TestBuffersShrink(t *testing.T) {
	a, b := start(t, 1, nil), start(t, 2, nil)
	link(t, a, b)
	for range 4 {
		a.Send(2, &Message{Kind: KindApp, App: make([]byte, 4<<20)})
	}
	for range 4 {
		receive(t, b.messages, "large message")
	}
	for n := range 3 * maxSmallWrites {
		a.Send(2, numbered(n))
		receive(t, b.messages, "message")
	}
	p := (*a.peers.Load())[2]
	p.mu.Lock()
	defer p.mu.Unlock()
	if cap(p.pending) > keepBufferBytes || cap(p.spare) > keepBufferBytes {
		t.Errorf("buffers of %d and %d bytes are kept", cap(p.pending), cap(p.spare))
	}
}

// gatedConn is a connection on which each Write needs a token.
type gatedConn struct {
	net.Conn
	tokens, started chan struct{}
}

func (c *gatedConn) Write(b []byte) (int, error) {
	c.started <- struct{}{}
	<-c.tokens
	return c.Conn.Write(b)
}

// All that is sent during one system call leaves in the next.
func TestOneWriteForAllThatWaits(t *testing.T) {
	tokens, started := make(chan struct{}, 10), make(chan struct{}, 10)
	tokens <- struct{}{} // for the handshake
	b := start(t, 2, nil)
	a := start(t, 1, func(c *Config, _ *recorder) {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			return &gatedConn{Conn: conn, tokens: tokens, started: started}, err
		}
	})
	link(t, a, b)
	receive(t, started, "handshake")
	a.Send(2, numbered(0))
	receive(t, started, "write")
	for n := range 999 {
		a.Send(2, numbered(n+1))
	}
	tokens <- struct{}{}
	tokens <- struct{}{} // and none for a third
	for n := range 1000 {
		if got := number(receive(t, b.messages, "message")); got != n {
			t.Fatalf("message %d, want %d", got, n)
		}
	}
}

// silentPeer accepts connections as server 2 and reads nothing but their hello. It tells of each.
func silentPeer(t *testing.T, answer []byte) (addr string, accepted <-chan hello) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hellos, done := make(chan hello, 1000), make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
			h, err := readHello(conn)
			if err != nil {
				continue
			}
			conn.Write(answer)
			hellos <- h
		}
		for _, conn := range conns {
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String(), hellos
}

// A connection whose other side takes nothing is given up and made anew; it does not hold the writer for ever.
func TestHalfOpenConnectionIsGivenUp(t *testing.T) {
	addr, accepted := silentPeer(t, appendAnswer(nil))
	a := start(t, 1, func(c *Config, _ *recorder) { c.WriteTimeout = 50 * time.Millisecond })
	a.SetPeers(map[uint16]string{2: addr})
	if h := receive(t, accepted, "connection"); h.from != 1 || h.to != 2 || h.raftID != id1 || h.clusterID != 0xc1 {
		t.Errorf("hello %+v", h)
	}
	eventually(t, "connected", func() bool { return a.Connected(2) })
	for a.Send(2, &Message{Kind: KindApp, App: make([]byte, 4<<20)}) {
	}
	receive(t, accepted, "second connection")
	a.log.wantLine(t, "connection lost", "i/o timeout")
}

// A peer that accepts and never answers is tried again.
func TestHandshakeWithoutAnswer(t *testing.T) {
	addr, accepted := silentPeer(t, nil)
	a := start(t, 1, func(c *Config, _ *recorder) { c.HandshakeTimeout = 20 * time.Millisecond })
	a.SetPeers(map[uint16]string{2: addr})
	receive(t, accepted, "connection")
	receive(t, accepted, "second connection")
	if a.Connected(2) {
		t.Error("connected without an answer")
	}
}

// Close does not wait for a handshake that nobody answers.
func TestCloseDuringHandshake(t *testing.T) {
	addr, accepted := silentPeer(t, nil)
	a := start(t, 1, func(c *Config, _ *recorder) { c.HandshakeTimeout = 10 * guard })
	a.SetPeers(map[uint16]string{2: addr})
	receive(t, accepted, "connection")
	dialRaw(t, a.addr())
	closed := make(chan error, 1)
	go func() { closed <- a.Close() }()
	receive(t, closed, "end of Close")
}

// A peer whose address leads to something else that talks is no peer.
func TestBytesOnTheSendingConnection(t *testing.T) {
	addr, accepted := silentPeer(t, append(appendAnswer(nil), 'x'))
	a := start(t, 1, nil)
	a.SetPeers(map[uint16]string{2: addr})
	receive(t, accepted, "connection")
	receive(t, accepted, "second connection")
	a.log.wantLine(t, "connection lost", "only sends")
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		says string
	}{
		{Config{Handler: newRecorder()}, "ServerID is 0"},
		{Config{ServerID: 1, RaftID: id2, Handler: newRecorder()}, "not of server 1"},
		{Config{ServerID: 1}, "Handler is nil"},
		{Config{ServerID: 1, Handler: newRecorder(), Listen: "256.0.0.1:1"}, "listen for peers"},
	} {
		if tr, err := New(c.cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, %v", c.cfg, tr, err)
		}
	}
}

// Nothing is accepted before the first SetPeers, when the caller has nowhere put the transport yet.
func TestNoCallbackBeforeSetPeers(t *testing.T) {
	r := newRecorder()
	tr, err := New(Config{ServerID: 1, RaftID: id1, Listen: "127.0.0.1:0", Handler: r})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	conn := dialRaw(t, tr.Addr().String())
	hi := appendHello(hello{purpose: purposeMessages, from: 2, to: 1})
	if _, err := conn.Write(hi); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if err := readAnswer(conn); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("answered %v", err)
	}
	conn.SetReadDeadline(time.Now().Add(guard))
	tr.SetPeers(nil)
	if err := readAnswer(conn); err != nil {
		t.Fatal(err)
	}
	r.wantEvents(t, "up 2 none")
}

// Close ends a transport in any state, more than once, and what comes after it does nothing. goleak watches.
func TestCloseAtAnyMoment(t *testing.T) {
	for i := range 20 {
		a, b := start(t, 1, nil), start(t, 2, nil)
		peers := map[uint16]string{1: a.addr(), 2: b.addr()}
		a.SetPeers(peers)
		b.SetPeers(peers)
		if i%2 == 0 {
			eventually(t, "connected", func() bool { return a.Connected(2) })
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { a.Close() })
		}
		wg.Go(func() {
			for n := range 100 {
				a.Send(2, numbered(n))
			}
		})
		wg.Wait()
		a.SetPeers(map[uint16]string{2: b.addr(), 3: b.addr()})
		a.SetIdentity(1<<48|7, 0xc1)
		if a.Send(2, numbered(0)) || a.Connected(2) || a.Send(3, numbered(0)) {
			t.Error("sent after Close")
		}
		if err := a.SendSnapshot(context.Background(), 2, SnapshotHeader{}, nil, 0, 0); !errors.Is(err, ErrClosed) {
			t.Errorf("SendSnapshot after Close: %v", err)
		}
		b.Close()
	}
}

func TestBackoff(t *testing.T) {
	for attempts := 1; attempts < 100; attempts++ {
		want := min(backoffMin<<min(attempts-1, 20), backoffMax)
		if got := backoff(attempts); got < want/2 || got > want {
			t.Errorf("pause %v after %d attempts, want %v to %v", got, attempts, want/2, want)
		}
	}
}
