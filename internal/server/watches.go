package server

import (
	"slices"
	"strings"

	"gopherwood/internal/planted"
	"gopherwood/internal/tree"
	"gopherwood/internal/watch"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// leave registers a watch. The caller holds the tree's lock and the connection's mu.
func (c *conn) leave(path string, k watch.Kind) {
	s := c.srv
	s.watchMu.Lock()
	err := s.watches.Add(c.handle, path, k)
	s.watchMu.Unlock()
	if err != nil {
		c.killLocked(err.Error())
	}
}

// watches executes the operations on watches alone.
func (c *conn) watches(b []byte, op zk.OpCode, d *wire.Decoder) ([]byte, zk.Code) {
	path, n := d.String(), d.Int32()
	if d.Err() != nil {
		return b, c.malformedLocked(op, d.Err())
	}
	if op == zk.OpAddWatch {
		switch zk.AddWatchMode(n) {
		case zk.AddWatchPersistent:
			c.leave(path, watch.Persistent)
		case zk.AddWatchPersistentRecursive:
			c.leave(path, watch.Recursive)
		default:
			return b, zk.ErrMarshalling // WatcherMode.fromZooDef throws
		}
		return wire.AppendInt32(b, int32(zk.OK)), zk.OK
	}
	sel := zk.WatcherType(n)
	if sel < zk.WatcherChildren || sel > zk.WatcherPersistentRecursive {
		return b, zk.ErrMarshalling // WatcherType.fromInt throws
	}
	s := c.srv
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	found := false
	if op == zk.OpRemoveWatches {
		found = s.watches.Remove(c.handle, path, sel)
	} else {
		found = s.watches.Has(c.handle, path, sel)
	}
	if !found {
		return b, zk.ErrNoWatcher
	}
	return b, zk.OK
}

// setWatches arms the watches of a client that has come back, and appends the events that it missed (DataTree.setWatches).
func (c *conn) setWatches(b []byte, op zk.OpCode, body []byte) ([]byte, zk.Code) {
	d := wire.NewDecoder(body)
	var req wire.SetWatches2
	if op == zk.OpSetWatches2 {
		req.Decode(&d)
	} else {
		req.SetWatches.Decode(&d)
	}
	if d.Err() != nil {
		return b, c.malformedLocked(op, d.Err())
	}
	t, since := c.srv.tree, req.RelativeZxid
	start := len(b)
	missed := func(ev zk.EventType, path string) {
		b = wire.AppendEventFrame(b, noZxid, &wire.WatcherEvent{Type: ev, State: zk.StateSyncConnected, Path: path})
		c.stats.sent++
	}
	for _, path := range req.DataWatches {
		switch _, mzxid, _, exists := t.WatchState(path); {
		case !exists:
			missed(zk.EventNodeDeleted, path)
		case mzxid > since, mzxid == since && path == configPath: // whose changes take no zxid: better told twice than not
			missed(zk.EventNodeDataChanged, path)
		default:
			c.leave(path, watch.Data)
		}
	}
	for _, path := range req.ExistWatches {
		if _, _, _, exists := t.WatchState(path); exists {
			missed(zk.EventNodeCreated, path)
		} else {
			c.leave(path, watch.Data)
		}
	}
	for _, path := range req.ChildWatches {
		_, mzxid, pzxid, exists := t.WatchState(path)
		if planted.RearmByMzxid.On() {
			pzxid = mzxid
		}
		switch {
		case !exists:
			missed(zk.EventNodeDeleted, path)
		case pzxid > since:
			missed(zk.EventNodeChildrenChanged, path)
		default:
			c.leave(path, watch.Child)
		}
	}
	for _, path := range req.PersistentWatches {
		c.leave(path, watch.Persistent)
	}
	for _, path := range req.PersistentRecursiveWatches {
		c.leave(path, watch.Recursive)
	}
	c.newEventBytes += len(b) - start
	return b, zk.OK
}

// noZxid is the zxid of events that setWatches makes up (WatchedEvent.NO_ZXID).
const noZxid = -1

// fire queues a command's events to the local connections that watch. The loop calls it under the tree's write lock, before
// the command's own reply and before anyone can read what it changed.
func (s *Server) fire(events []tree.Event) {
	for i := range events {
		ev := &events[i]
		told := s.told(ev)
		if len(told) == 0 {
			continue
		}
		s.stats.fired[ev.Type].add(int64(len(told)))
		s.loop.event = wire.AppendEventFrame(s.loop.event[:0], ev.Zxid, &wire.WatcherEvent{Type: ev.Type, State: zk.StateSyncConnected, Path: ev.Path})
		for _, c := range told {
			if planted.EventAfterReply.On() {
				s.eventLater(c, ev)
				continue
			}
			c.event(ev, s.loop.event)
		}
	}
}

// told is the connections that an event reaches; valid until the next call.
func (s *Server) told(ev *tree.Event) []*conn {
	s.watchMu.Lock()
	s.loop.handles = s.watches.Trigger(s.loop.handles[:0], ev.Type, ev.Path)
	s.watchMu.Unlock()
	if len(s.loop.handles) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.loop.told)
	s.loop.told = s.loop.told[:0]
	for _, h := range s.loop.handles {
		if c := s.slots[h]; c != nil {
			s.loop.told = append(s.loop.told, c)
		}
	}
	return s.loop.told
}

// event queues one event, unless the client may not read the node (NIOServerCnxn.process).
func (c *conn) event(ev *tree.Event, frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.closing || !c.srv.tree.CanRead(ev.ACL, c.auth) {
		return
	}
	out := c.outLocked()
	out.b = append(out.b, frame...)
	c.newEventBytes += len(frame)
	c.stats.sent++
	c.srv.loop.sent++
	c.srv.loop.eventBytes += int64(len(frame))
	if c.newEventBytes+c.eventBytes > c.srv.cfg.MaxOutBytes {
		c.killLocked("it does not read its watch events")
		return
	}
	c.srv.loop.touch(c)
}

// eventLater is what a planted bug does with an event.
func (s *Server) eventLater(c *conn, ev *tree.Event) {
	later, frame := *ev, slices.Clone(s.loop.event)
	later.Path = strings.Clone(ev.Path)
	s.spawn(func() {
		c.event(&later, frame)
		c.flushNow()
	})
}
