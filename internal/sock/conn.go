package sock

import (
	"io"
	"net"
	"os"
	"syscall"
)

// conn is a TCP connection whose Read and Write are this package's.
type conn struct {
	*net.TCPConn
	raw syscall.RawConn

	// Owned by the goroutine that reads, and that writes.
	in, out half
	onRead  func(fd uintptr) bool
	onWrite func(fd uintptr) bool
}

// half is one direction's call under way.
type half struct {
	b   []byte
	n   int
	err error
}

// Wrap returns a connection with the same deadlines and the same end as c, which reads and writes as this package does. At most one goroutine may
// read, and one write, at a time. What is no TCP connection is returned as it is.
func Wrap(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	w := &conn{TCPConn: tcp, raw: raw}
	w.onRead, w.onWrite = w.readReady, w.writeReady
	return w
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c.in = half{b: b}
	err := c.raw.Read(c.onRead) // its own errors: closed, or past the deadline
	n, failed := c.in.n, c.in.err
	c.in = half{}
	switch {
	case err != nil:
		return 0, err
	case failed != nil:
		return 0, c.explain("read", failed)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	c.out = half{b: b}
	err := c.raw.Write(c.onWrite)
	n, failed := c.out.n, c.out.err
	c.out = half{}
	if err == nil && failed != nil {
		err = c.explain("write", failed)
	}
	return n, err
}

// readReady is called with the descriptor: first at once, then whenever there may be something.
func (c *conn) readReady(fd uintptr) bool {
	c.in.n, c.in.err = Read(fd, c.in.b)
	return c.in.err != syscall.EAGAIN
}

func (c *conn) writeReady(fd uintptr) bool {
	o := &c.out
	for o.n < len(o.b) {
		n, err := Write(fd, o.b[o.n:])
		if err == syscall.EAGAIN {
			return false
		}
		if o.n += n; err != nil {
			o.err = err
			break
		}
	}
	return true
}

// explain makes the error that net would have made.
func (c *conn) explain(op string, err error) error {
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}
