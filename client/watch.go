package client

import (
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// Event is what a watch reports.
type Event struct {
	Type zk.EventType
	Path string
	Zxid int64 // of the change; 0 from servers before 3.9, and for zk.EventNone
}

// Watch is a stream of events on one path. Those of GetW, ExistsW and ChildrenW end after one event; those of AddWatch go on.
type Watch struct {
	// constant
	c        *Client
	path     string // as the caller gave it
	fullPath string
	oneShot  bool
	events   chan Event

	// guarded by Client.mu
	kind watchKind // known when registered
	over bool      // events is closed
	err  error
}

func (c *Client) newWatch(path string, oneShot bool) *Watch {
	size := c.opts.WatchBuffer
	if oneShot {
		size = 1
	}
	return &Watch{c: c, path: path, fullPath: c.full(path), oneShot: oneShot, events: make(chan Event, size)}
}

// Path is the path that is watched.
func (w *Watch) Path() string { return w.path }

// Events is closed when the watch has ended: a one-shot watch has fired, Stop, RemoveWatches, or the end of the session (Err says which).
// Events that had arrived before can still be received.
func (w *Watch) Events() <-chan Event { return w.events }

// Err is why the watch ended: nil if it fired or was stopped, or is still alive.
func (w *Watch) Err() error {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	return w.err
}

// Do calls f for every event, in order, on a goroutine of the watch's own that lasts until the watch has ended. f must not call
// Client.Close or Client.Detach, which wait for it. Use either Do or Events.
func (w *Watch) Do(f func(Event)) {
	c := w.c
	loop := func() {
		for e := range w.events {
			f(e)
		}
	}
	c.mu.Lock()
	alive := c.endErr == nil
	if alive {
		c.wg.Go(loop) // under the lock: Close cannot be past its wait
	}
	c.mu.Unlock()
	if !alive {
		loop() // the channel is closed: what it holds is all
	}
}

// Stop ends the watch at once. The server is told if it was the last on its path; Stop does not wait for that. It may be called more than once.
func (w *Watch) Stop() {
	c := w.c
	c.mu.Lock()
	if w.over {
		c.mu.Unlock()
		return
	}
	c.watches.remove(w)
	w.endLocked(nil)
	c.forgetRemoteLocked(w.fullPath)
	c.mu.Unlock()
	c.kick()
}

// endLocked closes the channel. The watch must be in no set any more, or in one that is thrown away.
func (w *Watch) endLocked(err error) {
	if w.over {
		return
	}
	w.over, w.err = true, err
	close(w.events)
}

// offerLocked hands an event over and says whether the watch goes on.
func (w *Watch) offerLocked(e Event) bool {
	if w.over {
		return false
	}
	select {
	case w.events <- e:
	default:
		w.endLocked(ErrWatchOverflow)
		return false
	}
	if w.oneShot {
		w.endLocked(nil)
	}
	return !w.oneShot
}

// forgetRemoteLocked asks the server to drop its watches on a path that no local watch is on any more. It leaves them if a request is on its
// way that registers another one there: that one would be dropped too. An event that comes in spite of all is ignored.
// All kinds are dropped together, since servers before 3.9 know no finer selection for persistent watches.
func (c *Client) forgetRemoteLocked(fullPath string) {
	if c.endErr != nil || c.closing || c.watches.has(fullPath) {
		return
	}
	for _, q := range [][]*call{c.sent.all(), c.queue.all()} {
		for _, k := range q {
			if k.watch != nil && k.fullPath == fullPath {
				return
			}
		}
	}
	k := newCall(zk.OpRemoveWatches, "", &wire.RemoveWatchesRequest{Path: fullPath, Type: zk.WatcherAny}, len(fullPath))
	k.internal = true
	k.abandoned = true
	c.enqueueLocked(k)
}
