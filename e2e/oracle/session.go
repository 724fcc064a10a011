package oracle

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"gopherwood/e2e/internal/raw"
	"gopherwood/zk"
)

// ensure gives a client that has no connection one: with its session if it has one, else with a new one.
func (r *run) ensure(c *client) error {
	if c.conn != nil {
		return nil
	}
	if c.session.ID != 0 {
		if err := r.attach(c, c.session); err != nil || c.conn != nil {
			return err
		}
	}
	return r.connect(c, sessionMs)
}

// open gives a client a new session. An old one is left to itself.
func (r *run) open(c *client, s *Step) error {
	r.drop(c)
	c.session = raw.Session{}
	c.chroot = s.Chroot
	timeout := s.Timeout
	if timeout == 0 {
		timeout = sessionMs
	}
	return r.connect(c, timeout)
}

func (r *run) connect(c *client, timeoutMs int32) error {
	conn, err := raw.Dial(r.target.Addrs[c.server], raw.Session{TimeoutMs: timeoutMs})
	if err != nil {
		return err
	}
	c.conn, c.session = conn, conn.Session
	name := "s" + strconv.Itoa(len(r.show.sessions)+1)
	r.show.sessions[c.session.ID] = name
	r.say("session %s, timeout %d", name, c.session.TimeoutMs)
	return nil
}

// attach brings a client back with a session. A server that is behind the client closes the connection; it will catch up.
func (r *run) attach(c *client, s raw.Session) error {
	for range attachTries {
		conn, err := raw.Dial(r.target.Addrs[c.server], s)
		switch {
		case errors.Is(err, raw.ErrExpired):
			r.say("no such session")
			return nil
		case err != nil && isEnd(err):
			if s.LastZxid == future {
				r.say("turned away")
				return nil
			}
			time.Sleep(expiryPoll)
		case err != nil:
			return err
		default:
			c.conn, c.session = conn, conn.Session
			r.say("session %s, timeout %d", r.show.session(c.session.ID), c.session.TimeoutMs)
			return nil
		}
	}
	return errors.New("a server does not take its client back")
}

// future is a zxid that no server has reached.
const future = 1 << 60

// again does what clients do with a session that they have.
func (r *run) again(c *client, s *Step) error {
	if c.conn != nil { // all events up to here belong to the connection that is
		if len(r.target.Addrs) > 1 {
			if err := r.sync(c); err != nil {
				return err
			}
		}
		if err := r.alive(c); err != nil {
			return err
		}
	}
	if c.session.ID == 0 {
		return r.ensure(c)
	}
	if c.conn != nil {
		c.session = c.conn.Session
	}
	want := c.session
	if want.TimeoutMs = s.Timeout; s.Timeout == 0 {
		want.TimeoutMs = sessionMs
	}
	old := c.conn
	switch s.Verb {
	case "expire":
		return r.expire(c, want)
	case "badpass":
		want.Passwd[3] ^= 0x55
	case "future":
		want.LastZxid = future
	case "move":
		c.server = (c.server + 1) % len(r.target.Addrs)
	}
	if s.Verb == "reconnect" || old == nil {
		r.drop(c)
		return r.attach(c, want)
	}
	return r.beside(c, s, want)
}

// beside attaches while the old connection is open, and shows what becomes of that.
func (r *run) beside(c *client, s *Step, want raw.Session) error {
	old, session := c.conn, c.session
	c.conn = nil
	if err := r.attach(c, want); err != nil {
		return err
	}
	fresh := c.conn
	c.conn = old
	if s.Verb == "future" { // the old connection is as good as before
		r.say("old connection:")
		return r.alive(c)
	}
	if err := old.Net().SetDeadline(time.Now().Add(replyLimit)); err != nil {
		return err
	}
	r.say("old connection:")
	if err := r.outlived(c, s); err != nil {
		return err
	}
	if c.conn = fresh; fresh == nil {
		c.session = session
	} else {
		c.session = fresh.Session
	}
	return nil
}

// outlived waits until a connection is closed whose session has another one. A server does so at once for a session that it takes over from itself;
// one that another server has taken it from, when the connection is used to write.
func (r *run) outlived(c *client, s *Step) error {
	if s.Verb != "move" || len(r.target.Addrs) == 1 {
		return r.hear(c)
	}
	c.xid++
	write := Step{Verb: "delete", Path: r.root + "/no such node", Version: -1}
	reply, err := r.exchange(c, write.request(c.xid, 0, same), c.xid)
	if err == nil && reply != nil {
		return fmt.Errorf("a session that has moved may still write: %d", reply.Err)
	}
	return err
}

// expire lets a session expire: it comes back with a short timeout, makes an ephemeral node that tells when it has ended, and is silent.
func (r *run) expire(c *client, s raw.Session) error {
	r.drop(c)
	s.TimeoutMs = expireMs
	if err := r.attach(c, s); err != nil || c.conn == nil {
		return err
	}
	r.marks++
	marker := fmt.Sprintf("%s-%d", r.root, r.marks)
	c.xid++
	s2 := Step{Verb: "create", Path: marker, Data: []byte{}, ACL: anyone, Flags: int32(zk.ModeEphemeral)}
	kept := r.lines
	reply, err := r.exchange(c, s2.request(c.xid, 0, same), c.xid)
	if err != nil {
		return err
	}
	if reply == nil || zk.Code(reply.Err) == zk.ErrSessionExpired { // this machine was so slow that it has expired already
		r.lines = append(kept, "expired")
		r.drop(c)
		return nil
	}
	if reply.Err != 0 {
		return fmt.Errorf("no marker for the end of a session: %w", zk.Code(reply.Err))
	}
	r.drop(c)
	if err := r.aux.sync(r.target); err != nil { // a server that is behind would not show the marker yet
		return err
	}
	if err := r.awaitGone(marker); err != nil {
		return err
	}
	r.say("expired")
	return nil
}

// awaitGone waits until a node is not there any more.
func (r *run) awaitGone(path string) error {
	for limit := time.Now().Add(expiryLimit); ; time.Sleep(expiryPoll) {
		there, err := r.aux.exists(path)
		if err != nil || !there {
			return err
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s does not go", path)
		}
	}
}
