package server

import (
	"time"
)

// housekeeping looks after the connections now and then, until the server is closed.
func (s *Server) housekeeping() {
	for s.pause(s.reportEvery()) {
		s.Housekeep(time.Duration(s.now()))
	}
}

// house is what one round needs, kept for the next.
type house struct {
	conns  []*conn
	heard  []int64
	locals []int64
	paced  time.Duration // age at which the top talkers' pace was set
}

// Housekeep is one round: it tells the leader which sessions were heard from, and ends connections whose handshake takes too
// long or that have been without a leader for their session's timeout. age is the server's age. One goroutine calls it.
func (s *Server) Housekeep(age time.Duration) {
	h := &s.house
	h.conns, h.heard, h.locals = s.appendConns(h.conns[:0]), h.heard[:0], h.locals[:0]
	away := s.away()
	for _, c := range h.conns {
		heard := c.heard.Swap(false) || c.isWaitedFor()
		if heard {
			c.mu.Lock()
			switch {
			case c.state != stateOpen || c.readOnly:
			case c.local:
				h.locals = append(h.locals, c.session)
			case !c.dead && c.movedNs.Load() == 0:
				h.heard = append(h.heard, c.session)
			}
			c.mu.Unlock()
		}
		s.inspect(c, age, away, heard)
	}
	clear(h.conns)
	if s.cfg.LocalSessions {
		s.keepLocals(age, h.locals)
	}
	s.slow.write(s.log)
	if s.top != nil && age-h.paced >= time.Second {
		s.top.pace(s.stats.received.Load(), (age - h.paced).Seconds())
		h.paced = age
	}
	if s.ready.Load() && s.leader.Load() != 0 {
		s.report(h.heard)
	}
}

// isWaitedFor says whether the client waits for this server, or for its turn, so that nothing more of it is read: that its pings are not heard is not
// its fault. A session does not expire because its server is busy.
func (c *conn) isWaitedFor() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.len > 0 || c.waitFor == waitTurn
}

// inspect ends c if it is time.
func (s *Server) inspect(c *conn, age, away time.Duration, heard bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dead && c.overdue:
		s.spawn(c.hangUp) // Close waits until the reader has left the socket, and it may be about to
	case c.dead:
		c.overdue = true
	case c.state != stateOpen && age-time.Duration(c.acceptNs) > s.cfg.HandshakeTimeout:
		c.srv.stats.lateHands.Add(1)
		c.killLocked("it has not finished its handshake in time")
	case c.state == stateOpen && c.readOnly:
		c.inspectReadOnlyLocked(age, heard, away == 0)
	case c.state == stateOpen && c.takesReadOnly && s.isReadOnly():
		c.killLocked("there is no majority, and it is content with reading, for which it reconnects")
	case c.movedNs.Load() != 0 && age-time.Duration(c.movedNs.Load()) > ms(c.timeoutMs):
		c.killLocked(reasonQuiet) // nobody misses it
	case c.state == stateOpen && away > ms(c.timeoutMs):
		c.killLocked("there has been no leader for as long as its session's timeout")
	}
}
