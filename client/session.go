package client

import (
	"context"
	"crypto/tls"
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

// run is the client's life: find a server, talk to it until the connection is lost, again; until it is over.
func (c *Client) run() {
	for {
		cn, err := c.establish()
		if err != nil {
			c.end(err)
			return
		}
		err = c.converse(cn)
		if isEnd(err) {
			c.end(err)
			return
		}
		c.dropped(cn, err)
		if cn.heard {
			c.flaps = 0
			continue
		}
		c.flaps++ // a server that grants sessions and hangs up must not be called in a tight loop
		if !c.pause(c.backoff(c.flaps)) {
			c.end(ErrClosed)
			return
		}
	}
}

// backoff draws the pause before attempt n, counted from 0.
func (c *Client) backoff(n int) time.Duration {
	bound := retryMax
	if n < 10 {
		bound = min(retryBase<<n, retryMax)
	}
	return time.Duration(c.rand.Int64N(int64(bound)))
}

// isEnd says whether the error ends the client and not only a connection.
func isEnd(err error) bool {
	var ce *ConnectError
	return errors.Is(err, ErrClosed) || errors.Is(err, zk.ErrSessionExpired) || errors.Is(err, zk.ErrAuthFailed) || errors.As(err, &ce)
}

// conn is one connection with a session granted on it.
type conn struct {
	net.Conn
	server   string
	timeout  time.Duration // the session's, as granted
	prologue []byte        // identities and watches, to be sent before anything else
	rearming int           // setWatches requests in it that were not answered yet; owned by the reader
	proving  int           // identities in it that were not accepted yet; owned by the reader
	heard    bool          // a frame has arrived; owned by the reader
	gone     chan struct{} // closed when the reader has ended
}

// establish tries servers until one grants the session. Its error ends the client.
func (c *Client) establish() (*conn, error) {
	everReady := isClosed(c.ready)
	for round := 0; ; round++ {
		for _, i := range c.order() {
			if c.life.Err() != nil {
				return nil, ErrClosed
			}
			cn, err := c.attempt(c.servers[i])
			if err == nil {
				return cn, nil
			}
			if isEnd(err) {
				return nil, err
			}
			c.failures[i] = err
			c.opts.Logger.Info("client: no session", "server", c.servers[i], "err", err)
		}
		if rounds := c.opts.ConnectRounds; !everReady && rounds > 0 && round+1 >= rounds {
			return nil, &ConnectError{Servers: c.servers, Errs: c.failures}
		}
		if !c.pause(c.backoff(round)) {
			return nil, ErrClosed
		}
	}
}

// order is a random order of the servers, with the one that was lost last at the end, so that clients of a dead server spread evenly.
func (c *Client) order() []int {
	order := c.rand.Perm(len(c.servers))
	for at, i := range order {
		if c.servers[i] == c.lost {
			order = append(append(order[:at:at], order[at+1:]...), i)
			break
		}
	}
	return order
}

// pause waits, and says false if the client was closed meanwhile.
func (c *Client) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.life.Done():
		return false
	}
}

// attempt connects to one server and asks for the session.
func (c *Client) attempt(server string) (*conn, error) {
	ctx, cancel := context.WithTimeout(c.life, c.opts.ConnectTimeout)
	defer cancel()
	nc, err := c.opts.Dial(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	nc = sock.Wrap(nc)
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	if c.opts.TLS != nil {
		nc, err = secure(ctx, nc, c.opts.TLS, server)
	}
	var resp wire.ConnectResponse
	if err == nil {
		err = c.handshake(nc, &resp)
	}
	if err == nil && c.opts.SASL != nil {
		c.keep(&resp)
		err = c.proveSASL(nc)
	}
	if err == nil && !stop() { // the deadline struck; it must not strike later
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c.granted(nc, server, &resp), nil
}

func secure(ctx context.Context, nc net.Conn, config *tls.Config, server string) (net.Conn, error) {
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(server)
	}
	tc := tls.Client(nc, config)
	return tc, tc.HandshakeContext(ctx)
}

// handshake sends the ConnectRequest and reads the answer.
func (c *Client) handshake(nc net.Conn, resp *wire.ConnectResponse) error {
	c.mu.Lock()
	req := wire.ConnectRequest{
		LastZxidSeen: c.lastZxid,
		TimeOut:      int32(c.opts.SessionTimeout / time.Millisecond),
		SessionID:    c.session.ID,
		Passwd:       c.session.Passwd,
		HasReadOnly:  true,
	}
	c.mu.Unlock()
	if req.Passwd == nil {
		req.Passwd = make([]byte, passwdSize)
	}
	b, mark := wire.BeginFrame(nil)
	b = req.Append(b)
	if err := wire.EndFrame(b, mark); err != nil {
		return err
	}
	if _, err := nc.Write(b); err != nil {
		return fmt.Errorf("%w: %w", err, ErrNotServing)
	}
	frame, err := readFrame(nc, connectResponseBytes)
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return ErrNotServing
	}
	if err != nil {
		return err
	}
	d := wire.NewDecoder(frame)
	resp.Decode(&d)
	switch {
	case d.Err() != nil:
		return d.Err()
	case resp.TimeOut <= 0 || resp.SessionID == 0:
		return zk.ErrSessionExpired
	case resp.ReadOnly:
		return ErrNotServing
	}
	return nil
}

// keep notes the session, so that the next attempt takes it up again.
func (c *Client) keep(resp *wire.ConnectResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = Session{ID: resp.SessionID, Passwd: resp.Passwd}
}

// granted records the session and prepares what must be said first on the new connection.
func (c *Client) granted(nc net.Conn, server string, resp *wire.ConnectResponse) *conn {
	cn := &conn{Conn: nc, server: server, timeout: time.Duration(resp.TimeOut) * time.Millisecond, gone: make(chan struct{})}
	c.keep(resp)
	c.mu.Lock()
	c.timeout = cn.timeout
	for _, a := range c.auth {
		k := authCall(a)
		k.setXid(zk.XidAuth)
		k.prologue = true
		k.state = callSent
		cn.prologue = append(cn.prologue, k.frame...)
		c.auths.push(k)
		cn.proving++
	}
	cn.prologue, cn.rearming = c.watches.appendRearm(cn.prologue, c.lastZxid)
	c.mu.Unlock()
	_ = nc.SetDeadline(time.Time{})
	c.states.publish(StateChange{State: zk.StateSyncConnected, Server: server, SessionID: resp.SessionID})
	c.opts.Logger.Info("client: connected", "server", server, "session", fmt.Sprintf("%#x", resp.SessionID))
	if cn.proving == 0 {
		c.becomeReady()
	}
	return cn
}

// becomeReady lets Connect return: there is a session, and the identities asked for are its own.
func (c *Client) becomeReady() {
	if !isClosed(c.ready) {
		close(c.ready)
	}
}

// dropped deals with a lost connection: reads go back to the head of the queue in their order, writes fail.
func (c *Client) dropped(cn *conn, err error) {
	c.lost = cn.server
	c.mu.Lock()
	var failed []*call
	var back []*call
	for _, k := range append(c.auths.take(), c.sent.take()...) {
		switch {
		case k.prologue:
		case k.abandoned, k.pipe != nil, !k.again, k.sends >= maxSends:
			failed = append(failed, k)
			k.state = callFinished
			k.unknown = !k.again
			if k.pipe != nil {
				k.pipe.broken = true
			}
		default:
			back = append(back, k)
			k.state = callQueued
		}
	}
	for _, k := range c.queue.take() {
		if k.pipe != nil && k.pipe.broken {
			failed = append(failed, k)
			k.state = callFinished
			continue
		}
		back = append(back, k)
	}
	for _, k := range back {
		c.queue.push(k)
	}
	id := c.session.ID
	c.mu.Unlock()
	c.states.publish(StateChange{State: zk.StateDisconnected, Server: cn.server, SessionID: id, Err: err})
	c.opts.Logger.Info("client: connection lost", "server", cn.server, "session", fmt.Sprintf("%#x", id), "err", err)
	for _, k := range failed {
		c.finish(k, nil, zk.ErrConnectionLoss, k.unknown)
	}
}

// end makes the client over: everything that waits fails, watches end.
func (c *Client) end(err error) {
	state := zk.StateClosed
	switch {
	case errors.Is(err, zk.ErrSessionExpired):
		state = zk.StateExpired
	case errors.Is(err, zk.ErrAuthFailed):
		state = zk.StateAuthFailed
	}
	c.mu.Lock()
	c.endErr = err
	var failed []*call
	for _, k := range append(c.auths.take(), c.sent.take()...) {
		if k.prologue {
			continue
		}
		k.state = callFinished
		k.unknown = !k.again
		failed = append(failed, k)
	}
	for _, k := range c.queue.take() {
		k.state = callFinished
		failed = append(failed, k)
	}
	for _, w := range c.watches.takeAll() {
		w.endLocked(err)
	}
	id := c.session.ID
	close(c.ended)
	c.mu.Unlock()
	c.endLife()
	for _, k := range failed {
		c.finish(k, nil, err, k.unknown)
	}
	if state != zk.StateClosed {
		c.opts.Logger.Warn("client: session over", "session", fmt.Sprintf("%#x", id), "err", err)
	}
	c.states.publish(StateChange{State: state, SessionID: id, Err: err})
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
