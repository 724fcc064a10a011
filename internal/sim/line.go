package sim

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// line is a TCP connection of a simulated client. Its far end is the server's net.Conn, whose Read and Write park their task; the near end calls the client.
// Each way is a stream with a window: who sends more than the other side reads has to wait.
//
// What may happen to it: it is slow, stands still for a while, ends at once (reset), or silently: each side then finds out by the other's silence. When the
// server's process dies the client hears of it, when the power goes it does not. A close with bytes unread destroys what is on its way back, as TCP's does.
type line struct {
	sim    *simulation
	client *zkClient // nil once it has let go
	svc    *service  // nil once the process is over
	up     pipe      // to the server
	down   pipe      // to the client
	delay  int64     // mean, microseconds
	cut    bool      // nothing gets through any more, and nobody is told

	// the server's end
	closed        bool
	readBy        time.Time
	writeBy       time.Time
	out           []byte // what the client has for the server and the window does not take
	leaving       bool   // the client hangs up after out
	resetToClient bool
}

// pipe is one way of a line.
type pipe struct {
	window int
	queue  []parcel // on their way
	flying int      // bytes of them
	unread []byte   // arrived
	last   int64    // when the last parcel arrives
	still  int64    // until when nothing arrives
	ended  bool     // its end has arrived
	reset  bool     // its end has arrived out of order
}

type parcel struct {
	data []byte
	end  bool
}

func (p *pipe) room() int { return p.window - p.flying - len(p.unread) }

func newLine(s *simulation, c *zkClient, svc *service) *line {
	l := &line{sim: s, client: c, svc: svc, delay: s.sp.delayUs}
	l.up.window, l.down.window = s.sp.window, s.sp.window
	return l
}

// ship puts bytes, or the end, on their way.
func (l *line) ship(p *pipe, data []byte, end bool, arrive func(parcel)) {
	if l.cut {
		return
	}
	p.queue = append(p.queue, parcel{data, end})
	p.flying += len(data)
	p.last = max(p.last, l.sim.now+20+l.sim.lineRand.about(l.delay))
	l.arriveAt(p, p.last, arrive)
}

func (l *line) arriveAt(p *pipe, at int64, arrive func(parcel)) {
	l.sim.heap.push(at, func() {
		switch {
		case l.cut || p.reset || len(p.queue) == 0:
		case l.sim.now < p.still:
			l.arriveAt(p, p.still, arrive)
		default:
			q := p.queue[0]
			p.queue = p.queue[1:]
			p.flying -= len(q.data)
			l.sim.trace.mix(q.data)
			arrive(q)
		}
	})
}

// The client's end.

// send takes all that the client has to say; what the window does not take waits.
func (l *line) send(b []byte) {
	l.out = append(l.out, b...)
	l.pump()
}

// pump sends as much as there is room for.
func (l *line) pump() {
	if n := min(l.up.room(), len(l.out)); n > 0 {
		data := append([]byte(nil), l.out[:n]...)
		l.out = append(l.out[:0], l.out[n:]...)
		l.ship(&l.up, data, false, l.atServer)
	}
	if l.leaving && len(l.out) == 0 {
		l.leaving = false
		l.ship(&l.up, nil, true, l.atServer)
	}
}

// hangUp is the client's close.
func (l *line) hangUp() {
	l.client = nil
	l.out, l.leaving = nil, true
	l.pump()
}

// atServer is what arrives there.
func (l *line) atServer(q parcel) {
	switch {
	case l.svc == nil: // its machine answers with a reset, or is without power
	case l.closed:
		l.resetClient()
	case q.end:
		l.up.ended = true
		l.svc.tasks.Wake(&l.up)
	default:
		l.up.unread = append(l.up.unread, q.data...)
		l.svc.tasks.Wake(&l.up)
	}
}

// atClient is what arrives at the client.
func (l *line) atClient(q parcel) {
	c := l.client
	if q.end {
		l.down.ended = true
	} else {
		l.down.unread = append(l.down.unread, q.data...)
	}
	if c != nil {
		c.readable(l)
	}
}

// take is the client's read of everything that is there.
func (l *line) take() []byte {
	b := l.down.unread
	l.down.unread = nil
	if len(b) > 0 && l.svc != nil {
		l.sim.after(20+l.sim.lineRand.about(l.delay), func() { // the window opens
			if l.svc != nil {
				l.svc.tasks.Wake(&l.down)
			}
		})
	}
	return b
}

// resetClient tells the client that the connection is no more, overtaking what is on its way.
func (l *line) resetClient() {
	if l.resetToClient {
		return
	}
	l.resetToClient = true
	l.sim.after(20+l.sim.lineRand.about(l.delay), func() {
		if l.cut {
			return
		}
		l.down.reset, l.down.ended = true, true
		if c := l.client; c != nil {
			c.readable(l)
		}
	})
}

// breakUp resets both ends.
func (l *line) breakUp() {
	l.resetClient()
	l.sim.after(20+l.sim.lineRand.about(l.delay), func() {
		if l.svc != nil && !l.cut {
			l.up.reset = true
			l.svc.tasks.Wake(&l.up)
			l.svc.tasks.Wake(&l.down)
		}
	})
}

// serverGone ends the server's end with its process.
func (l *line) serverGone(silent bool) {
	l.svc, l.closed = nil, true
	if silent {
		l.cut = true
	} else {
		l.resetClient()
	}
}

// serverEnd is the server's end.
type serverEnd struct{ *line }

var _ net.Conn = serverEnd{}

// Read implements net.Conn. It may return less than there is, as a socket does.
func (e serverEnd) Read(b []byte) (int, error) {
	l := e.line
	for {
		switch {
		case l.closed:
			return 0, net.ErrClosed
		case isPast(l.readBy, l.svc):
			return 0, os.ErrDeadlineExceeded
		case l.up.reset:
			return 0, syscall.ECONNRESET
		case len(l.up.unread) > 0:
			n := len(l.up.unread)
			if l.sim.lineRand.chance(0.2) {
				n = 1 + l.sim.lineRand.IntN(n)
			}
			n = copy(b, l.up.unread[:n])
			l.up.unread = l.up.unread[n:]
			l.sim.after(20+l.sim.lineRand.about(l.delay), l.pump)
			return n, nil
		case l.up.ended:
			return 0, io.EOF
		}
		l.svc.tasks.Park(&l.up, left(l.readBy, l.svc))
	}
}

// Write implements net.Conn.
func (e serverEnd) Write(b []byte) (n int, err error) {
	l := e.line
	for n < len(b) {
		switch {
		case l.closed:
			return n, net.ErrClosed
		case isPast(l.writeBy, l.svc):
			return n, os.ErrDeadlineExceeded
		case l.up.reset:
			return n, syscall.EPIPE
		}
		if k := min(l.down.room(), len(b)-n); k > 0 {
			l.ship(&l.down, append([]byte(nil), b[n:n+k]...), false, l.atClient)
			n += k
			continue
		}
		l.sim.stats.Swarm.Backpressure++
		l.svc.tasks.Park(&l.down, left(l.writeBy, l.svc))
	}
	return n, nil
}

func isPast(by time.Time, svc *service) bool { return !by.IsZero() && !svc.tasks.Now().Before(by) }

// left is how long a task may wait until by; 0: for ever.
func left(by time.Time, svc *service) time.Duration {
	if by.IsZero() {
		return 0
	}
	return max(time.Microsecond, by.Sub(svc.tasks.Now()))
}

// Close implements net.Conn.
func (e serverEnd) Close() error {
	l := e.line
	if l.closed {
		return net.ErrClosed
	}
	l.closed = true
	if len(l.up.unread) > 0 {
		l.resetClient()
	} else {
		l.ship(&l.down, nil, true, l.atClient)
	}
	l.svc.closedLine(l)
	l.svc.tasks.Wake(&l.up)
	l.svc.tasks.Wake(&l.down)
	return nil
}

// CloseWrite is what a *net.TCPConn has.
func (e serverEnd) CloseWrite() error {
	if e.closed {
		return net.ErrClosed
	}
	e.ship(&e.down, nil, true, e.atClient)
	return nil
}

// SetDeadline implements net.Conn.
func (e serverEnd) SetDeadline(t time.Time) error {
	return firstError(e.SetReadDeadline(t), e.SetWriteDeadline(t))
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// SetReadDeadline implements net.Conn.
func (e serverEnd) SetReadDeadline(t time.Time) error {
	if e.closed {
		return net.ErrClosed
	}
	e.readBy = t
	e.svc.tasks.Wake(&e.up)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (e serverEnd) SetWriteDeadline(t time.Time) error {
	if e.closed {
		return net.ErrClosed
	}
	e.writeBy = t
	e.svc.tasks.Wake(&e.down)
	return nil
}

// LocalAddr implements net.Conn.
func (e serverEnd) LocalAddr() net.Addr { return lineAddr("server") }

// RemoteAddr implements net.Conn.
func (e serverEnd) RemoteAddr() net.Addr { return lineAddr("client") }

// lineAddr is an address that is none.
type lineAddr string

// Network implements net.Addr.
func (a lineAddr) Network() string { return "simulated" }

// String implements net.Addr.
func (a lineAddr) String() string { return string(a) }
