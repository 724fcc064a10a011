package client

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// converse runs a connection until it is lost: the reader here, the writer beside it. The error says why it was lost, or ends the client.
func (c *Client) converse(cn *conn) error {
	stop := context.AfterFunc(c.life, func() { _ = cn.Close() })
	defer stop()
	wrote := make(chan error, 1)
	go func() {
		err := c.writeLoop(cn)
		_ = cn.Close() // the reader must notice
		wrote <- err
	}()
	err := c.readLoop(cn)
	_ = cn.Close()
	close(cn.gone)
	if werr := <-wrote; werr != nil && errors.Is(err, net.ErrClosed) {
		err = werr
	}
	if c.life.Err() != nil {
		return ErrClosed
	}
	return err
}

// writeLoop sends the prologue, then what is queued, many requests with one system call, and a ping after a third of the timeout in
// which nothing was sent. It ends with the reader, or with an error of the connection.
func (c *Client) writeLoop(cn *conn) error {
	buf := cn.prologue
	cn.prologue = nil
	idle := time.NewTimer(cn.timeout / 3)
	defer idle.Stop()
	for {
		buf = c.takeBatch(buf)
		if len(buf) > 0 {
			if err := cn.SetWriteDeadline(time.Now().Add(cn.timeout)); err != nil {
				return err
			}
			if _, err := cn.Write(buf); err != nil {
				return err
			}
			idle.Reset(cn.timeout / 3)
			if buf = buf[:0]; cap(buf) > 2*sendBatchBytes {
				buf = nil
			}
			continue
		}
		select {
		case <-c.wake:
		case <-idle.C:
			buf = appendPing(buf)
		case <-cn.gone:
			return nil
		}
	}
}

func appendPing(b []byte) []byte {
	b, mark := wire.BeginFrame(b)
	h := wire.RequestHeader{Xid: zk.XidPing, Type: zk.OpPing}
	b = h.Append(b)
	_ = wire.EndFrame(b, mark) // eight bytes fit
	return b
}

// takeBatch moves requests from the queue to those that wait for an answer, and appends their frames to b.
func (c *Client) takeBatch(b []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(b) < sendBatchBytes {
		k := c.queue.pop()
		if k == nil {
			break
		}
		k.state = callSent
		k.sends++
		if k.op == zk.OpAuth {
			k.setXid(zk.XidAuth)
			c.auths.push(k)
		} else {
			c.xid = nextXid(c.xid)
			k.setXid(c.xid)
			c.sent.push(k)
		}
		b = append(b, k.frame...)
	}
	return b
}

// nextXid counts up and leaves out the negative numbers, which have meanings of their own.
func nextXid(xid int32) int32 {
	if xid == 1<<31-1 {
		return 1
	}
	return xid + 1
}

// readLoop handles frames in their order until the connection fails or is silent for two thirds of the timeout.
func (c *Client) readLoop(cn *conn) error {
	r := bufio.NewReaderSize(cn, readBufferBytes)
	for {
		if err := cn.SetReadDeadline(time.Now().Add(cn.timeout * 2 / 3)); err != nil {
			return err
		}
		frame, err := readFrame(r, c.opts.MaxReplyBytes)
		if err != nil {
			return err
		}
		d := wire.NewDecoder(frame)
		var h wire.ReplyHeader
		h.Decode(&d)
		if d.Err() != nil {
			return d.Err()
		}
		cn.heard = true
		body := frame[d.Offset():]
		switch h.Xid {
		case zk.XidPing:
		case zk.XidNotification:
			err = c.notified(&h, body)
		case zk.XidAuth:
			err = c.authenticated(cn, h.Err)
		case zk.XidSetWatches:
			err = c.rearmed(cn, h.Err)
		default:
			err = c.replied(&h, body)
		}
		if err != nil {
			return err
		}
	}
}

// readFrame reads one frame into memory of its own. Its errors are the reader's: io.EOF only between frames.
func readFrame(r io.Reader, limit int) ([]byte, error) {
	var head [wire.FrameHeaderSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(int32(binary.BigEndian.Uint32(head[:])))
	if n < 0 || n > limit {
		return nil, &wire.LengthError{Length: n, Max: limit}
	}
	frame := make([]byte, 0, min(n, replyStepBytes))
	for len(frame) < n {
		have := len(frame)
		step := min(n-have, max(have, replyStepBytes))
		if cap(frame)-have < step {
			frame = append(make([]byte, 0, have+step), frame...)
		}
		frame = frame[:have+step]
		if _, err := io.ReadFull(r, frame[have:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return frame, nil
}

// replied finishes the oldest call. Answers come in the order of requests, so any other xid is a broken server.
func (c *Client) replied(h *wire.ReplyHeader, body []byte) error {
	c.mu.Lock()
	k := c.sent.peek()
	if k == nil || k.xid != h.Xid {
		c.mu.Unlock()
		return fmt.Errorf("client: an answer with xid %d to no request that waits for it", h.Xid)
	}
	c.sent.pop()
	c.lastZxid = max(c.lastZxid, h.Zxid)
	if k.watch != nil && !k.abandoned {
		c.watches.register(k.watch, k.op, h.Err)
	}
	if k.remove != 0 && h.Err == zk.OK {
		c.watches.end(k.fullPath, k.remove, ErrWatchRemoved)
	}
	k.state = callFinished
	c.mu.Unlock()
	c.finish(k, body, h.Err.Err(), false)
	if k.op == zk.OpCloseSession && h.Err == zk.OK {
		return ErrClosed
	}
	return nil
}

// authenticated takes the answer to the oldest identity offered. One that the client had proved before and that is refused now
// ends the client: it would go on with other rights than its user believes.
func (c *Client) authenticated(cn *conn, code zk.Code) error {
	c.mu.Lock()
	k := c.auths.pop()
	if k == nil {
		c.mu.Unlock()
		return errors.New("client: an answer to no identity offered")
	}
	k.state = callFinished
	if code == zk.OK && !k.prologue && !slices.ContainsFunc(c.auth, k.auth.equal) {
		c.auth = append(c.auth, k.auth)
	}
	c.mu.Unlock()
	if k.prologue {
		if code != zk.OK {
			return fmt.Errorf("scheme %s: %w", k.auth.Scheme, zk.ErrAuthFailed)
		}
		if cn.proving--; cn.proving == 0 {
			c.becomeReady()
		}
		return nil
	}
	c.finish(k, nil, code.Err(), false)
	return nil
}

// notified hands a watch event to the watches that it is for.
func (c *Client) notified(h *wire.ReplyHeader, body []byte) error {
	d := wire.NewDecoder(body)
	var e wire.WatcherEvent
	e.Decode(&d)
	if d.Err() != nil {
		return d.Err()
	}
	if e.Type == zk.EventNone { // the server's view of the connection, which the client knows better
		return nil
	}
	ev := Event{Type: e.Type, Path: c.local(e.Path)}
	if h.Zxid > 0 {
		ev.Zxid = h.Zxid
	}
	c.mu.Lock()
	orphans := c.watches.fire(e.Path, ev)
	for _, path := range orphans {
		c.forgetRemoteLocked(path)
	}
	c.mu.Unlock()
	if len(orphans) > 0 {
		c.kick()
	}
	return nil
}

// rearmed takes the answer to a setWatches request of the prologue. After the last, persistent watches are told that they may
// have missed something.
func (c *Client) rearmed(cn *conn, code zk.Code) error {
	if code != zk.OK {
		return fmt.Errorf("client: watches were not taken up again: %w", code)
	}
	if cn.rearming--; cn.rearming != 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, path := range c.watches.tellPersistent() {
		c.forgetRemoteLocked(path)
	}
	c.kick()
	return nil
}
