package server

import (
	"errors"
	"net"

	"gopherwood/internal/planted"
	"gopherwood/internal/watch"
)

// The server's connections by handle, and those that have a session by its id. All under Server.mu, which is held for moments
// and under which no other lock is taken.

// addConn gives a connection its handle, or says why it is not wanted.
func (s *Server) addConn(c *conn) (why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ip := c.remote.Addr()
	switch {
	case s.closed:
		return "the server is shutting down"
	case s.connCount.Load() >= int64(s.cfg.MaxConns):
		return "there are too many connections to this server"
	case s.cfg.MaxConnsPerIP > 0 && s.perIP[ip] >= s.cfg.MaxConnsPerIP:
		return "there are too many connections from its address (maxClientCnxns)"
	}
	if s.cfg.MaxConnsPerIP > 0 {
		s.perIP[ip]++
	}
	s.connCount.Add(1)
	if n := len(s.freeSlots); n > 0 {
		c.handle = s.freeSlots[n-1]
		s.freeSlots = s.freeSlots[:n-1]
		s.slots[c.handle] = c
		return ""
	}
	c.handle = watch.Handle(len(s.slots))
	s.slots = append(s.slots, c)
	return ""
}

// removeConn takes a dead connection out, with its watches. Its handle is free only when they are gone.
func (s *Server) removeConn(c *conn) {
	s.watchMu.Lock()
	if !planted.WatchesOutliveTheirs.On() {
		s.watches.RemoveAll(c.handle)
	}
	s.watchMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots[c.handle] = nil
	s.freeSlots = append(s.freeSlots, c.handle)
	c.removed = true
	if s.sessions[c.session] == c {
		delete(s.sessions, c.session)
	}
	if l := s.locals[c.session]; l != nil && l.c == c {
		l.c = nil
	}
	s.connCount.Add(-1)
	ip := c.remote.Addr()
	if s.perIP[ip]--; s.perIP[ip] <= 0 {
		delete(s.perIP, ip)
	}
}

// sessionConn is the local connection of a session, or nil.
func (s *Server) sessionConn(id int64) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

// setSessionConn makes c the connection of a session and returns the one that was it.
func (s *Server) setSessionConn(id int64, c *conn) (old *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old = s.sessions[id]
	if !c.removed {
		s.sessions[id] = c
	}
	return old
}

// conns is all connections, in no order that means anything.
func (s *Server) conns() []*conn { return s.appendConns(nil) }

func (s *Server) appendConns(all []*conn) []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.slots {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}

// killAll ends every connection and says how many there were.
func (s *Server) killAll(reason string) int {
	all := s.conns()
	for _, c := range all {
		c.kill(reason)
	}
	return len(all)
}

// closeAll closes the sockets of all connections, for readers that are not waiting for theirs.
func (s *Server) closeAll() {
	for _, c := range s.conns() {
		c.hangUp()
	}
}

// hangUp closes the socket of a connection whose reader is held up elsewhere. It waits for nobody but the kernel.
func (c *conn) hangUp() {
	if err := c.nc.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		c.srv.log.Debug("closing a connection", "error", err)
	}
}
