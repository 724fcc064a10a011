package server

import (
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gopherwood/internal/planted"
	"gopherwood/internal/sasl"
	"gopherwood/internal/sock"
	"gopherwood/internal/watch"
	"gopherwood/internal/wire"
	"gopherwood/replica"
	"gopherwood/zk"
)

// conn is one client connection. Its reader goroutine (serve) lives as long as it does, decodes its requests, executes what it
// can, and takes everything down at the end. See doc.go for who may do what.
type conn struct {
	// constant
	srv      *Server
	nc       net.Conn
	guard    *guard // nil: no TLS
	onRead   func(uintptr) bool
	onWrite  func(uintptr) bool
	remote   netip.AddrPort // invalid for a connection that is no socket
	handle   watch.Handle   // and slot in Server.conns
	acceptNs int64

	// set by the reader in protect (tls.go), constant after it
	raw    syscall.RawConn // nil for TLS and for a connection that is no socket
	stream net.Conn        // what requests are read from and replies written to: nc, or TLS on it
	x509   []zk.ID         // identities of the client's certificate

	// owned by the reader
	in   inbox
	head [headBytes]byte
	rn   int // of the last readReady
	rerr error
	stop bool // no further request is read

	saidGoodbye bool // its client has closed the session

	untilSample, passed int            // requests until the top talkers look at one, and of how many that is
	random              uint64         // not 0
	sasl                *sasl.Exchange // nil before the client's first token
	admitted            bool           // it has proved what Security.Enforce asks for

	// owned by the writer (out.go)
	wbuf []byte
	wn   int
	werr error

	// set in the handshake, constant after it
	takesReadOnly bool // its client is content with reading
	readOnly      bool // the server has no majority: reads alone
	bornReadOnly  bool // and its session is known here only

	// atomic
	heard   atomic.Bool  // since the last report to the leader
	movedNs atomic.Int64 // now() when another server took the session over; 0: none did

	// owned by the loop
	dirty bool

	mu   sync.Mutex
	cond sync.Cond // the reader waits for what waitFor says; see blockLocked
	// guarded by mu
	waitFor       waitFor
	state         connState
	dead          bool   // nothing is appended or executed any more
	closing       bool   // the last reply is appended; once it is sent, the connection ends
	reason        string // why it was killed; "" if it was not
	writing       bool   // somebody has the role of the writer
	out           *outBuffer
	inflight      int // bytes that the writer has taken
	newEventBytes int // events in out
	eventBytes    int // events in what the writer has taken
	counted       int // part of Server.outTotal
	queue         queue
	auth          []zk.ID // immutable slice, replaced when it grows
	session       int64   // 0 before the session is there
	local         bool    // this server alone knows the session; written by the reader
	timeoutMs     int32
	turn          bool    // a turnstile has let it in
	overdue       bool    // it was dead already when the housekeeper came by
	ended         bool    // its reader proposes nothing more
	followers     []*conn // handshakes that wait for that, to take over its session
	followed      bool    // the one that it takes its session from has ended
	quietNs       int64   // readOnly: the server's age when its client was last heard
	stats         connStats

	removed bool // guarded by Server.mu
}

// connState is how far a connection has come.
type connState uint8

const (
	stateHandshake connState = iota // until the session is there
	stateOpen                       // requests
	stateCommand                    // answers a four-letter word
)

// waitFor is what a reader waits for.
type waitFor uint8

const (
	waitNothing waitFor = iota
	waitSession         // state is open, or the last reply of a failed handshake is appended
	waitRoom            // the queue has room again
	waitTurn            // a turnstile lets it in
	waitEnded           // the connection that it takes its session from has ended
	waitNoSync          // no sync is in the queue
	waitSent            // the backlog is small again
	waitEnd             // the last reply is sent
	waitIdle            // everything is answered and sent
)

// connStats are what cons shows of a connection.
type connStats struct {
	received, sent int64
	lastOp         zk.OpCode
	lastXid        int32
	lastZxid       int64
	lastNs         int64 // Server.now of the last reply
	lastLatNs      int64
	minLatNs       int64
	maxLatNs       int64
	sumLatNs       int64
	answered       int64
}

func (s *Server) newConn(nc net.Conn, g *guard) *conn {
	c := &conn{srv: s, nc: nc, guard: g, stream: nc, acceptNs: s.now()}
	c.cond.L = &c.mu
	c.random = uint64(c.acceptNs)<<1 | 1
	if s.top == nil {
		c.untilSample = math.MaxInt
	}
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw, c.onRead, c.onWrite = raw, c.readReady, c.writeReady
		}
	}
	ip := "127.0.0.1"
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.remote = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), uint16(a.Port))
		ip = c.remote.Addr().WithZone("").String()
	}
	c.auth = []zk.ID{{Scheme: schemeIP, ID: ip}}
	if s.cfg.Security.SkipACL {
		c.auth = append(c.auth, zk.ID{Scheme: schemeSuper})
	}
	return c
}

// serve is the reader.
func (c *conn) serve() {
	defer c.teardown()
	err := c.protect()
	if err == nil {
		err = c.handshake()
	}
	if err == nil {
		err = c.requests()
	}
	if err != nil && !c.isClosing() {
		c.explain(err)
		return
	}
	c.finish()
}

// requests reads and handles requests until the connection is to end. nil: its last reply is under way.
func (c *conn) requests() error {
	for !c.stop {
		want, err := c.burst()
		if err != nil || c.stop {
			return err
		}
		if err := c.fill(want); err != nil {
			return err
		}
		if c.srv.draining.Load() {
			return c.drained()
		}
	}
	return nil
}

// drained ends a connection of a server that shuts down: nothing more is read, what was read is answered.
func (c *conn) drained() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waitLocked(waitIdle) {
		c.killLocked(reasonQuiet)
	}
	return errEnded
}

// waitLocked waits until w holds. false: the connection is dead, or it is closing and w is about more requests.
func (c *conn) waitLocked(w waitFor) bool {
	for !c.holdsLocked(w) && !c.endedLocked(w) {
		c.waitFor = w
		c.blockLocked()
	}
	c.waitFor = waitNothing
	return !c.endedLocked(w)
}

// endedLocked says whether there is no point any more in waiting for w.
func (c *conn) endedLocked(w waitFor) bool {
	return c.dead || (c.closing && w != waitSession && w != waitEnd)
}

func (c *conn) holdsLocked(w waitFor) bool {
	switch w {
	case waitSession:
		return c.state == stateOpen || c.closing
	case waitRoom:
		if c.queue.len == 0 || planted.QueueUnbounded.On() {
			return true
		}
		if limit := c.srv.cfg.Throttle.GlobalOutstanding; limit > 0 && c.srv.outstanding.Load() > int64(limit) {
			return false // looked at again at its own next answer
		}
		return c.queue.len < c.srv.cfg.MaxOutstanding && c.queue.bytes < maxPending && c.srv.inTotal.Load() < c.srv.cfg.MaxInTotal
	case waitTurn:
		return c.turn
	case waitEnded:
		return c.followed
	case waitNoSync:
		return c.queue.syncs == 0
	case waitSent:
		return !c.writing || c.backlogLocked() <= outHigh
	case waitEnd:
		return c.closing && c.idleLocked()
	case waitIdle:
		return c.queue.len == 0 && c.idleLocked()
	}
	return true
}

// idleLocked says whether there is nothing to send.
func (c *conn) idleLocked() bool { return c.out == nil && !c.writing }

// wakeLocked lets the reader go on if what it waits for has come.
func (c *conn) wakeLocked() {
	if planted.LostWakeup.On() && c.waitFor == waitRoom && !c.dead {
		return
	}
	if c.waitFor != waitNothing && (c.endedLocked(c.waitFor) || c.holdsLocked(c.waitFor)) {
		c.signal()
	}
}

// kill ends the connection from any goroutine, without waiting: its reader takes it down.
func (c *conn) kill(reason string) {
	c.mu.Lock()
	c.killLocked(reason)
	c.mu.Unlock()
}

func (c *conn) killLocked(reason string) {
	if c.dead {
		return
	}
	c.dead, c.reason = true, reason
	c.wakeReaderLocked(c.nc.SetDeadline)
}

// closeLocked says that the last reply is appended: once it is sent, the connection ends. The reader may be waiting for more requests.
func (c *conn) closeLocked() {
	c.closing = true
	c.wakeReaderLocked(c.nc.SetReadDeadline)
}

func (c *conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing && !c.dead
}

// wakeReaderLocked ends a read, or also a write, that waits.
func (c *conn) wakeReaderLocked(setDeadline func(time.Time) error) {
	c.signal()
	if err := setDeadline(longAgo); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
		c.srv.log.Debug("waking a connection", "error", err)
	}
}

var longAgo = time.Unix(1, 0)

// finish sends what is left, says goodbye and waits shortly for the client to hang up, so that the last reply reaches it.
func (c *conn) finish() {
	c.mu.Lock()
	for c.out != nil && !c.writing && !c.dead {
		c.mu.Unlock()
		c.flushWait()
		c.mu.Lock()
	}
	alive := c.waitLocked(waitEnd)
	c.mu.Unlock()
	if alive && !(c.saidGoodbye && c.nothingUnread()) {
		c.linger()
	}
}

// nothingUnread says whether the client has sent nothing more, as one that has closed its session does. Then closing the socket destroys
// nothing (ZooKeeper closes it so), and lingering would cost a session a tenth more.
func (c *conn) nothingUnread() bool {
	if c.raw == nil || c.in.pos != c.in.end {
		return false
	}
	var b [1]byte
	n, err := 0, error(nil)
	failed := c.raw.Read(func(fd uintptr) bool {
		n, err = sock.Read(fd, b[:])
		return true
	})
	return failed == nil && n == 0 && (err == nil || err == syscall.EAGAIN)
}

// linger throws away what the client still sends. Closing a socket with unread bytes would destroy the reply before them.
func (c *conn) linger() {
	c.farewell()
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.nc.SetReadDeadline(c.srv.clock().Add(lingerTimeout)) != nil {
		return
	}
	c.in.release(c.srv)
	c.in.pos, c.in.end = 0, 0
	c.in.acquire(c.srv)
	for left := maxLinger; left > 0; {
		n, err := c.nc.Read(c.in.buf)
		if err != nil {
			return
		}
		left -= n
	}
}

// teardown ends everything that the connection has. Requests that are still proposed are given back by their own Done.
func (c *conn) teardown() {
	c.mu.Lock()
	c.dead, c.ended = true, true
	followers := c.followers
	c.followers = nil
	c.srv.inTotal.Add(-int64(c.queue.bytes))
	c.queue = queue{}
	c.out = nil
	c.srv.outTotal.Add(-int64(c.counted))
	c.counted = 0
	c.mu.Unlock()
	for _, f := range followers {
		f.mu.Lock()
		f.followed = true
		f.wakeLocked()
		f.mu.Unlock()
	}
	c.in.release(c.srv)
	c.srv.removeConn(c)
	if err := c.nc.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		c.srv.log.Debug("closing a connection", "error", err)
	}
}

// follow ends the older connection of the session that c is about to take over, and waits until its reader has ended. The reader may be held up in
// Propose, and a write that it had read must come into the log before the session's command of c, or not at all: c's client is to see nothing later of
// what it has given up. false: c has ended meanwhile. Only c's reader calls it, with no lock held.
func (c *conn) follow(old *conn) bool {
	old.mu.Lock()
	old.killLocked(reasonQuiet)
	ended := old.ended
	if !ended {
		old.followers = append(old.followers, c)
	}
	old.mu.Unlock()
	if ended || planted.SessionNotFollowed.On() {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	alive := c.waitLocked(waitEnded)
	c.followed = false
	return alive
}

// explain logs why a connection ended, if that is worth a line.
func (c *conn) explain(err error) {
	c.mu.Lock()
	reason, session := c.reason, c.session
	c.mu.Unlock()
	var bad *badRequest
	var length *wire.LengthError
	switch {
	case reason == reasonQuiet:
		return
	case reason != "":
		c.srv.noisy.warn("closed a client's connection: "+reason, "client", c, "session", hex(session))
	case errors.As(err, &length):
		c.srv.noisy.warn("closed a client's connection: it sent a frame that is too long or malformed (jute.maxbuffer is the limit)",
			"client", c, "session", hex(session), "bytes", length.Length, "limit", length.Max)
	case errors.As(err, &bad):
		c.srv.noisy.warn("closed a client's connection: "+bad.reason, "client", c, "session", hex(session), "error", bad.err)
	case isHangUp(err), errors.Is(err, replica.ErrClosed):
		c.srv.stats.dropped.Add(1)
		c.srv.log.Debug("a client has hung up", "client", c, "session", hex(session))
	default:
		c.srv.stats.dropped.Add(1)
		c.srv.noisy.warn("closed a client's connection", "client", c, "session", hex(session), "error", err)
	}
}

// isHangUp says whether an error is what reading or writing says when the other side has gone, or when this one has let go.
func isHangUp(err error) bool {
	for _, e := range []error{io.EOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed, io.ErrClosedPipe, os.ErrDeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// reasonQuiet kills a connection without a line in the log: the end was asked for, or announced elsewhere.
const reasonQuiet = "quiet"

// reasonMoved kills a connection through which a session is used that belongs to another server now.
const reasonMoved = "its session has moved to another server"

// badRequest is an input that no client of the protocol sends.
type badRequest struct {
	reason string
	err    error
}

func (e *badRequest) Error() string { return e.reason }
func (e *badRequest) Unwrap() error { return e.err }

// String is the client's address.
func (c *conn) String() string {
	if c.remote.IsValid() {
		return c.remote.String()
	}
	return "local"
}

// note counts a request that was answered at nowNs, lat after it came.
func (c *conn) note(op zk.OpCode, xid int32, nowNs int64, lat time.Duration) {
	st := &c.stats
	st.sent++
	st.answered++
	if xid >= 0 { // the client's own operations, not its pings
		st.lastXid = xid
	}
	st.lastOp, st.lastZxid = op, c.srv.tree.LastZxid()
	st.lastNs = nowNs
	st.lastLatNs = int64(lat)
	st.sumLatNs += int64(lat)
	st.maxLatNs = max(st.maxLatNs, int64(lat))
	if st.minLatNs == 0 || int64(lat) < st.minLatNs {
		st.minLatNs = int64(lat)
	}
}
