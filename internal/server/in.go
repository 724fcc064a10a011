package server

import (
	"errors"
	"io"
	"syscall"

	"gopherwood/internal/sock"
)

// readBuffer is a pooled buffer; a connection has one only while it has bytes that it has not handled.
type readBuffer struct {
	b [readBufferBytes]byte
}

// inbox is what a connection has read and not handled: buf[pos:end]. Its reader owns it.
type inbox struct {
	buf      []byte      // nil while the connection is idle
	pooled   *readBuffer // where buf comes from; nil if it was made for a long frame
	pos, end int
}

func (in *inbox) bytes() []byte { return in.buf[in.pos:in.end] }

// errTooMuchInput is returned when all connections together have too much of unfinished requests.
var errTooMuchInput = errors.New("server: too many long requests are being received from all clients together")

// makeRoom moves what is left to the front. If the buffer is full of one unfinished frame of want bytes, it grows, by no more
// than it holds: a length alone allocates nothing.
func (in *inbox) makeRoom(s *Server, want int) error {
	in.end = copy(in.buf, in.buf[in.pos:in.end])
	in.pos = 0
	if in.buf == nil || in.end < len(in.buf) {
		return nil
	}
	n := min(max(want, len(in.buf)+1), 2*len(in.buf))
	if s.inTotal.Add(int64(n)) > s.cfg.MaxInTotal {
		s.inTotal.Add(-int64(n))
		return errTooMuchInput
	}
	longer := make([]byte, n)
	copy(longer, in.buf)
	in.release(s)
	in.buf = longer
	return nil
}

// acquire gives an idle inbox a buffer.
func (in *inbox) acquire(s *Server) {
	if in.buf == nil {
		in.pooled = s.ins.Get().(*readBuffer)
		in.buf = in.pooled.b[:]
	}
}

// release gives the buffer back, whatever it holds.
func (in *inbox) release(s *Server) {
	if in.pooled != nil {
		s.ins.Put(in.pooled)
	} else {
		s.inTotal.Add(-int64(len(in.buf)))
	}
	in.buf, in.pooled = nil, nil
}

// fill reads what has come, waiting for at least a byte. want is the size of the frame that is there in part, or 0.
func (c *conn) fill(want int) error {
	in := &c.in
	err := in.makeRoom(c.srv, want)
	if err != nil {
		return err
	}
	var n int
	if c.raw != nil {
		c.rn, c.rerr = 0, nil
		if err = c.raw.Read(c.onRead); err == nil {
			n, err = c.rn, c.rerr
		}
	} else {
		n, err = c.readStream()
	}
	if n > 0 {
		in.end += n
		c.srv.stats.recvBytes.Add(int64(n))
		return nil
	}
	if err == nil {
		err = io.EOF
	}
	return err
}

// readStream is fill's read where there is no descriptor to wait on. An empty inbox takes a buffer only when the beginning of something is there.
func (c *conn) readStream() (int, error) {
	in := &c.in
	if in.end > 0 {
		return c.stream.Read(in.buf[in.end:])
	}
	in.release(c.srv)
	n, err := c.stream.Read(c.head[:])
	if n > 0 {
		in.acquire(c.srv)
		copy(in.buf, c.head[:n])
	}
	return n, err
}

// readReady is called by fill with the descriptor, first at once and then when there is something. While there is nothing,
// an empty inbox holds no buffer.
func (c *conn) readReady(fd uintptr) bool {
	in := &c.in
	in.acquire(c.srv)
	c.rn, c.rerr = sock.Read(fd, in.buf[in.end:])
	if c.rerr != syscall.EAGAIN {
		return true
	}
	if in.end == 0 {
		in.release(c.srv)
	}
	return false
}
