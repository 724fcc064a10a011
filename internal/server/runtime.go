package server

import (
	"runtime"
	"time"
)

// Runtime is what a server has of goroutines and of time. Config.Runtime nil is Go's own: goroutines, sync.Cond, timers, the clock. A simulation
// brings another, in which goroutines are tasks of which one runs at a time, and everything where one may wait is a call of
// Park or of the connection (net.Conn) or the Replicator that the simulation has made.
//
// A task that parks holds no lock, so the locks of this package are never waited for there.
type Runtime interface {
	// Now is the time. Differences of two are those of a monotonic clock.
	Now() time.Time
	// Go runs f as a task of its own. It does not wait for it, nor run any of it before it returns.
	Go(f func())
	// Park makes the calling task wait until Wake is called with the same key, or until d is over; 0: for as long as it takes. It may return
	// without either. At most one task waits at a key.
	Park(key any, d time.Duration)
	// Wake lets the task go on that waits at key. If there is none, nothing happens, now or later.
	Wake(key any)
}

// clock is the time of day.
func (s *Server) clock() time.Time {
	if s.rt != nil {
		return s.rt.Now()
	}
	return time.Now()
}

// now is the time since the server was made, in ns, monotonic.
func (s *Server) now() int64 {
	if s.rt != nil {
		return int64(s.rt.Now().Sub(s.start))
	}
	return int64(time.Since(s.start))
}

// spawn runs f on a goroutine that Close waits for.
func (s *Server) spawn(f func()) {
	if s.rt != nil {
		s.rt.Go(f)
		return
	}
	s.wg.Go(f)
}

// flushers is on how many goroutines the replies of a batch are sent at most.
func (s *Server) flushers() int {
	if s.rt != nil {
		return simulatedFlushers // nothing may depend on the machine
	}
	return runtime.GOMAXPROCS(0)
}

const simulatedFlushers = 4

// block is c.cond.Wait: the reader waits for wake. The caller holds mu and looks again at what it waits for.
func (c *conn) blockLocked() {
	if rt := c.srv.rt; rt != nil {
		c.mu.Unlock()
		rt.Park(c, 0)
		c.mu.Lock()
		return
	}
	c.cond.Wait()
}

// signal lets the reader look again.
func (c *conn) signal() {
	if rt := c.srv.rt; rt != nil {
		rt.Wake(c)
		return
	}
	c.cond.Signal()
}

// pause waits, unless the server is closed meanwhile.
func (s *Server) pause(d time.Duration) bool {
	_, ok := receive[struct{}](s, nil, d)
	return !ok && !s.isClosed()
}

// post sends v to a channel that has room for it, and for which somebody may wait in receive.
func post[T any](s *Server, ch chan T, v T) {
	ch <- v
	if s.rt != nil {
		s.rt.Wake(ch)
	}
}

// receive takes from ch what comes within d. ok is false if nothing came, or if the server is closed.
func receive[T any](s *Server, ch chan T, d time.Duration) (v T, ok bool) {
	if s.rt != nil {
		return receiveParked(s, ch, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case v = <-ch:
		return v, true
	case <-t.C:
	case <-s.quit:
	}
	return v, false
}

// receiveParked is receive where tasks park.
func receiveParked[T any](s *Server, ch chan T, d time.Duration) (v T, ok bool) {
	var key any = ch
	if ch == nil {
		key = new(byte) // nobody wakes it
	}
	for until := s.rt.Now().Add(d); ; {
		select {
		case v = <-ch:
			return v, true
		default:
		}
		left := until.Sub(s.rt.Now())
		if left <= 0 || s.isClosed() {
			return v, false
		}
		s.rt.Park(key, left)
	}
}
