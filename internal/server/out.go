package server

import (
	"errors"
	"os"
	"syscall"

	"gopherwood/internal/sock"
)

// How replies and events leave. Whoever has one appends it to the connection's out-buffer under mu. Sending needs the role of
// the writer (conn.writing), which one goroutine has at a time and keeps until the buffer is empty:
//
//	the reader     after a run of requests; it may wait for the client to read
//	a flusher      for what the loop appended in a batch; it never waits
//	a writer       exists only while a client does not take what a flusher had for it
type outBuffer struct {
	b []byte
}

func (s *Server) newOut() *outBuffer { return s.outs.Get().(*outBuffer) }

func (s *Server) freeOut(o *outBuffer) {
	if cap(o.b) <= pooledBytes {
		o.b = o.b[:0]
		s.outs.Put(o)
	}
}

// outLocked is the buffer to append to.
func (c *conn) outLocked() *outBuffer {
	if c.out == nil {
		c.out = c.srv.newOut()
	}
	return c.out
}

// backlogLocked is how many bytes wait or are being sent.
func (c *conn) backlogLocked() int {
	if c.out == nil {
		return c.inflight
	}
	return c.inflight + len(c.out.b)
}

// settleLocked counts a large backlog in the server's total, which is bounded. Who appends calls it after a run.
func (c *conn) settleLocked() {
	n := c.backlogLocked()
	if n < outLarge {
		n = 0
	}
	if n == c.counted {
		return
	}
	total := c.srv.outTotal.Add(int64(n - c.counted))
	grown := n > c.counted
	c.counted = n
	if grown && total > c.srv.cfg.MaxOutTotal {
		c.killLocked("too much waits to be sent to all clients together")
	}
}

// take makes the caller the writer, with what there is to send; nil: nothing, or another is the writer.
func (c *conn) take() *outBuffer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing || c.dead || c.out == nil {
		return nil
	}
	c.writing = true
	return c.takeLocked()
}

func (c *conn) takeLocked() *outBuffer {
	o := c.out
	c.out, c.inflight = nil, len(o.b)
	c.eventBytes = c.newEventBytes
	c.newEventBytes = 0
	return o
}

// wrote says that o was sent: here is the next, or nil, and then the caller is not the writer any more.
func (c *conn) wrote(o *outBuffer) *outBuffer {
	c.srv.stats.sentBytes.Add(int64(len(o.b)))
	c.srv.freeOut(o)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inflight, c.eventBytes = 0, 0
	if c.out != nil && !c.dead {
		return c.takeLocked()
	}
	c.writing = false
	if c.counted > 0 {
		c.settleLocked()
	}
	c.wakeLocked()
	return nil
}

// flushNow sends what a client takes without waiting for it, and leaves the rest to a writer of its own.
func (c *conn) flushNow() {
	for o := c.take(); o != nil; o = c.wrote(o) {
		n, err := c.writeOnce(o.b)
		if err != nil {
			c.writeFailed(err)
			return
		}
		if n < len(o.b) {
			c.srv.spawn(func() { c.writeRest(o, n) })
			return
		}
	}
}

// flushWait sends everything and waits for the client. Only the reader calls it, with no lock held.
func (c *conn) flushWait() {
	if o := c.take(); o != nil {
		c.writeRest(o, 0)
	}
}

// writeRest is the writer's work from byte n of o on.
func (c *conn) writeRest(o *outBuffer, n int) {
	for ; o != nil; o = c.wrote(o) {
		if err := c.writeAll(o.b[n:]); err != nil {
			c.writeFailed(err)
			return
		}
		n = 0
	}
}

// writeFailed ends a connection that cannot be written to.
func (c *conn) writeFailed(err error) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.kill("it does not read what it is sent")
	case isHangUp(err):
		c.srv.stats.dropped.Add(1)
		c.kill(reasonQuiet)
	default:
		c.kill("writing to it failed: " + err.Error())
	}
}

// writeAll writes b in chunks, each with a deadline. A chunk that was taken is a sign of life.
func (c *conn) writeAll(b []byte) error {
	n, err := c.writeOnce(b)
	for b = b[n:]; len(b) > 0 && err == nil; b = b[n:] {
		if err = c.armWrite(); err != nil {
			return err
		}
		n, err = c.stream.Write(b[:min(len(b), writeChunk)])
		c.heard.Store(true)
	}
	return err
}

// armWrite sets the deadline of the next write, unless the connection was killed meanwhile.
func (c *conn) armWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return os.ErrDeadlineExceeded
	}
	return c.nc.SetWriteDeadline(c.srv.clock().Add(c.srv.cfg.WriteTimeout))
}

// writeOnce writes what goes without waiting. n < len(b) says that the client does not take it all now.
func (c *conn) writeOnce(b []byte) (n int, err error) {
	if c.raw == nil {
		return 0, nil
	}
	c.wbuf, c.wn, c.werr = b, 0, nil
	if err := c.raw.Write(c.onWrite); err != nil {
		return 0, err
	}
	c.wbuf = nil
	return c.wn, c.werr
}

// writeReady is called by writeOnce with the descriptor.
func (c *conn) writeReady(fd uintptr) bool {
	for c.wn < len(c.wbuf) {
		n, err := sock.Write(fd, c.wbuf[c.wn:])
		if c.wn += n; err != nil {
			if err != syscall.EAGAIN {
				c.werr = err
			}
			break
		}
	}
	return true
}
