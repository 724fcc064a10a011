package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"gopherwood/internal/wire"
	"gopherwood/replica"
	"gopherwood/zk"
)

// TestDrain: what was sent before is answered, what comes later is not read, and then the connection ends.
func TestDrain(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	s := e.members[0].server
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c, idle := newClient(t, nc), e.client(0)
	c.connect()
	c.create("/a", "", 0)
	e.hold()
	for i := range 3 {
		c.send(zk.OpSetData, setReq("/a", fmt.Sprint(i)))
	}
	e.await(3)
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	idle.send(zk.OpPing, nil) // it may still be read, but not answered: the connection ends
	idle.ended()
	e.release()
	for range 3 {
		if h, _ := c.reply(); h.Err != zk.OK {
			t.Error(h.Err)
		}
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	c.ended()
	if err := s.Serve(l); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve after Close: %v", err)
	}
}

// TestDrainGivesUp: without a quorum nothing is answered, and the time is up.
func TestDrainGivesUp(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	c := e.client(0)
	e.hold()
	c.send(zk.OpSync, &wire.SyncRequest{Path: "/"})
	e.await(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.members[0].server.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	e.release()
}

// TestOutcomes: what the replica cannot answer ends the connection that asked, and no other.
func TestOutcomes(t *testing.T) {
	for _, err := range []error{replica.ErrOutcomeUnknown, replica.ErrClosed, replica.ErrBusy} {
		t.Run(err.Error(), func(t *testing.T) {
			e := newEnsemble(t, 1, nil)
			c, other := e.client(0), e.client(0)
			e.hold()
			c.send(zk.OpSetData, setReq("/", "x"))
			c.send(zk.OpGetData, &wire.GetDataRequest{Path: "/"})
			e.await(1)
			e.mu.Lock()
			w := e.log[0].w
			e.log = nil
			e.mu.Unlock()
			e.do(func() { w.Done(nil, err) })
			e.release()
			c.ended()
			other.must(zk.OpPing, nil)
			if n := e.members[0].server.outstanding.Load(); n != 0 {
				t.Errorf("%d requests are still counted", n)
			}
		})
	}
}

// TestRestore: after a snapshot was taken over the clients have to come back, since their watches missed what it brought. Their
// sessions, and what they rely on, are in it.
func TestRestore(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	s := e.members[0].server
	c := e.client(0)
	c.create("/a", "1", 0)
	c.get("/a", true)
	var snap bytes.Buffer
	e.do(func() {
		v, err := s.View()
		if err == nil {
			_, err = v.WriteTo(&snap)
			v.Close()
		}
		if err == nil {
			err = s.Restore(&snap)
		}
		if err != nil {
			t.Error(err)
		}
	})
	c.ended()
	again := newClient(t, e.dial(0))
	again.session, again.passwd = c.session, c.passwd
	if r := again.handshake(&wire.ConnectRequest{TimeOut: 10_000, LastZxidSeen: 2, SessionID: c.session, Passwd: c.passwd}); r.SessionID != c.session {
		t.Fatal("the session is gone")
	}
	if data, _, _ := again.get("/a", false); data != "1" {
		t.Errorf("read %q", data)
	}
}

// TestComeAndGo: connections that come and go at all moments leave nothing behind.
func TestComeAndGo(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	s := e.members[0].server
	frames := append(request1(1, zk.OpExists, &wire.ExistsRequest{Path: "/w", Watch: true}), request1(2, zk.OpCreate, createReq("/e", "", zk.ModeEphemeralSequential))...)
	frames = append(frames, request1(3, zk.OpSync, &wire.SyncRequest{Path: "/"})...)
	frames = append(frames, request1(4, zk.OpGetChildren, &wire.GetChildrenRequest{Path: "/", Watch: true})...)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 25 {
				c := newClient(t, e.dial(0))
				b, mark := wire.BeginFrame(nil)
				hello := wire.ConnectRequest{TimeOut: 10_000}
				b = endFrame(hello.Append(b), mark)
				whole, n := len(b), (i*25+k)*37%(len(b)+len(frames))
				if _, err := c.nc.Write(append(b, frames...)[:n]); err != nil {
					t.Error(err)
				}
				if k%3 == 0 && n >= whole {
					c.frame()
				}
				c.nc.Close()
			}
		})
	}
	wg.Wait()
	for len(s.conns()) > 0 {
		e.quiet()
	}
	e.quiet()
	if n := s.watchCounts(); n.Records != 0 {
		t.Errorf("%+v watches are left", n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) != 0 || len(s.perIP) != 0 || s.connCount.Load() != 0 || s.outTotal.Load() != 0 || s.inTotal.Load() != 0 || s.outstanding.Load() != 0 {
		t.Errorf("%d sessions, %d addresses, %d connections, %d bytes, %d requests are left",
			len(s.sessions), len(s.perIP), s.connCount.Load(), s.outTotal.Load(), s.outstanding.Load())
	}
}

// TestReadAllocatesNothing: a burst of reads and pings, from the bytes to the replies.
func TestReadAllocatesNothing(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	s := e.members[0].server
	e.client(0).create("/a", "data", 0)
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c := s.newConn(far, nil)
	c.state, c.writing = stateOpen, true // nobody sends
	var frames []byte
	for i := range int32(16) {
		frames = append(frames, request1(i, zk.OpGetData, &wire.GetDataRequest{Path: "/a"})...)
		frames = append(frames, request1(i, zk.OpExists, &wire.ExistsRequest{Path: "/a"})...)
		frames = append(frames, request1(i, zk.OpGetChildren2, &wire.GetChildren2Request{Path: "/"})...)
		frames = append(frames, request1(-2, zk.OpPing, nil)...)
	}
	if n := testing.AllocsPerRun(100, func() {
		c.in.acquire(s)
		c.in.pos, c.in.end = 0, copy(c.in.buf, frames)
		if _, err := c.burst(); err != nil {
			t.Fatal(err)
		}
		c.out.b = c.out.b[:0]
	}); n != 0 {
		t.Errorf("%v allocations for %d reads", n, 64)
	}
}

// BenchmarkGet is the server's and the client's share of reads over loopback, without their latency.
func BenchmarkGet(b *testing.B) {
	for _, depth := range []int{1, 32} {
		b.Run(fmt.Sprint("depth ", depth), func(b *testing.B) {
			e := newEnsemble(b, 1, nil)
			c := e.client(0)
			c.create("/a", string(make([]byte, 100)), 0)
			var frames []byte
			for i := range depth {
				frames = append(frames, request1(int32(i), zk.OpGetData, &wire.GetDataRequest{Path: "/a"})...)
			}
			replies := make([]byte, depth*(4+16+4+100+68))
			b.ReportAllocs()
			for n := 0; n < b.N; n += depth {
				c.write(frames)
				for got := 0; got < len(replies); {
					k, err := c.nc.Read(replies[got:])
					if err != nil {
						b.Fatal(err)
					}
					got += k
				}
			}
		})
	}
}
