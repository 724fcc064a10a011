package client

import (
	"sync"

	"gopherwood/zk"
)

// StateChange is a step of the client's state machine, drawn in the package comment.
type StateChange struct {
	State     zk.KeeperState
	Server    string // the server that the change is about; "" when closed
	SessionID int64
	Err       error // why a connection was lost or the session ended; nil when connected or closed
}

// isFinal says whether nothing follows the state.
func isFinal(s zk.KeeperState) bool {
	return s == zk.StateExpired || s == zk.StateAuthFailed || s == zk.StateClosed
}

// stateHub hands state changes to subscribers. A subscriber that does not receive loses its oldest changes, never the newest.
type stateHub struct {
	mu     sync.Mutex
	last   StateChange
	subs   map[chan StateChange]struct{}
	closed bool
}

// publish sends the change to all. After a final state every subscriber's channel is closed.
func (h *stateHub) publish(s StateChange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.last = s
	for ch := range h.subs {
		offer(ch, s)
	}
	if isFinal(s.State) {
		h.closed = true
		for ch := range h.subs {
			close(ch)
		}
		h.subs = nil
	}
}

// offer puts s into ch, in place of the oldest if ch is full. Only the hub sends, under its lock, so there is room after that.
func offer(ch chan StateChange, s StateChange) {
	select {
	case ch <- s:
		return
	default:
	}
	select {
	case <-ch:
	default:
	}
	ch <- s
}

func (h *stateHub) current() StateChange {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

func (h *stateHub) subscribe() (<-chan StateChange, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch := make(chan StateChange, stateBuffer)
	ch <- h.last
	if h.closed {
		close(ch)
		return ch, func() {}
	}
	if h.subs == nil {
		h.subs = make(map[chan StateChange]struct{})
	}
	h.subs[ch] = struct{}{}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if _, ok := h.subs[ch]; ok {
			delete(h.subs, ch)
			close(ch)
		}
	}
}

// State is the newest state.
func (c *Client) State() StateChange { return c.states.current() }

// States returns a channel that gets the present state and every change from now on, and is closed after a final state or by stop, which
// may be called more than once. A receiver that falls behind by more than a few changes loses older ones, never the newest.
func (c *Client) States() (changes <-chan StateChange, stop func()) { return c.states.subscribe() }
