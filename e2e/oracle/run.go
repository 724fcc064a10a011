package oracle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"gopherwood/e2e/internal/raw"
	"gopherwood/zk"
)

// client is one of a run's clients, with one session at a time.
type client struct {
	name    string
	chroot  string
	conn    *raw.Conn   // nil when it is not connected
	session raw.Session // ID 0: it has none
	server  int         // of the target's addresses
	xid     int32
	told    int64 // the newest zxid of an event
}

// run is one execution of a script against one target.
type run struct {
	target  *Target
	root    string // of its nodes
	aux     *helper
	clients map[string]*client
	order   []string // names of the clients as they came
	show    shower
	written map[int64]bool // zxids of writes' replies, ends of sessions excepted
	lines   []string       // of the step that is being run
	marks   int            // counts expire's marker nodes
}

// Run executes a script and says what came back. An error means that the target could not be used, not that it answered one.
func (t *Target) Run(steps []Step) (Transcript, error) {
	aux, err := t.super(raw.Session{TimeoutMs: sessionMs})
	if err != nil {
		return nil, err
	}
	defer aux.conn.Close()
	r := &run{target: t, aux: aux, root: fmt.Sprintf("%s/%d-%d", top, os.Getpid(), t.runs.Add(1)),
		clients: map[string]*client{}, written: map[int64]bool{}}
	r.show = shower{sessions: map[int64]string{}, startedMs: time.Now().UnixMilli()}
	if err := aux.create(r.root); err != nil {
		return nil, err
	}
	var out [][]string
	for i := range steps {
		r.lines = nil
		if err := r.step(&steps[i]); err != nil {
			return nil, fmt.Errorf("oracle: step %d, %s: %w", i+1, steps[i].String(), err)
		}
		out = append(out, r.lines)
	}
	r.lines = nil
	if err := r.finish(); err != nil {
		return nil, err
	}
	return normalise(append(out, r.lines), r.written), nil
}

func (r *run) say(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// step executes one step. A client that has no connection gets one first, with its session if it has one.
func (r *run) step(s *Step) error {
	c, known := r.clients[s.Client]
	if !known {
		c = &client{name: s.Client, server: len(r.order) % len(r.target.Addrs)}
		r.clients[s.Client] = c
		r.order = append(r.order, s.Client)
	}
	switch s.Verb {
	case "open":
		return r.open(c, s)
	case "reconnect", "move", "badpass", "future", "expire":
		return r.again(c, s)
	case "gone":
		if err := r.aux.sync(r.target); err != nil {
			return err
		}
		return r.awaitGone(r.where(c)(s.Path))
	}
	if _, ok := opcodes[s.Verb]; !ok && s.Verb != "raw" {
		return fmt.Errorf("unknown verb %q", s.Verb)
	}
	if err := r.ensure(c); err != nil {
		return err
	}
	return r.request(c, s)
}

// request sends a step's request and shows its reply, events before it first.
func (r *run) request(c *client, s *Step) error {
	seen := c.conn.Session.LastZxid
	if len(r.target.Addrs) > 1 { // what the others have done must be here, and be told, even if this request ends the connection
		if err := r.sync(c); err != nil || c.conn == nil {
			return err
		}
	}
	c.xid++
	xid := c.xid
	if s.Verb == "auth" {
		xid = zk.XidAuth
	} else if s.Verb == "ping" {
		xid = zk.XidPing
	} else if s.isSetWatches() {
		xid = zk.XidSetWatches
	}
	reply, err := r.exchange(c, s.request(xid, seen, r.where(c)), xid)
	if err != nil || reply == nil {
		return err
	}
	r.reply(c, s, reply)
	switch {
	case s.Verb == "close":
		c.session = raw.Session{}
		return r.hear(c)
	case zk.Code(reply.Err) == zk.ErrUnimplemented, zk.Code(reply.Err) == zk.ErrAuthFailed: // the server closes the connection, but perhaps not at once
		return r.hear(c)
	}
	return nil
}

func (r *run) reply(c *client, s *Step, reply *raw.Reply) {
	zxid := readZxid(reply.Zxid)
	if s.isWrite() && zk.Code(reply.Err) != zk.ErrMarshalling { // ruleUnread
		zxid = exact(reply.Zxid)
		if s.Verb != "close" {
			r.written[reply.Zxid] = true
		}
	}
	text := ""
	if reply.Err == 0 || len(reply.Body) > 0 {
		text = " " + r.shower(c).text(s, reply.Body)
	}
	r.say("%d zxid=%s%s", reply.Err, zxid, text)
}

// exchange sends a request and reads up to its reply: nil if the connection ended instead.
func (r *run) exchange(c *client, request []byte, xid int32) (*raw.Reply, error) {
	if err := c.conn.Net().SetDeadline(time.Now().Add(replyLimit)); err != nil {
		return nil, err
	}
	err := c.conn.Send(request)
	if err == nil {
		err = c.conn.Flush()
	}
	if err != nil && !isEnd(err) {
		return nil, err
	}
	for {
		reply, err := c.conn.Receive()
		switch {
		case err != nil && isEnd(err):
			r.ended(c)
			return nil, nil
		case err != nil:
			return nil, err
		case reply.Xid == raw.XidEvent:
			c.told = max(c.told, reply.Zxid)
			r.say("%s", r.shower(c).event(reply.Zxid, reply.Body))
		case reply.Xid != xid:
			r.say("reply to %d instead of %d", reply.Xid, xid)
			return nil, nil
		default:
			reply.Body = bytes.Clone(reply.Body)
			return &reply, nil
		}
	}
}

// isEnd says whether an error is that of a connection which the server has closed.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, net.ErrClosed)
}

// ended notes that the server has closed a client's connection.
func (r *run) ended(c *client) {
	r.say("closed by the server")
	r.drop(c)
}

// drop closes a client's connection and keeps what it needs to come back.
func (r *run) drop(c *client) {
	if c.conn == nil {
		return
	}
	if c.session.ID != 0 {
		c.session = c.conn.Session
	}
	hangUp(c.conn)
	c.conn = nil
}

// hangUp ends a connection and waits until the server has noticed. (A ZooKeeper that notices it after the session's next connection has begun
// forgets that one, and does not close it when the session moves on: NIOServerCnxnFactory.removeCnxn.)
func hangUp(conn *raw.Conn) {
	if tcp, ok := conn.Net().(*net.TCPConn); ok && tcp.CloseWrite() == nil && tcp.SetReadDeadline(time.Now().Add(replyLimit)) == nil {
		_, _ = io.Copy(io.Discard, tcp) // however it ends, it ends
	}
	conn.Close()
}

// hear reads until the server closes the connection.
func (r *run) hear(c *client) error {
	for {
		reply, err := c.conn.Receive()
		if err != nil && isEnd(err) {
			r.ended(c)
			return nil
		}
		if err != nil {
			return err
		}
		if reply.Xid == raw.XidEvent {
			r.say("%s", r.shower(c).event(reply.Zxid, reply.Body))
		} else {
			r.say("unasked reply %d, code %d", reply.Xid, reply.Err)
		}
	}
}

// alive looks, with a request that the transcript does not show, whether the connection is still there, and shows the events up to then.
func (r *run) alive(c *client) error {
	if c.conn == nil {
		return nil
	}
	c.xid++
	s := Step{Verb: "exists", Path: top}
	_, err := r.exchange(c, s.request(c.xid, 0, same), c.xid)
	return err
}

// sync makes a client's server catch up. The zxid of its reply is forgotten, that of events is not: only several servers are synced, and a script is to do the
// same with one.
func (r *run) sync(c *client) error {
	c.xid++
	seen := c.conn.Session.LastZxid
	s := Step{Verb: "sync", Path: "/"}
	_, err := r.exchange(c, s.request(c.xid, 0, same), c.xid)
	if c.conn != nil {
		c.conn.Session.LastZxid = max(seen, c.told)
	}
	return err
}

// where is how a client's paths become the server's (doc.go).
func (r *run) where(c *client) func(string) string {
	base := r.root + c.chroot
	return func(path string) string {
		if rest, ok := strings.CutPrefix(path, "!"); ok {
			return rest
		}
		if path == zk.Root {
			return base
		}
		return base + path
	}
}

// shower is the run's, with the client's way to show paths: the reverse of where.
func (r *run) shower(c *client) *shower {
	base := r.root + c.chroot
	w := r.show
	w.shorten = func(path string) string {
		rest, ok := strings.CutPrefix(path, base)
		switch {
		case ok && rest == "":
			return zk.Root
		case ok:
			return rest
		}
		return "!" + strings.ReplaceAll(path, r.root, "ROOT")
	}
	return &w
}

// finish hears every client once more, reads the whole tree, and leaves nothing behind.
func (r *run) finish() error {
	for _, name := range r.order {
		c := r.clients[name]
		r.say("%s:", name)
		if c.conn == nil {
			continue
		}
		if len(r.target.Addrs) > 1 {
			if err := r.sync(c); err != nil {
				return err
			}
		}
		if err := r.alive(c); err != nil {
			return err
		}
	}
	if err := r.dump(); err != nil {
		return err
	}
	for _, c := range r.clients {
		if c.conn != nil {
			if err := r.end(c); err != nil {
				return err
			}
		}
	}
	if err := r.aux.sync(r.target); err != nil {
		return err
	}
	paths, err := r.aux.tree(r.root)
	if err != nil {
		return err
	}
	return r.aux.remove(paths)
}

// end closes a client's session without showing it.
func (r *run) end(c *client) error {
	kept := r.lines
	defer func() { r.lines = kept }()
	c.xid++
	s := Step{Verb: "close"}
	reply, err := r.exchange(c, s.request(c.xid, 0, same), c.xid)
	if err == nil && reply != nil {
		err = r.hear(c)
	}
	return err
}

// dump shows every node.
func (r *run) dump() error {
	if err := r.aux.sync(r.target); err != nil {
		return err
	}
	paths, err := r.aux.tree(r.root)
	if err != nil {
		return err
	}
	w := r.shower(&client{})
	for _, path := range paths {
		for _, verb := range []string{"getData", "getACL"} {
			s := Step{Verb: verb, Path: path}
			code, body, err := r.aux.call(&s)
			if err != nil {
				return err
			}
			text := ""
			if code == zk.OK {
				text = w.text(&s, body)
			}
			r.say("%s %d %s", quoted(w.shorten(path)), code, text)
		}
	}
	return nil
}
