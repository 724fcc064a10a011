package raw

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// ErrExpired is the server's answer to a session that it does not know (any more), or to a wrong password.
var ErrExpired = errors.New("raw: the server does not know the session")

// Session is what a client needs to come back.
type Session struct {
	ID        int64
	Passwd    [16]byte
	TimeoutMs int32
	// LastZxid is the newest zxid that the client has seen; a server that is behind it must not take the client.
	LastZxid int64
}

// Conn is one connection with an established session.
type Conn struct {
	Session Session // as the server confirmed it

	net net.Conn
	in  *bufio.Reader
	out *bufio.Writer
	buf []byte // of the reply read last
}

// Reply is one frame from the server.
type Reply struct {
	Xid  int32
	Zxid int64
	Err  int32
	Body []byte // valid until the next Receive
}

// Special xids.
const (
	XidEvent = -1
	XidPing  = -2
)

// Dial connects to a server and opens a new session, or takes up again the one given.
func Dial(addr string, s Session) (*Conn, error) {
	tcp, err := net.DialTimeout("tcp", addr, dialLimit)
	if err != nil {
		return nil, err
	}
	return Open(tcp, s, dialLimit)
}

// Open is Dial over a connection that there is already, which is closed if the session can't be had within the limit.
func Open(tcp net.Conn, s Session, limit time.Duration) (*Conn, error) {
	c := &Conn{net: tcp, in: bufio.NewReaderSize(tcp, bufferBytes), out: bufio.NewWriterSize(tcp, bufferBytes)}
	if err := c.handshake(s, limit); err != nil {
		tcp.Close()
		return nil, fmt.Errorf("raw: handshake with %v: %w", tcp.RemoteAddr(), err)
	}
	return c, nil
}

func (c *Conn) handshake(s Session, limit time.Duration) error {
	if err := c.net.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	b := make([]byte, 4, 64)
	b = binary.BigEndian.AppendUint32(b, 0) // protocol version
	b = binary.BigEndian.AppendUint64(b, uint64(s.LastZxid))
	b = binary.BigEndian.AppendUint32(b, uint32(s.TimeoutMs))
	b = binary.BigEndian.AppendUint64(b, uint64(s.ID))
	b = AppendBytes(b, s.Passwd[:])
	b = append(b, 0) // not read-only
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	if _, err := c.net.Write(b); err != nil {
		return err
	}
	frame, err := c.frame()
	if err != nil {
		return err
	}
	if len(frame) < 36 {
		return fmt.Errorf("answer of %d bytes", len(frame))
	}
	c.Session = Session{
		TimeoutMs: int32(binary.BigEndian.Uint32(frame[4:])),
		ID:        int64(binary.BigEndian.Uint64(frame[8:])),
		LastZxid:  s.LastZxid,
	}
	copy(c.Session.Passwd[:], frame[20:36])
	if c.Session.ID == 0 {
		return ErrExpired
	}
	return c.net.SetDeadline(time.Time{})
}

// Net is the connection beneath, for deadlines and for what only hostile clients do.
func (c *Conn) Net() net.Conn { return c.net }

// Close ends the connection; the session lives on.
func (c *Conn) Close() error { return c.net.Close() }

// Send writes one request, given from its xid on; Flush sends it on its way.
func (c *Conn) Send(request []byte) error {
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(request)))
	if _, err := c.out.Write(length[:]); err != nil {
		return err
	}
	_, err := c.out.Write(request)
	return err
}

// Flush sends what Send has written.
func (c *Conn) Flush() error { return c.out.Flush() }

// Buffered tells whether a whole reply may be there without waiting.
func (c *Conn) Buffered() bool { return c.in.Buffered() > 0 }

// Receive reads the next frame, be it a reply or an event.
func (c *Conn) Receive() (Reply, error) {
	frame, err := c.frame()
	if err != nil {
		return Reply{}, err
	}
	if len(frame) < 16 {
		return Reply{}, fmt.Errorf("raw: reply of %d bytes", len(frame))
	}
	r := Reply{
		Xid:  int32(binary.BigEndian.Uint32(frame)),
		Zxid: int64(binary.BigEndian.Uint64(frame[4:])),
		Err:  int32(binary.BigEndian.Uint32(frame[12:])),
		Body: frame[16:],
	}
	c.Session.LastZxid = max(c.Session.LastZxid, r.Zxid)
	return r, nil
}

// Call sends one request and returns its reply; events before it are dropped.
func (c *Conn) Call(request []byte) (Reply, error) {
	if err := c.Send(request); err != nil {
		return Reply{}, err
	}
	if err := c.Flush(); err != nil {
		return Reply{}, err
	}
	xid := int32(binary.BigEndian.Uint32(request))
	for {
		r, err := c.Receive()
		if err != nil || r.Xid == xid {
			return r, err
		}
		if r.Xid >= 0 {
			return r, fmt.Errorf("raw: reply to request %d, want %d", r.Xid, xid)
		}
	}
}

func (c *Conn) frame() ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(c.in, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxReply {
		return nil, fmt.Errorf("raw: frame of %d bytes", n)
	}
	if int(n) > cap(c.buf) {
		c.buf = make([]byte, n)
	}
	c.buf = c.buf[:n]
	_, err := io.ReadFull(c.in, c.buf)
	return c.buf, err
}
