// Package fakezk is a small ZooKeeper in memory, for the tests of programs that are its clients. It answers every operation of the
// client protocol from a plain map, keeps sessions across connections, fires watches, and misbehaves on request: it refuses
// connections, drops them before or after carrying out a request, keeps silent, or answers with a given error.
//
//	s := fakezk.New()
//	defer s.Close()
//	c, err := client.Connect(ctx, "a,b", client.Options{Dial: s.Dial})   // in memory; or s.Listen() for a real socket
//
// It checks no ACLs, persists nothing, and its sessions expire only by Expire. Only tests may import it; they share a Server among
// goroutines freely.
package fakezk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// Fate is what happens to a request.
type Fate int

// The fates of a request.
const (
	Answer       Fate = iota // as it should be
	DropBefore               // the connection is closed, the request not carried out
	DropAfter                // the request is carried out, the connection closed without an answer
	Silent                   // the request is carried out and never answered
	DropAnswered             // it is carried out and answered, then the connection is closed
)

// Verdict is a hook's word on a request. A Code other than OK is answered in place of carrying the request out.
type Verdict struct {
	Fate Fate
	Code zk.Code
}

// Request is what a hook sees of a request.
type Request struct {
	Server  string // the address that was dialed
	Session int64
	Op      zk.OpCode
	Path    string // of the first string in the body; "" if it has none
}

// Server is one ensemble: all addresses that are dialed lead to the same tree.
type Server struct {
	mu       sync.Mutex
	tree     tree
	zxid     int64
	sessions map[int64]*session
	nextID   int64
	conns    map[*conn]struct{}
	refused  map[string]error
	hook     func(Request) Verdict
	words    map[string]string
	log      []Request
	timeout  int32
	mute     bool
	forget   bool
	lists    []net.Listener
	wg       sync.WaitGroup
	closed   bool
}

type session struct {
	id     int64
	passwd []byte
	conn   *conn // the newest, or nil
}

// New is an empty ensemble.
func New() *Server {
	return &Server{
		tree:     newTree(),
		sessions: make(map[int64]*session),
		nextID:   0x100,
		conns:    make(map[*conn]struct{}),
		refused:  make(map[string]error),
	}
}

// Dial connects in memory; it fits client.Options.Dial.
func (s *Server) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	s.mu.Lock()
	err := s.refused[address]
	if s.closed {
		err = errors.New("connection refused")
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	s.start(far, address)
	return near, nil
}

// Listen serves on a free loopback port as well and returns its address. Tests inside synctest use Dial.
func (s *Server) Listen() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr := l.Addr().String()
	s.mu.Lock()
	s.lists = append(s.lists, l)
	s.mu.Unlock()
	s.wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			s.start(nc, addr)
		}
	})
	return addr, nil
}

// Close ends all connections and waits for them.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.lists {
		_ = l.Close()
	}
	for c := range s.conns {
		_ = c.nc.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// Refuse lets connections to an address fail with err from now on; nil accepts them again. io.EOF accepts and hangs up at the
// handshake, as a server without quorum does.
func (s *Server) Refuse(address string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[address] = err
	if err == io.EOF {
		delete(s.refused, address)
		s.refused["eof "+address] = err
	} else {
		delete(s.refused, "eof "+address)
	}
}

// Hook has f decide on every request but pings. It is called in order, under the server's lock.
func (s *Server) Hook(f func(Request) Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = f
}

// Word sets the answer to a four-letter word.
func (s *Server) Word(word, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.words == nil {
		s.words = make(map[string]string)
	}
	s.words[word] = answer
}

// Timeout sets what session timeout is granted, in milliseconds; 0 grants what is asked for.
func (s *Server) Timeout(ms int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timeout = ms
}

// Mute lets the servers take everything and answer nothing, pings neither, but for handshakes.
func (s *Server) Mute(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = on
}

// DropAll closes every connection.
func (s *Server) DropAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.nc.Close()
	}
}

// Expire ends a session: its ephemerals go, its connection is closed.
func (s *Server) Expire(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ss := s.sessions[id]; ss != nil {
		s.endSession(ss)
		if ss.conn != nil {
			_ = ss.conn.nc.Close()
		}
	}
}

// Log is every request but pings, in order of arrival.
func (s *Server) Log() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.log...)
}

// Forget keeps no log from now on.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget, s.log = true, nil
}

// Connections is how many connections have a session.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for c := range s.conns {
		if c.session != nil {
			n++
		}
	}
	return n
}

// Sessions is how many sessions are alive.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Nodes is how many nodes there are, the root among them.
func (s *Server) Nodes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tree.nodes)
}

// Do runs one write of somebody else's: create (data), set (data) or delete.
func (s *Server) Do(op zk.OpCode, path, data string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := wire.Op{Type: op, Path: path, Data: []byte(data), Version: -1, ACL: zk.OpenACL()}
	s.zxid++
	if _, code := s.write(nil, &o); code != zk.OK {
		panic(fmt.Sprintf("fakezk: op %d on %s: %v", op, path, code))
	}
}

// conn is one connection. Its goroutines are the reader and the writer; the rest is guarded by Server.mu.
type conn struct {
	s       *Server
	nc      net.Conn
	address string
	session *session
	ids     []zk.ID
	watches watches
	out     []byte
	bell    chan struct{}
	drop    bool // close when out has been written
}

func (s *Server) start(nc net.Conn, address string) {
	c := &conn{s: s, nc: nc, address: address, bell: make(chan struct{}, 1), ids: []zk.ID{{Scheme: "ip", ID: "127.0.0.1"}}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	gone := make(chan struct{})
	s.wg.Go(func() {
		c.read()
		_ = nc.Close()
		close(gone)
		s.mu.Lock()
		delete(s.conns, c)
		if c.session != nil && c.session.conn == c {
			c.session.conn = nil
		}
		s.mu.Unlock()
	})
	s.wg.Go(func() { c.write(gone) })
}

func (c *conn) write(gone chan struct{}) {
	for {
		select {
		case <-c.bell:
		case <-gone:
			return
		}
		c.s.mu.Lock()
		b, drop := c.out, c.drop
		c.out = nil
		c.s.mu.Unlock()
		if len(b) > 0 {
			if _, err := c.nc.Write(b); err != nil {
				return
			}
		}
		if drop {
			_ = c.nc.Close()
			return
		}
	}
}

// send queues bytes. Server.mu is held.
func (c *conn) send(b []byte) {
	c.out = append(c.out, b...)
	select {
	case c.bell <- struct{}{}:
	default:
	}
}

func (c *conn) read() {
	var head [4]byte
	for first := true; ; first = false {
		if _, err := io.ReadFull(c.nc, head[:]); err != nil {
			return
		}
		c.s.mu.Lock()
		word, isWord := c.s.words[string(head[:])]
		c.s.mu.Unlock()
		if first && isWord {
			_, _ = io.WriteString(c.nc, word)
			return
		}
		n := binary.BigEndian.Uint32(head[:])
		if n > wire.DefaultMaxFrame {
			return
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(c.nc, frame); err != nil {
			return
		}
		ok := false
		if first {
			ok = c.connect(frame)
		} else {
			ok = c.serve(frame)
		}
		if !ok {
			return
		}
	}
}

// connect answers the handshake. It says whether the connection goes on.
func (c *conn) connect(frame []byte) bool {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	d := wire.NewDecoder(frame)
	var req wire.ConnectRequest
	req.Decode(&d)
	if d.Err() != nil || s.refused["eof "+c.address] != nil || req.LastZxidSeen > s.zxid {
		return false
	}
	resp := wire.ConnectResponse{TimeOut: req.TimeOut, HasReadOnly: req.HasReadOnly}
	if s.timeout != 0 {
		resp.TimeOut = s.timeout
	}
	ss := s.sessions[req.SessionID]
	switch {
	case req.SessionID == 0:
		s.zxid++
		s.nextID++
		ss = &session{id: s.nextID, passwd: fmt.Appendf(nil, "%016d", s.nextID)}
		s.sessions[ss.id] = ss
	case ss == nil || string(ss.passwd) != string(req.Passwd):
		resp.TimeOut, resp.Passwd = 0, make([]byte, 16)
		c.sendFrame(&resp)
		c.drop = true
		return true // the writer closes
	}
	if ss.conn != nil {
		_ = ss.conn.nc.Close()
	}
	ss.conn, c.session = c, ss
	resp.SessionID, resp.Passwd = ss.id, ss.passwd
	c.sendFrame(&resp)
	return true
}

func (c *conn) sendFrame(records ...interface{ Append([]byte) []byte }) {
	b, mark := wire.BeginFrame(nil)
	for _, r := range records {
		b = r.Append(b)
	}
	if err := wire.EndFrame(b, mark); err != nil {
		panic(err)
	}
	c.send(b)
}
