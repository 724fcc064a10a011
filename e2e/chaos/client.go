package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"gopherwood/e2e/internal/raw"
	"gopherwood/internal/history"
	"gopherwood/zk"
)

// dialer connects from where a client is.
type dialer interface {
	Dial(network, addr string, limit time.Duration) (net.Conn, error)
}

// stage is what the clients of a round share.
type stage struct {
	// Constant.

	folder string
	addrs  []string  // of the servers, for clients
	begin  time.Time // of the round; times of the history count from it

	closing atomic.Bool  // clients shall close their sessions
	over    atomic.Bool  // and no longer try to
	data    atomic.Int64 // makes data unique
}

func (s *stage) now() int64 { return int64(time.Since(s.begin)) }

// unique is data that is written once.
func (s *stage) unique() string { return fmt.Sprintf("%s#%d", s.folder, s.data.Add(1)) }

func (s *stage) plain(i int) string { return fmt.Sprintf("%s/n%d", s.folder, i) }
func (s *stage) lock(i int) string  { return fmt.Sprintf("%s/lock%d", s.folder, i) }
func (s *stage) queue() string      { return s.folder + "/queue" }
func (s *stage) kit(i int) string   { return fmt.Sprintf("%s/kit%d", s.folder, i) }

// client is a raw client. One goroutine runs it and owns the fields; acked is for others to look at.
type client struct {
	*stage
	name string
	from dialer
	rand *rand.Rand

	acked atomic.Int64 // writes

	log     history.Client
	session raw.Session // ID 0: none
	conn    *raw.Conn   // nil: none
	xid     int32
	flight  []sent
	version map[string]int32 // of a node, as it was seen last
	closed  bool             // the session was closed, or has ended when it should be
	wrong   []string         // what a server never does
}

// sent is a request in flight.
type sent struct {
	xid int32
	op  int // index in log.Ops; -1 for a sync
}

func newClient(s *stage, name string, from dialer, r *rand.Rand) *client {
	return &client{stage: s, name: name, from: from, rand: r, version: make(map[string]int32)}
}

// run works until the round's end and closes the session, or is told to give up.
func (c *client) run() {
	defer func() {
		if c.conn != nil {
			c.conn.Close()
		}
	}()
	for !c.over.Load() && !c.closed {
		if c.conn == nil && !c.connect() {
			time.Sleep(retryPause)
			continue
		}
		c.work()
		if !c.closing.Load() {
			time.Sleep(time.Duration(c.rand.Int64N(int64(maxThink))))
		}
	}
}

// connect takes the session up again, somewhere, or opens a new one.
func (c *client) connect() bool {
	if c.closing.Load() && c.session.ID == 0 {
		c.closed = true
		return false
	}
	began := c.now()
	tcp, err := c.from.Dial("tcp", c.addrs[c.rand.IntN(len(c.addrs))], dialLimit)
	if err != nil {
		return false
	}
	want := c.session
	want.TimeoutMs = int32(sessionTimeout / time.Millisecond)
	conn, err := raw.Open(tcp, want, dialLimit)
	switch {
	case err == nil:
		c.conn, c.session = conn, conn.Session
		return true
	case errors.Is(err, raw.ErrExpired):
		c.log.Ops = append(c.log.Ops, history.Op{Session: c.session.ID, Kind: history.Expired, Call: began, Return: c.now()})
		c.session = raw.Session{}
		c.closed = c.closing.Load()
	}
	return false
}

// work sends some requests and takes their answers.
func (c *client) work() {
	err := c.send()
	for err == nil && len(c.flight) > 0 {
		err = c.receive()
	}
	c.session.LastZxid = max(c.session.LastZxid, c.conn.Session.LastZxid)
	c.flight = c.flight[:0] // what is left has no answer
	if err != nil || c.closed {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *client) send() error {
	n := 1 + c.rand.IntN(maxBurst)
	if c.closing.Load() {
		n = 1
	}
	for range n {
		o := c.draw()
		if o.Synced {
			c.xid++
			if err := c.conn.Send(raw.Sync(nil, c.xid, o.Path)); err != nil {
				return err
			}
			c.flight = append(c.flight, sent{c.xid, -1})
		}
		c.xid++
		c.log.Ops = append(c.log.Ops, o)
		c.flight = append(c.flight, sent{c.xid, len(c.log.Ops) - 1})
		if err := c.conn.Send(request(c.xid, &o)); err != nil {
			return err
		}
	}
	if err := c.conn.Net().SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return err
	}
	return c.conn.Flush()
}

// draw chooses an operation. The time is taken before anything of it is sent.
func (c *client) draw() history.Op {
	o := history.Op{Session: c.session.ID, Version: -1, Call: c.now(), Return: history.Never}
	if c.closing.Load() {
		o.Kind = history.Close
		return o
	}
	o.Path = c.plain(c.rand.IntN(plainPaths))
	switch n := c.rand.IntN(100); {
	case n < 12:
		o.Kind = history.Create
	case n < 22:
		o.Kind, o.Mode, o.Path = history.Create, zk.ModeEphemeral, c.lock(c.rand.IntN(lockPaths))
	case n < 28:
		o.Kind, o.Mode, o.Path = history.Create, zk.ModePersistentSequential, c.queue()+"/q-"
	case n < 55:
		o.Kind = history.Set
	case n < 63:
		o.Kind = history.Delete
	case n < 68:
		o.Kind, o.Path = history.Delete, c.lock(c.rand.IntN(lockPaths))
	default:
		o.Kind, o.Synced = history.Read, n < 85
		if n%5 == 0 {
			o.Path = c.lock(c.rand.IntN(lockPaths))
		}
	}
	if v, ok := c.version[o.Path]; ok && c.rand.IntN(2) == 0 && (o.Kind == history.Set || o.Kind == history.Delete) {
		o.Version = v
	}
	if o.Kind == history.Create || o.Kind == history.Set {
		o.Data = c.unique()
	}
	return o
}

// request is an operation as it is sent.
func request(xid int32, o *history.Op) []byte {
	switch o.Kind {
	case history.Create:
		return raw.Create(nil, xid, o.Path, []byte(o.Data), int32(o.Mode))
	case history.Set:
		return raw.Set(nil, xid, o.Path, []byte(o.Data), o.Version)
	case history.Delete:
		return raw.Delete(nil, xid, o.Path, o.Version)
	case history.Read:
		return raw.Read(nil, xid, raw.OpGetData, o.Path)
	default:
		return raw.CloseSession(nil, xid)
	}
}

// receive takes the answer to the oldest request in flight.
func (c *client) receive() error {
	r, err := c.conn.Receive()
	if err != nil {
		return err
	}
	now := c.now()
	s := c.flight[0]
	c.flight = c.flight[1:]
	if r.Xid != s.xid {
		c.wrong = append(c.wrong, fmt.Sprintf("%s: session %x: an answer to request %d where that to %d is due", c.name, c.session.ID, r.Xid, s.xid))
		return errors.New("out of order")
	}
	code := zk.Code(r.Err)
	switch code {
	case zk.ErrConnectionLoss, zk.ErrSessionExpired, zk.ErrSessionMoved, zk.ErrOperationTimeout:
		return code // says nothing about the request
	}
	if s.op < 0 {
		return code.Err()
	}
	o := &c.log.Ops[s.op]
	if err := decode(o, r); err != nil {
		c.wrong = append(c.wrong, fmt.Sprintf("%s: %v: %v", c.name, o, err))
		return err
	}
	o.Return, o.Zxid, o.Code = now, r.Zxid, code
	c.note(o)
	return nil
}

// decode takes what an answer says.
func decode(o *history.Op, r raw.Reply) error {
	if r.Err != 0 {
		return nil
	}
	body := r.Body
	switch o.Kind {
	case history.Create:
		path, _, err := raw.TakeBytes(body)
		o.Made = string(path)
		return err
	case history.Read:
		data, rest, err := raw.TakeBytes(body)
		if err != nil {
			return err
		}
		o.ReadData, body = string(data), rest
	case history.Set:
	default:
		return nil
	}
	s, err := raw.ParseStat(body)
	o.Stat = zk.Stat{
		Czxid: s.Czxid, Mzxid: s.Mzxid, Ctime: s.Ctime, Mtime: s.Mtime, Version: s.Version, Cversion: s.Cversion, Aversion: s.Aversion,
		EphemeralOwner: s.EphemeralOwner, DataLength: s.DataLength, NumChildren: s.NumChildren, Pzxid: s.Pzxid,
	}
	return err
}

// note remembers what an answer means for what comes next.
func (c *client) note(o *history.Op) {
	if o.Kind != history.Read {
		c.acked.Add(1)
	}
	switch {
	case o.Code != zk.OK:
	case o.Kind == history.Close:
		c.closed = true
	case o.Kind == history.Create:
		c.version[o.Path] = 0
	case o.Kind == history.Set || o.Kind == history.Read:
		c.version[o.Path] = o.Stat.Version
	}
}
