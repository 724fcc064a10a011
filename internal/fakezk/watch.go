package fakezk

import (
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

type watchKind int

const (
	dataWatch watchKind = iota
	childWatch
	persistentWatch
	recursiveWatch
	watchKinds
)

// watches is those of one connection.
type watches [watchKinds]map[string]bool

func (w *watches) add(k watchKind, path string) {
	if w[k] == nil {
		w[k] = make(map[string]bool)
	}
	w[k][path] = true
}

// match says whether the event concerns the connection, and removes one-shot watches that it uses up.
func (w *watches) match(t zk.EventType, path string) bool {
	hit := w[persistentWatch][path]
	if t != zk.EventNodeChildrenChanged {
		hit = hit || w[dataWatch][path]
		delete(w[dataWatch], path)
		for p := path; len(w[recursiveWatch]) > 0; p = zk.Parent(p) {
			hit = hit || w[recursiveWatch][p]
			if p == "/" {
				break
			}
		}
	}
	if t == zk.EventNodeChildrenChanged || t == zk.EventNodeDeleted {
		hit = hit || w[childWatch][path]
		delete(w[childWatch], path)
	}
	return hit
}

// fire sends an event to those who watch, now or when the multi around it has succeeded.
func (s *Server) fire(t zk.EventType, path string) {
	zxid := s.zxid
	send := func() {
		for c := range s.conns {
			if c.watches.match(t, path) {
				c.event(t, path, zxid)
			}
		}
	}
	if s.tree.held != nil {
		*s.tree.held = append(*s.tree.held, send)
		return
	}
	send()
}

func (c *conn) event(t zk.EventType, path string, zxid int64) {
	c.send(wire.AppendEventFrame(nil, zxid, &wire.WatcherEvent{Type: t, State: zk.StateSyncConnected, Path: path}))
}

func (c *conn) watchOp(op zk.OpCode, d *wire.Decoder) ([]byte, zk.Code) {
	switch op {
	case zk.OpAddWatch:
		var r wire.AddWatchRequest
		r.Decode(d)
		c.watches.add(persistentWatch+watchKind(r.Mode), r.Path)
		return (&wire.ErrorResponse{}).Append(nil), zk.OK
	case zk.OpSetWatches:
		var r wire.SetWatches2
		r.SetWatches.Decode(d)
		c.rearm(&r)
		return nil, zk.OK
	case zk.OpSetWatches2:
		var r wire.SetWatches2
		r.Decode(d)
		c.rearm(&r)
		return nil, zk.OK
	}
	path, t := d.String(), zk.WatcherType(d.Int32())
	kinds := map[zk.WatcherType][]watchKind{
		zk.WatcherChildren:            {childWatch},
		zk.WatcherData:                {dataWatch},
		zk.WatcherAny:                 {dataWatch, childWatch, persistentWatch, recursiveWatch},
		zk.WatcherPersistent:          {persistentWatch},
		zk.WatcherPersistentRecursive: {recursiveWatch},
	}[t]
	code := zk.ErrNoWatcher
	for _, k := range kinds {
		if c.watches[k][path] {
			code = zk.OK
			if op == zk.OpRemoveWatches {
				delete(c.watches[k], path)
			}
		}
	}
	return nil, code
}

// rearm is DataTree.setWatches.
func (c *conn) rearm(r *wire.SetWatches2) {
	nodes := c.s.tree.nodes
	for _, p := range r.DataWatches {
		switch n := nodes[p]; {
		case n == nil:
			c.event(zk.EventNodeDeleted, p, -1)
		case n.stat.Mzxid > r.RelativeZxid:
			c.event(zk.EventNodeDataChanged, p, -1)
		default:
			c.watches.add(dataWatch, p)
		}
	}
	for _, p := range r.ExistWatches {
		if nodes[p] != nil {
			c.event(zk.EventNodeCreated, p, -1)
		} else {
			c.watches.add(dataWatch, p)
		}
	}
	for _, p := range r.ChildWatches {
		switch n := nodes[p]; {
		case n == nil:
			c.event(zk.EventNodeDeleted, p, -1)
		case n.stat.Pzxid > r.RelativeZxid:
			c.event(zk.EventNodeChildrenChanged, p, -1)
		default:
			c.watches.add(childWatch, p)
		}
	}
	for _, p := range r.PersistentWatches {
		c.watches.add(persistentWatch, p)
	}
	for _, p := range r.PersistentRecursiveWatches {
		c.watches.add(recursiveWatch, p)
	}
}
