package server

import (
	"crypto/rand"
	"errors"
	"io"

	"gopherwood/internal/certs"
	"gopherwood/internal/tree"
	"gopherwood/internal/wire"
	"gopherwood/replica"
	"gopherwood/zk"
)

// A connection starts with a ConnectRequest, or with a four-letter word. A session is created or taken over by a command, so
// every server knows whose it is; the answer is sent when that was applied here.

// errEnded is returned by handshake when the connection has had its last reply.
var errEnded = errors.New("ended in the handshake")

// handshake reads the first frame and makes the session. nil: requests follow, unless c.stop.
func (c *conn) handshake() error {
	frame, err := c.firstFrame()
	if err != nil || c.stop {
		return err
	}
	var req wire.ConnectRequest
	d := wire.NewDecoder(frame)
	req.Decode(&d)
	if err := d.Err(); err != nil {
		return &badRequest{"its first frame is no ConnectRequest", err}
	}
	c.srv.stats.received.Add(1)
	c.takesReadOnly = req.ReadOnly
	if c.srv.isReadOnly() {
		return c.openReadOnly(&req)
	}
	if !c.srv.isServing(c.srv.cfg.ElectionGrace) {
		c.srv.stats.rejected.Add(1)
		return c.refuse("no leader is known, or this server has not caught up with it yet")
	}
	if !c.mayOpen(req.SessionID != 0) {
		return c.refuse("too many sessions are being opened (connection_throttle_tokens)")
	}
	if err := c.catchUp(req.LastZxidSeen); err != nil {
		return err
	}
	if c.srv.cfg.LocalSessions {
		if done, err := c.openLocal(&req); done || err != nil {
			return err
		}
	}
	return c.openSession(&req)
}

// firstFrame reads the ConnectRequest's frame; it is gone from the inbox at the next fill. A four-letter word is answered here.
func (c *conn) firstFrame() ([]byte, error) {
	want := 0
	for {
		b := c.in.bytes()
		if len(b) >= wire.FrameHeaderSize {
			if word, ok := fourLetterWord(b[:wire.FrameHeaderSize]); ok {
				c.srv.stats.received.Add(1)
				return nil, c.command(word)
			}
		}
		if certs.IsTLS(b) {
			return nil, &badRequest{"it speaks TLS, which this port is not for (secureClientPort, client.portUnification)", beginning(b)}
		}
		frame, size, err := wire.SplitFrame(b, maxHello)
		if err != nil {
			return nil, err
		}
		if frame != nil {
			c.in.pos += size
			return frame, nil
		}
		want = size
		if err := c.fill(want); err != nil {
			if len(b) == 0 && errors.Is(err, io.EOF) { // a port scan, a load balancer's probe
				return nil, c.refuse(reasonQuiet)
			}
			return nil, err
		}
	}
}

// refuse ends the connection without an answer.
func (c *conn) refuse(reason string) error {
	c.kill(reason)
	return errEnded
}

// catchUp makes sure that this server has seen what its client has: ZooKeeper sends a client away that is ahead of it
// (ZooKeeperServer.processConnectRequest). A barrier may bring this server there first.
func (c *conn) catchUp(zxid int64) error {
	if zxid <= c.srv.lastZxid() {
		return nil
	}
	if c.srv.leader.Load() == 0 {
		return c.refuse("no leader is known, and it has seen more than this server")
	}
	b := &barrier{s: c.srv, done: make(chan barrierDone, 1)}
	c.srv.rep.Barrier(b)
	switch d, ok := receive(c.srv, b.done, c.srv.cfg.HandshakeTimeout); {
	case !ok:
		return c.refuse("no quorum within the time for a handshake")
	case d.err != nil:
		return d.err
	case zxid > d.zxid:
		c.srv.noisy.info("sent a client away: it has seen more than this server, so it must try another one",
			"client", c, "seen", hex(zxid), "here", hex(d.zxid))
		return c.refuse(reasonQuiet)
	}
	return nil
}

// barrier is a Waiter of Replicator.Barrier for a goroutine that may block.
type barrier struct {
	s    *Server
	done chan barrierDone
}

type barrierDone struct {
	zxid int64 // the tree's last when the barrier was reached
	err  error
}

// Done implements replica.Waiter. The zxid that other goroutines see is that of the last batch, and this one is not over.
func (b *barrier) Done(_ any, err error) {
	d := barrierDone{err: err}
	if err == nil {
		d.zxid = b.s.tree.LastZxid()
	}
	post(b.s, b.done, d)
}

// opening is the waiter of the command that creates or takes over a session.
type opening struct {
	c           *conn
	hasReadOnly bool
	attach      bool
	id          int64
	timeoutMs   int32
	passwd      [16]byte
}

// openSession proposes the session's command and waits until it was applied here.
func (c *conn) openSession(req *wire.ConnectRequest) error {
	s := c.srv
	o := &opening{c: c, hasReadOnly: req.HasReadOnly, attach: req.SessionID != 0, id: req.SessionID,
		timeoutMs: min(max(req.TimeOut, s.cfg.MinSessionTimeoutMs), s.cfg.MaxSessionTimeoutMs)}
	cmd := tree.Command{Kind: tree.KindCreateSession, Timeout: o.timeoutMs}
	if o.attach {
		cmd.Kind = tree.KindAttachSession
		if old := s.sessionConn(o.id); old != nil && !c.follow(old) { // even if the password turns out wrong
			return errEnded
		}
		if len(req.Passwd) != len(o.passwd) {
			c.mu.Lock()
			o.answerInvalid()
			c.mu.Unlock()
			c.stop = true
			return nil
		}
		copy(o.passwd[:], req.Passwd)
	} else {
		o.id = s.newSessionID()
		if _, err := rand.Read(o.passwd[:]); err != nil {
			return err
		}
	}
	cmd.Session, cmd.Passwd = o.id, o.passwd
	if !s.openings.enter(c) {
		return errEnded
	}
	if err := s.rep.Propose(cmd.Append(nil), o); err != nil {
		s.openings.leave(1)
		return err
	}
	c.mu.Lock()
	alive := c.waitLocked(waitSession)
	c.stop = c.closing
	c.mu.Unlock()
	if !alive {
		return errEnded
	}
	c.heard.Store(true)
	c.flushWait()
	return nil
}

// Done implements replica.Waiter: the session's command was applied. The reader is woken and sends the answer.
func (o *opening) Done(result any, err error) {
	c, s := o.c, o.c.srv
	s.openings.leave(1)
	if err != nil {
		c.kill("its session could not be opened: " + err.Error())
		return
	}
	s.stats.ops[slotCreateSession].Add(1)
	res := result.(*tree.Result)
	if res.Code == 0 && !o.takeOver(res) {
		return
	}
	if res.Code == 0 && !s.loop.hasConfig && s.lacksConfig() { // it came before the ensemble was formed
		s.loop.early = append(s.loop.early, o)
		return
	}
	o.finish(res.Code)
}

// finish answers a request for a session.
func (o *opening) finish(code zk.Code) {
	c, s := o.c, o.c.srv
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return
	}
	if code != 0 {
		s.noisy.info("a client's session is not there any more, or its password is wrong",
			"client", c, "session", hex(o.id), "code", code)
		o.answerInvalid()
	} else {
		c.state = stateOpen
		o.answer(&wire.ConnectResponse{TimeOut: c.timeoutMs, SessionID: c.session, Passwd: o.passwd[:]})
	}
	s.loop.sent++
	c.wakeLocked()
}

// takeOver makes the connection the session's. false: it died while it waited.
func (o *opening) takeOver(res *tree.Result) bool {
	c := o.c
	c.mu.Lock()
	dead := c.dead
	if !dead {
		c.session, c.timeoutMs = o.id, res.Session.TimeoutMs
	}
	c.mu.Unlock()
	if dead {
		return false
	}
	if old := c.srv.setSessionConn(o.id, c); old != nil && old != c {
		old.kill(reasonQuiet)
	}
	return true
}

// answerInvalid says that the session is not to be had; the connection then ends (ZooKeeperServer.finishSessionInit).
func (o *opening) answerInvalid() {
	o.answer(&wire.ConnectResponse{Passwd: make([]byte, 16)})
	o.c.closeLocked()
}

func (o *opening) answer(r *wire.ConnectResponse) {
	r.HasReadOnly = o.hasReadOnly
	out := o.c.outLocked()
	b, mark := wire.BeginFrame(out.b)
	out.b = endFrame(r.Append(b), mark)
}

// newSessionID is the server's id in the high byte and a number that no incarnation of this server gives out again: the start
// of the process in ms, times 65,536, counted up.
func (s *Server) newSessionID() int64 {
	const low = 1<<56 - 1
	n := uint64(s.nextSession.Add(1)) & low
	return int64(s.cfg.ID<<56 | n)
}

var _ replica.Waiter = (*opening)(nil)
