package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"gopherwood/internal/sock"
)

// outbound is the sending direction to one peer. Its run goroutine dials, and writes while connected:
//
//	Send ─ append ─► pending ─┐ swap   writing ─ one Write ─► conn
//	                  ▲       └──────────►│
//	                  └───── spare ◄──────┘
//
// len(pending) + writing <= MaxPendingBytes. pending is empty while conn is nil.
type outbound struct {
	// Constant.
	t      *Transport
	server uint16
	ctx    context.Context // ends with stop
	cancel context.CancelFunc
	retry  chan struct{} // capacity 1: dial now and do not wait

	mu      sync.Mutex
	addr    string
	was     string    // its address before that, where it may still listen: it has not heard of its move yet; "" once addr has answered
	filled  sync.Cond // pending is no longer empty, or conn is another
	stopped bool
	conn    net.Conn // after the handshake; nil while there is none
	greeted identity // what the other side of conn was told
	opening net.Conn // before and during the handshake
	cause   error    // why the last conn ended
	pending []byte   // frames
	writing int      // bytes that the writer took from pending and has not written yet
	spare   []byte
	// smallWrites counts, of the writes from large buffers, those in a row that were small.
	smallWrites int

	// Owned by run.
	attempts int // to connect, since there was a stable connection
	logged   refusalKey
	loggedAt time.Time
}

func newOutbound(t *Transport, server uint16, addr string) *outbound {
	p := &outbound{t: t, server: server, addr: addr, retry: make(chan struct{}, 1)}
	p.filled.L = &p.mu
	p.ctx, p.cancel = context.WithCancel(t.ctx)
	return p
}

// move gives the peer another address. A connection that there is stays: it may be what the peer hears of its move by.
func (p *outbound) move(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.was, p.addr = p.addr, addr
	p.retryNow()
}

// address is where the peer should be.
func (p *outbound) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

// next is where to dial: in turns, while it is not known whether the peer has moved.
func (p *outbound) next() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.was != "" && p.attempts%2 == 0 {
		return p.was
	}
	return p.addr
}

// answered notes that the peer is at addr.
func (p *outbound) answered(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if addr == p.addr {
		p.was = ""
	}
}

func (p *outbound) send(m *Message) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		return false
	}
	before := len(p.pending)
	p.pending = appendFrame(p.pending, m)
	size := len(p.pending) - before
	if size > frameHeaderBytes+MaxMessageBytes {
		p.t.log.Error("peer: message is too long to be sent", "to", p.server, "kind", m.Kind, "bytes", size)
	} else if len(p.pending)+p.writing <= p.t.cfg.MaxPendingBytes {
		if before == 0 {
			p.filled.Signal()
		}
		return true
	}
	p.pending = p.pending[:before]
	return false
}

func (p *outbound) connected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn != nil
}

// stop ends the connection and then run, without waiting for it.
func (p *outbound) stop() {
	p.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	if p.opening != nil {
		p.opening.Close()
	}
	p.dropLocked(p.conn, ErrClosed)
}

// renew ends a connection on which another identity than the present one was told.
func (p *outbound) renew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil && p.greeted != *p.t.own.Load() {
		p.dropLocked(p.conn, errRenewed)
		p.retryNow()
	}
}

var errRenewed = errors.New("peer: this server has another identity now")

// retryNow ends a pause between two attempts to connect.
func (p *outbound) retryNow() {
	select {
	case p.retry <- struct{}{}:
	default:
	}
}

// drop ends conn and forgets what was queued for it, if it still is the connection.
func (p *outbound) drop(conn net.Conn, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropLocked(conn, cause)
}

func (p *outbound) dropLocked(conn net.Conn, cause error) {
	if conn == nil || p.conn != conn {
		return
	}
	p.conn, p.cause = nil, cause
	p.pending = nil
	p.filled.Signal()
	conn.Close()
}

// run dials and writes until stop.
func (p *outbound) run() {
	defer p.cancel()
	for p.pause() {
		p.attempts++
		addr := p.next()
		conn, err := p.connect(addr)
		if err != nil {
			p.logFailure(addr, err)
			continue
		}
		p.answered(addr)
		p.t.log.Info("peer: connected", "to", p.server, "addr", addr)
		p.logged = refusalKey{}
		since := time.Now()
		err = p.serve(conn)
		if p.ctx.Err() != nil {
			return
		}
		p.t.log.Info("peer: connection lost", "to", p.server, "addr", addr, "err", err)
		if time.Since(since) >= stableAfter {
			p.attempts = 0
		}
	}
}

// pause waits before the next attempt to connect, and not at all before the first. false means that p was stopped.
func (p *outbound) pause() bool {
	if p.attempts > 0 && p.ctx.Err() == nil {
		timer := time.NewTimer(backoff(p.attempts))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.retry:
		case <-p.ctx.Done():
		}
	}
	return p.ctx.Err() == nil
}

// backoff is the pause after so many attempts, with a jitter of half of it, so that two servers do not keep in step.
func backoff(attempts int) time.Duration {
	d := backoffMax
	if shift := attempts - 1; shift < 6 {
		d = min(backoffMin<<shift, backoffMax)
	}
	return d/2 + rand.N(d/2)
}

// connect dials, greets and makes the connection the one that Send uses.
func (p *outbound) connect(addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(p.ctx, dialTimeout)
	defer cancel()
	conn, err := p.t.cfg.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	tune(conn)
	conn = sock.Wrap(conn)
	if !p.open(conn) {
		conn.Close()
		return nil, ErrClosed
	}
	own := *p.t.own.Load()
	if conn, err = p.t.secure(conn, addr); err == nil {
		err = greet(conn, hello{purpose: purposeMessages, from: p.t.cfg.ServerID, to: p.server, identity: own}, p.t.cfg.HandshakeTimeout)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opening = nil
	switch {
	case err != nil:
	case p.stopped:
		err = ErrClosed
	case own != *p.t.own.Load():
		err = errRenewed
		p.retryNow()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	p.conn, p.greeted, p.cause = conn, own, nil
	return conn, nil
}

// open notes a connection that stop has to close.
func (p *outbound) open(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	p.opening = conn
	return true
}

// serve writes what is queued until the connection ends, and returns why it did.
func (p *outbound) serve(conn net.Conn) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.watch(conn)
	}()
	for {
		buf := p.take(conn)
		if buf == nil {
			break
		}
		if err := p.write(conn, buf); err != nil {
			p.drop(conn, err)
		}
		p.giveBack(buf)
	}
	<-ended
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cause
}

// watch reads from a connection on which nothing comes, to learn at once when the other side has closed it.
func (p *outbound) watch(conn net.Conn) {
	var b [1]byte
	n, err := conn.Read(b[:])
	if n > 0 {
		err = fmt.Errorf("%w: byte %#x on a connection that only sends", ErrMalformed, b[0])
	}
	p.drop(conn, err)
}

// take waits for something to write and takes all of it; nil means that conn has ended.
func (p *outbound) take(conn net.Conn) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.conn == conn && len(p.pending) == 0 {
		p.filled.Wait()
	}
	if p.conn != conn {
		return nil
	}
	buf := p.pending
	p.pending, p.spare, p.writing = p.spare, nil, len(buf)
	return buf
}

// giveBack ends the writing of what take returned. A large buffer is kept until many writes in a row have hardly used it.
func (p *outbound) giveBack(buf []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writing = 0
	if cap(buf) > keepBufferBytes {
		p.smallWrites++
		if len(buf) >= cap(buf)/8 {
			p.smallWrites = 0
		}
		if p.smallWrites >= maxSmallWrites {
			return
		}
	}
	p.spare = buf[:0]
}

// write writes buf, usually in one system call. Its deadline is for each part, so that a long queue to a slow peer is no failure.
func (p *outbound) write(conn net.Conn, buf []byte) error {
	for len(buf) > 0 {
		part := buf[:min(len(buf), maxWriteBytes)]
		if err := conn.SetWriteDeadline(time.Now().Add(p.t.cfg.WriteTimeout)); err != nil {
			return err
		}
		if _, err := conn.Write(part); err != nil {
			return err
		}
		buf = buf[len(part):]
	}
	return nil
}

// logFailure tells of a failed attempt, but not of each one of a row.
func (p *outbound) logFailure(addr string, err error) {
	if p.ctx.Err() != nil {
		return
	}
	key := refusalKey{server: p.server, refusal: refusalOf(err)}
	level := slog.LevelDebug
	if key != p.logged || time.Since(p.loggedAt) >= logAgainAfter {
		level = slog.LevelWarn
		p.logged, p.loggedAt = key, time.Now()
	}
	p.t.log.Log(p.ctx, level, "peer: cannot connect; trying again", "to", p.server, "addr", addr, "err", err)
}

// refusalKey is what makes two failures the same for the log.
type refusalKey struct {
	server  uint16
	refusal Refusal
}

// refusalOther stands for every failure that is not a refusal.
const refusalOther Refusal = 255

// refusalTLS stands for those of TLS.
const refusalTLS Refusal = 254

func refusalOf(err error) Refusal {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return refused.Refusal
	}
	if t := (*tlsError)(nil); errors.As(err, &t) {
		return refusalTLS
	}
	return refusalOther
}
