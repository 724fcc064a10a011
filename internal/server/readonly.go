package server

import (
	"crypto/rand"
	"time"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// Read-only mode (readonlymode.enabled): a server that has had no majority for a while takes clients that are content with reading
// (ZooKeeper's canBeReadOnly), and shows them what it has. They get a session that nobody else knows of, or their own one if this server
// knows it; writes are answered NOTREADONLY. When there is a majority again they are sent away, to come back as everybody else
// (ReadOnlyZooKeeperServer, ReadOnlyRequestProcessor).

// isReadOnly says whether this server takes such clients now, and no others.
func (s *Server) isReadOnly() bool {
	return s.cfg.ReadOnly && s.ready.Load() && s.away() > s.cfg.ElectionGrace && s.lastZxid() > 0
}

// openReadOnly answers a handshake in read-only mode.
func (c *conn) openReadOnly(req *wire.ConnectRequest) error {
	s := c.srv
	if !req.ReadOnly {
		s.stats.rejected.Add(1)
		return c.refuse("this server is read-only for want of a majority, and it wants to write")
	}
	if req.LastZxidSeen > s.lastZxid() {
		return c.refuse("it has seen more than this server, which is read-only")
	}
	o := &opening{c: c, hasReadOnly: req.HasReadOnly, id: req.SessionID,
		timeoutMs: min(max(req.TimeOut, s.cfg.MinSessionTimeoutMs), s.cfg.MaxSessionTimeoutMs)}
	known := copy(o.passwd[:], req.Passwd) == len(o.passwd)
	if req.SessionID == 0 {
		o.id = s.newSessionID()
		if _, err := rand.Read(o.passwd[:]); err != nil {
			return err
		}
	} else {
		s.treeMu.RLock()
		o.timeoutMs, known = s.tree.SessionTimeout(o.id, o.passwd)
		s.treeMu.RUnlock()
	}
	c.mu.Lock()
	if req.SessionID != 0 && !known {
		o.answerInvalid()
	} else {
		c.state, c.session, c.timeoutMs, c.readOnly, c.bornReadOnly = stateOpen, o.id, o.timeoutMs, true, req.SessionID == 0
		o.answer(&wire.ConnectResponse{TimeOut: c.timeoutMs, SessionID: c.session, Passwd: o.passwd[:], ReadOnly: true})
	}
	c.stop = c.closing
	c.mu.Unlock()
	c.heard.Store(true)
	c.flushWait()
	return nil
}

// refuseWrite answers what a read-only connection cannot have. Closing a session that only it knows is no write.
func (r *run) refuseWrite(h *wire.RequestHeader) error {
	if h.Type == zk.OpCloseSession && r.c.bornReadOnly {
		r.decided(h, zk.OK, lastReply)
	} else {
		r.decided(h, zk.ErrNotReadOnly, moreReplies)
	}
	return nil
}

// inspectReadOnlyLocked ends a read-only connection that has lost its reason, or whose client is silent. heard says whether it said something since the
// last look.
func (c *conn) inspectReadOnlyLocked(age time.Duration, heard, serving bool) {
	if heard || c.quietNs == 0 {
		c.quietNs = int64(age)
	}
	switch {
	case serving:
		c.killLocked("it may write again, and reconnects for that")
	case age-time.Duration(c.quietNs) > ms(c.timeoutMs):
		c.killLocked(reasonQuiet)
	}
}
