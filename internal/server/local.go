package server

import (
	"crypto/rand"
	"crypto/subtle"
	"time"

	"gopherwood/internal/tree"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// Local sessions (localSessionsEnabled): a new session is known to this server alone, and opening, keeping and closing it costs the ensemble
// nothing. It can do everything but own ephemeral nodes, and it can't move to another server: there its client is told that it has
// expired. With localSessionsUpgradingEnabled the first ephemeral node makes it a session like any other (UpgradeableSessionTracker).

// localSession is one of them. It is guarded by Server.mu.
type localSession struct {
	passwd    [16]byte
	timeoutMs int32
	heardNs   int64 // the server's age when its client was last heard
	c         *conn // nil between two connections
}

// openLocal makes a local session, or takes one over. done is false if the request is about another kind of session.
func (c *conn) openLocal(req *wire.ConnectRequest) (done bool, err error) {
	s := c.srv
	l := &localSession{heardNs: s.now(), c: c, timeoutMs: min(max(req.TimeOut, s.cfg.MinSessionTimeoutMs), s.cfg.MaxSessionTimeoutMs)}
	id := req.SessionID
	if id == 0 {
		id = s.newSessionID()
		if _, err := rand.Read(l.passwd[:]); err != nil {
			return false, err
		}
	}
	timeoutMs, passwd := l.timeoutMs, l.passwd
	if req.SessionID == 0 {
		s.mu.Lock()
		s.locals[id] = l
		s.mu.Unlock()
	} else {
		was, err := c.takeLocal(id, req.Passwd)
		if was == nil || err != nil {
			return false, err
		}
		timeoutMs, passwd = was.timeoutMs, was.passwd
	}
	s.stats.ops[slotCreateSession].Add(1)
	o := &opening{c: c, hasReadOnly: req.HasReadOnly}
	c.mu.Lock()
	c.state, c.session, c.timeoutMs, c.local = stateOpen, id, timeoutMs, true
	o.answer(&wire.ConnectResponse{TimeOut: timeoutMs, SessionID: id, Passwd: passwd[:]})
	c.mu.Unlock()
	c.heard.Store(true)
	c.flushWait()
	return true, nil
}

// takeLocal makes c the connection of a local session when the one that it had has ended, which may make the session known to all, or end it, as its last deed.
// nil: there is no such session, or another password belongs to it.
func (c *conn) takeLocal(id int64, given []byte) (*localSession, error) {
	s := c.srv
	for {
		s.mu.Lock()
		was := s.locals[id]
		if was == nil || subtle.ConstantTimeCompare(was.passwd[:], given) != 1 {
			s.mu.Unlock()
			return nil, nil
		}
		old := was.c
		s.mu.Unlock()
		if old != nil && old != c && !c.follow(old) {
			return nil, errEnded
		}
		s.mu.Lock()
		if s.locals[id] == was && was.c == old {
			was.c, was.heardNs = c, s.now()
			s.mu.Unlock()
			return was, nil
		}
		s.mu.Unlock() // it has gone, or somebody else was faster
	}
}

// closeLocal ends a local session at its client's wish.
func (r *run) closeLocal(h *wire.RequestHeader) error {
	s := r.c.srv
	s.mu.Lock()
	if l := s.locals[r.c.session]; l != nil && l.c == r.c {
		delete(s.locals, r.c.session)
	}
	s.mu.Unlock()
	r.decided(h, zk.OK, lastReply)
	return nil
}

// upgrade makes the local session of a connection one that everybody knows, before the write that needs it: commands of one server are applied in the order in
// which they are proposed. Its reader calls it.
func (c *conn) upgrade() error {
	s := c.srv
	s.mu.Lock()
	l := s.locals[c.session]
	if l == nil || l.c != c {
		s.mu.Unlock()
		return errEnded // it has expired, or another connection has it
	}
	delete(s.locals, c.session)
	s.mu.Unlock()
	cmd := tree.Command{Kind: tree.KindCreateSession, Session: c.session, Timeout: l.timeoutMs, Passwd: l.passwd}
	if old := s.setSessionConn(c.session, c); old != nil && old != c {
		old.kill(reasonQuiet)
	}
	c.mu.Lock()
	c.local = false
	c.mu.Unlock()
	return s.rep.Propose(cmd.Append(nil), (*upgraded)(c))
}

// upgraded is the waiter of an upgrade.
type upgraded conn

// Done implements replica.Waiter.
func (u *upgraded) Done(result any, err error) {
	c := (*conn)(u)
	if err != nil {
		c.kill("its session could not be made known to the ensemble: " + err.Error())
	} else if code := result.(*tree.Result).Code; code != zk.OK {
		c.kill("its session could not be made known to the ensemble: " + code.Error())
	}
}

// wantsEphemeral says whether a command creates an ephemeral node.
func wantsEphemeral(cmd *tree.Command) bool {
	for i := range cmd.Ops {
		switch cmd.Ops[i].Code {
		case zk.OpCreate, zk.OpCreate2:
			if cmd.Ops[i].Mode.IsEphemeral() {
				return true
			}
		}
	}
	return false
}

// keepLocals notes who was heard, and ends local sessions whose clients have been silent for their timeout. The housekeeper calls it.
func (s *Server) keepLocals(age time.Duration, heard []int64) {
	var silent []*conn
	s.mu.Lock()
	for _, id := range heard {
		if l := s.locals[id]; l != nil {
			l.heardNs = int64(age)
		}
	}
	for id, l := range s.locals {
		if age-time.Duration(l.heardNs) > ms(l.timeoutMs) {
			delete(s.locals, id)
			s.stats.expired.Add(1)
			if l.c != nil {
				silent = append(silent, l.c)
			}
		}
	}
	s.mu.Unlock()
	for _, c := range silent {
		c.kill("its session has expired")
	}
}
