package peer

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"gopherwood/internal/sock"
)

// inbound is the messages connection from one server. Owned by the goroutine that serves it.
type inbound struct {
	conn  net.Conn
	hello hello
	done  chan struct{} // closed after PeerDown
}

// acceptLoop takes connections until the listener is closed.
func (t *Transport) acceptLoop(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			if t.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			t.log.Error("peer: cannot accept connections", "err", err)
			select {
			case <-time.After(acceptPause):
			case <-t.ctx.Done():
			}
			continue
		}
		if err := t.admit(conn); err != nil {
			conn.Close()
			t.logRefusal(conn, hello{}, err)
			continue
		}
		t.wg.Go(func() {
			defer t.dismiss(conn)
			t.serveInbound(conn)
		})
	}
}

// admit notes an accepted connection, unless there are too many.
func (t *Transport) admit(conn net.Conn) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	if len(t.accepted) >= t.cfg.MaxInbound {
		return fmt.Errorf("peer: there are %d connections from peers already", len(t.accepted))
	}
	t.accepted[conn] = struct{}{}
	return nil
}

// dismiss closes an admitted connection and forgets it.
func (t *Transport) dismiss(conn net.Conn) {
	t.mu.Lock()
	delete(t.accepted, conn)
	t.mu.Unlock()
	conn.Close()
}

// serveInbound greets an accepted connection and serves its purpose to the end.
func (t *Transport) serveInbound(conn net.Conn) {
	tune(conn)
	conn = sock.Wrap(conn)
	if err := conn.SetDeadline(time.Now().Add(t.cfg.HandshakeTimeout)); err != nil {
		return
	}
	conn, err := t.protect(conn)
	if err != nil {
		t.logRefusal(conn, hello{}, err)
		return
	}
	h, err := readHello(conn)
	if err == nil {
		if refused := t.checkName(conn, h); refused != nil {
			err = refused
		}
	}
	if err == nil {
		if refused := h.check(t.cfg.ServerID, *t.own.Load()); refused != nil {
			err = refused
		}
	}
	if err == nil && h.purpose == purposeSnapshot {
		err = t.serveSnapshot(conn, h)
	} else if err == nil {
		err = t.serveMessages(conn, h)
	}
	if err == nil {
		return
	}
	t.logRefusal(conn, h, err)
	var refused *RefusedError
	if errors.As(err, &refused) {
		_, _ = conn.Write(appendAnswer(refused)) // who is refused may be gone
		linger(conn)
	}
}

// serveMessages delivers a peer's messages until the connection ends. An error is one of the handshake.
func (t *Transport) serveMessages(conn net.Conn, h hello) error {
	in := &inbound{conn: conn, hello: h, done: make(chan struct{})}
	defer close(in.done)
	old, refused := t.enter(in)
	if refused != nil {
		return refused
	}
	defer t.leave(in)
	if old != nil {
		// The peer started again, or gave up a connection whose end has not arrived here.
		old.conn.Close()
		<-old.done
	}
	if _, err := conn.Write(appendAnswer(nil)); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	t.log.Info("peer: up", "from", h.from, "raft", FormatRaftID(h.raftID), "addr", conn.RemoteAddr())
	t.cfg.Handler.PeerUp(h.from, h.raftID)
	if p := (*t.peers.Load())[h.from]; p != nil {
		p.retryNow()
	}
	err := t.deliver(conn)
	t.cfg.Handler.PeerDown(h.from, h.raftID)
	level := slog.LevelInfo
	if errors.Is(err, ErrMalformed) || errors.Is(err, errChecksum) {
		level = slog.LevelError
	}
	t.log.Log(t.ctx, level, "peer: down", "from", h.from, "raft", FormatRaftID(h.raftID), "addr", conn.RemoteAddr(), "err", err)
	return nil
}

// deliver reads messages until the connection ends or something on it is not a message.
func (t *Transport) deliver(conn net.Conn) error {
	r := newFrameReader(conn)
	for {
		m, err := r.next()
		if err != nil {
			return err
		}
		t.cfg.Handler.Deliver(m)
	}
}

// enter makes in the connection from its server and returns the one that it takes over from.
func (t *Transport) enter(in *inbound) (old *inbound, refused *RefusedError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// Again, because the identity may have changed since; from here on SetIdentity finds in.
	if refused := in.hello.check(t.cfg.ServerID, *t.own.Load()); refused != nil {
		return nil, refused
	}
	old = t.inbound[in.hello.from]
	t.inbound[in.hello.from] = in
	return old, nil
}

func (t *Transport) leave(in *inbound) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inbound[in.hello.from] == in {
		delete(t.inbound, in.hello.from)
	}
}

// logRefusal tells of a connection that was not taken, but not of each one of a row.
func (t *Transport) logRefusal(conn net.Conn, h hello, err error) {
	if t.ctx.Err() == nil && t.tellRefusal(refusalKey{server: h.from, refusal: refusalOf(err)}) {
		t.log.Warn("peer: refused a connection", "addr", conn.RemoteAddr(), "from", h.from, "err", err)
	}
}

// tellRefusal says whether a refusal is worth a line.
func (t *Transport) tellRefusal(key refusalKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if last, ok := t.refusals[key]; ok && now.Sub(last) < logAgainAfter {
		return false
	}
	if len(t.refusals) >= maxRefusalsKept {
		clear(t.refusals)
	}
	t.refusals[key] = now
	return true
}

// linger ends a connection so that what was written last arrives: closing it with bytes unread would make the kernel throw
// away both directions.
func linger(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // conn is closed next in any case
	}
	_ = conn.SetReadDeadline(time.Now().Add(lingerTimeout))
	_, _ = io.Copy(io.Discard, conn)
}
