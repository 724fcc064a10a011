package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"gopherwood/internal/sock"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// conn is one connection with a session. It belongs to one goroutine.
//
//	out  | with the kernel | not yet |               flushed <= len(out); out[0] is byte base of the stream
//	in   | parsed | not yet parsed | free |          r <= w <= len(in)
type conn struct {
	nc       net.Conn
	raw      syscall.RawConn
	server   string
	session  int64
	in       []byte
	r, w     int
	out      []byte
	flushed  int
	base     int64
	need     int64 // tryWrite waits until the kernel has the stream up to this byte
	writeErr error // of tryWrite
	xid      int32
	expect   int32 // xid of the next reply
	events   func(e *wire.WatcherEvent)
	deadline time.Time // as last set
}

// dial opens a connection and a session on it. bufferBytes is how large the read buffer starts.
func dial(ctx context.Context, server string, bufferBytes int) (*conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	c := &conn{nc: sock.Wrap(nc), server: server, in: make([]byte, bufferBytes), expect: 1}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		_ = nc.Close()
		return nil, fmt.Errorf("bench: %T is no socket", nc)
	}
	if c.raw, err = sc.SyscallConn(); err == nil {
		err = c.handshake()
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

func (c *conn) handshake() error {
	b, mark := wire.BeginFrame(c.out)
	req := wire.ConnectRequest{TimeOut: int32(sessionTimeout / time.Millisecond), Passwd: make([]byte, 16), HasReadOnly: true}
	b = req.Append(b)
	if err := wire.EndFrame(b, mark); err != nil {
		return err
	}
	c.out = b
	if err := c.flush(c.end()); err != nil {
		return err
	}
	if err := c.touch(time.Now()); err != nil {
		return err
	}
	for {
		frame, err := c.next()
		if err != nil {
			return err
		}
		if frame == nil {
			if err := c.read(); err != nil {
				if err == io.EOF {
					return errors.New("bench: the server hung up without granting a session (no quorum?)")
				}
				return err
			}
			continue
		}
		d := wire.NewDecoder(frame)
		var resp wire.ConnectResponse
		resp.Decode(&d)
		if d.Err() != nil {
			return d.Err()
		}
		if resp.SessionID == 0 {
			return zk.ErrSessionExpired
		}
		c.session = resp.SessionID
		return nil
	}
}

// touch moves the deadline for reads, now and then.
func (c *conn) touch(now time.Time) error {
	if d := now.Add(answerTimeout); d.Sub(c.deadline) > deadlineStep {
		c.deadline = d
		return c.nc.SetReadDeadline(d)
	}
	return nil
}

// frame appends a prepared frame to out, with the next xid, and returns it for patching.
func (c *conn) frame(template []byte) []byte {
	c.xid++
	at := len(c.out)
	c.out = append(c.out, template...)
	f := c.out[at:]
	binary.BigEndian.PutUint32(f[wire.FrameHeaderSize:], uint32(c.xid))
	return f
}

// end is the length of the stream of requests so far, in bytes.
func (c *conn) end() int64 { return c.base + int64(len(c.out)) }

// flush gives out to the kernel, as much as it takes, but at least the stream up to byte need. The caller needs the request whose
// answer it reads next, and no more: if it waited for all of them and the server for its answers to be read, both would wait for ever.
func (c *conn) flush(need int64) error {
	if c.flushed == len(c.out) {
		return nil
	}
	c.need = need
	if err := c.raw.Write(c.tryWrite); err != nil {
		return err
	}
	if c.writeErr != nil {
		return c.writeErr
	}
	c.base += int64(c.flushed)
	c.out = c.out[:copy(c.out, c.out[c.flushed:])]
	c.flushed = 0
	return nil
}

// tryWrite is called by the runtime's poller: false asks to be called again when the socket takes more.
func (c *conn) tryWrite(fd uintptr) bool {
	for c.flushed < len(c.out) {
		n, err := sock.Write(fd, c.out[c.flushed:])
		switch {
		case err == syscall.EAGAIN:
			return c.base+int64(c.flushed) >= c.need
		case err != nil:
			c.writeErr = err
			return true
		default:
			c.flushed += n
		}
	}
	return true
}

// read takes what the kernel has, at least one byte, into the buffer.
func (c *conn) read() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	} else if c.w == len(c.in) {
		copy(c.in, c.in[c.r:c.w])
		c.r, c.w = 0, c.w-c.r
		if c.w == len(c.in) {
			c.in = append(c.in, make([]byte, len(c.in))...)
		}
	}
	n, err := c.nc.Read(c.in[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	return err
}

// next is the next whole frame in the buffer, nil if there is none. It is valid until the next read.
func (c *conn) next() ([]byte, error) {
	frame, size, err := wire.SplitFrame(c.in[c.r:c.w], maxReplyBytes)
	if err != nil || frame == nil {
		return nil, err
	}
	c.r += size
	return frame, nil
}

// reply is the next reply in the buffer: its code, or more = false if there is none. Events go to c.events and are passed over.
func (c *conn) reply() (code zk.Code, body []byte, more bool, err error) {
	for {
		frame, err := c.next()
		if err != nil || frame == nil {
			return 0, nil, false, err
		}
		d := wire.NewDecoder(frame)
		var h wire.ReplyHeader
		h.Decode(&d)
		if err := d.Err(); err != nil {
			return 0, nil, false, err
		}
		switch h.Xid {
		case zk.XidNotification:
			if c.events != nil {
				var e wire.WatcherEvent
				e.Decode(&d)
				c.events(&e)
			}
			continue
		case zk.XidPing:
			continue
		}
		if h.Xid != c.expect {
			return 0, nil, false, fmt.Errorf("bench: %s answered request %d, %d was next", c.server, h.Xid, c.expect)
		}
		c.expect++
		return h.Err, frame[d.Offset():], true, nil
	}
}

// call sends one request and waits for its answer. Answers that are still due to others before it are dropped.
func (c *conn) call(op zk.OpCode, body interface{ Append([]byte) []byte }) (zk.Code, []byte, error) {
	c.frame(template(op, body))
	if err := c.flush(c.end()); err != nil {
		return 0, nil, err
	}
	if err := c.touch(time.Now()); err != nil {
		return 0, nil, err
	}
	for {
		code, answer, ok, err := c.reply()
		if err != nil {
			return 0, nil, err
		}
		if ok && c.expect > c.xid {
			return code, answer, nil
		}
		if ok {
			continue
		}
		if err := c.read(); err != nil {
			return 0, nil, err
		}
	}
}

// close ends the session, if the server still answers, and the connection. The reset spares the port its minute of waiting.
func (c *conn) close() error {
	_, _, err := c.call(zk.OpCloseSession, nil)
	c.abort()
	return err
}

// abort closes the connection at once.
func (c *conn) abort() {
	if tc, ok := c.nc.(interface{ SetLinger(sec int) error }); ok {
		_ = tc.SetLinger(0)
	}
	_ = c.nc.Close()
}

// template is a request's frame with xid 0.
func template(op zk.OpCode, body interface{ Append([]byte) []byte }) []byte {
	b, mark := wire.BeginFrame(nil)
	h := wire.RequestHeader{Type: op}
	b = h.Append(b)
	if body != nil {
		b = body.Append(b)
	}
	if err := wire.EndFrame(b, mark); err != nil {
		panic(err) // maxSizeBytes
	}
	return b
}
