package load

import (
	"fmt"
	"sync/atomic"
	"time"

	"gopherwood/e2e/internal/raw"
)

// createEvery: of so many writes, one is a create; the others are sets. It keeps the folders small.
const createEvery = 8

// Client is one connection's stream of writes. Run owns all fields while it runs.
type Client struct {
	ID     int
	Addr   string
	Folder string
	// Depth is how many writes are in flight at a time.
	Depth int
	// Data pads every written value, so that writes have a realistic size.
	Data []byte

	Conn *raw.Conn

	// What was sent and answered. acked <= sent <= acked + Depth, for both kinds together.

	SetsSent, SetsAcked       int
	CreatesSent, CreatesAcked int
	Paths                     []string // of the acknowledged creates, by k

	// Answered holds the times of the answers since the mark was set.
	Answered []time.Time

	pending []write // ring of the writes in flight, oldest first
	xid     int32
	buf     []byte
}

// write is one write in flight.
type write struct {
	xid    int32
	create bool
	number int // k of a create, version of a set
}

// Open connects the client and makes its node and its ephemeral. The folder is there.
func (c *Client) Open(timeoutMs int32) error {
	var err error
	if c.Conn, err = raw.Dial(c.Addr, raw.Session{TimeoutMs: timeoutMs}); err != nil {
		return err
	}
	for _, request := range [][]byte{
		raw.Create(nil, c.next(), c.Node(), nil, raw.Persistent),
		raw.Create(nil, c.next(), c.Ephemeral(), nil, raw.Ephemeral),
	} {
		r, err := c.Conn.Call(request)
		if err != nil {
			return err
		}
		if r.Err != 0 {
			return fmt.Errorf("load: client %d: create its nodes: error %d", c.ID, r.Err)
		}
	}
	return nil
}

// Node is the path of the node that the client sets.
func (c *Client) Node() string { return fmt.Sprintf("%s/n%d", c.Folder, c.ID) }

// Ephemeral is the path of the node that shows that the session lives.
func (c *Client) Ephemeral() string { return fmt.Sprintf("%s/e%d", c.Folder, c.ID) }

func (c *Client) next() int32 {
	c.xid++
	return c.xid
}

// Run writes until stop is set and all that was sent is answered, or until the connection breaks, which is the error returned. A
// wrong answer is a *WrongError. From the time that mark is set on, the times of answers are kept.
func (c *Client) Run(stop, mark *atomic.Bool) error {
	for range c.Depth {
		if err := c.send(); err != nil {
			return err
		}
	}
	if err := c.Conn.Flush(); err != nil {
		return err
	}
	for len(c.pending) > 0 {
		r, err := c.Conn.Receive()
		if err != nil {
			return err
		}
		if mark.Load() {
			c.Answered = append(c.Answered, time.Now())
		}
		if err := c.take(r); err != nil {
			return err
		}
		if !stop.Load() {
			if err := c.send(); err != nil {
				return err
			}
		}
		if !c.Conn.Buffered() {
			if err := c.Conn.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Client) send() error {
	w := write{xid: c.next(), create: (c.SetsSent+c.CreatesSent)%createEvery == 0}
	if w.create {
		w.number = c.CreatesSent
		c.CreatesSent++
		name := fmt.Sprintf("%s/c%d-%d-", c.Folder, c.ID, w.number)
		c.buf = raw.Create(c.buf[:0], w.xid, name, c.Data, raw.PersistentSequential)
	} else {
		w.number = c.SetsSent
		c.SetsSent++
		c.buf = raw.Set(c.buf[:0], w.xid, c.Node(), c.Data, int32(w.number))
	}
	c.pending = append(c.pending, w)
	return c.Conn.Send(c.buf)
}

// WrongError is an answer that no correct server gives.
type WrongError struct {
	Client int
	What   string
}

// Error implements error.
func (e *WrongError) Error() string { return fmt.Sprintf("load: client %d: %s", e.Client, e.What) }

func (c *Client) wrong(format string, args ...any) error {
	return &WrongError{c.ID, fmt.Sprintf(format, args...)}
}

// take checks the answer to the oldest write in flight.
func (c *Client) take(r raw.Reply) error {
	w := c.pending[0]
	c.pending = c.pending[1:]
	if r.Xid != w.xid {
		return c.wrong("answer to request %d, want %d: out of order", r.Xid, w.xid)
	}
	if r.Err != 0 {
		return c.wrong("%+v failed with %d", w, r.Err)
	}
	if w.create {
		path, _, err := raw.TakeBytes(r.Body)
		if err != nil {
			return c.wrong("answer to a create: %v", err)
		}
		c.Paths = append(c.Paths, string(path))
		c.CreatesAcked++
		return nil
	}
	stat, err := raw.ParseStat(r.Body)
	if err != nil {
		return c.wrong("answer to a set: %v", err)
	}
	if int(stat.Version) != w.number+1 || stat.Mzxid != r.Zxid {
		return c.wrong("set of version %d left version %d, mzxid %d in a reply of zxid %d", w.number, stat.Version, stat.Mzxid, r.Zxid)
	}
	c.SetsAcked++
	return nil
}
