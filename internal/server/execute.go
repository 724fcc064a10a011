package server

import (
	"gopherwood/internal/watch"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// execute appends the reply to a read. The caller holds the tree's lock, for reading or writing, and the connection's mu. Because the
// reply is appended, and the watch left, before the lock is let go, an event is never queued before the reply that left
// its watch, nor after a read that shows what it tells of.
func (c *conn) execute(b []byte, op zk.OpCode, xid int32, body []byte, auth []zk.ID) []byte {
	h := wire.ReplyHeader{Xid: xid, Zxid: c.srv.tree.LastZxid()}
	if op == zk.OpSetWatches || op == zk.OpSetWatches2 { // what was missed comes before the reply
		b, h.Err = c.setWatches(b, op, body)
		return wire.AppendHeaderFrame(b, &h)
	}
	b, mark := wire.BeginFrame(b)
	b, h.Err = c.result(h.Append(b), op, body, auth)
	if len(b)-mark > c.srv.cfg.MaxReplyBytes {
		c.killLocked("it asked for a reply that is too long")
		return b[:mark]
	}
	if h.Err != zk.OK {
		return wire.AppendHeaderFrame(b[:mark], &h)
	}
	return endFrame(b, mark)
}

// result appends a read's record, or says why there is none.
func (c *conn) result(b []byte, op zk.OpCode, body []byte, auth []zk.ID) ([]byte, zk.Code) {
	d := wire.NewDecoder(body)
	switch op {
	case zk.OpPing:
		return b, zk.OK
	case zk.OpWhoAmI:
		return appendWhoAmI(b, auth), zk.OK
	case zk.OpGetData, zk.OpExists, zk.OpGetChildren, zk.OpGetChildren2:
		path, left := d.String(), d.Bool()
		if d.Err() != nil {
			return b, c.malformedLocked(op, d.Err())
		}
		return c.look(b, op, path, left, auth)
	case zk.OpGetACL, zk.OpGetAllChildrenNumber, zk.OpGetEphemerals:
		path := d.String()
		if d.Err() != nil {
			return b, c.malformedLocked(op, d.Err())
		}
		return c.ask(b, op, path, auth)
	case zk.OpMultiRead:
		return c.multiRead(b, &d, auth)
	}
	return c.watches(b, op, &d)
}

// look executes the reads that can leave a watch.
func (c *conn) look(b []byte, op zk.OpCode, path string, leave bool, auth []zk.ID) ([]byte, zk.Code) {
	t := c.srv.tree
	if path == "" { // ZooKeeper's tree has the root under both names
		path = zk.Root
	}
	var code zk.Code
	kind := watch.Data
	switch op {
	case zk.OpGetData:
		var data []byte
		var stat zk.Stat
		if data, stat, code = t.Get(path, auth); code == zk.OK {
			b = wire.AppendStat(wire.AppendBuffer(b, data), &stat)
		}
	case zk.OpExists:
		var stat zk.Stat
		if stat, code = t.Exists(path, auth); code == zk.OK {
			b = wire.AppendStat(b, &stat)
		} else if code == zk.ErrNoNode && leave {
			c.leave(path, watch.Data)
		}
	default:
		kind = watch.Child
		var stat zk.Stat
		if b, stat, code = c.children(b, path, auth); code == zk.OK && op == zk.OpGetChildren2 {
			b = wire.AppendStat(b, &stat)
		}
	}
	if code == zk.OK && leave {
		c.leave(path, kind)
	}
	return b, code
}

// children appends the vector of a node's children. One that is too long is cut off, for execute to notice.
func (c *conn) children(b []byte, path string, auth []zk.ID) ([]byte, zk.Stat, zk.Code) {
	b, mark := wire.BeginVector(b)
	n := 0
	stat, code := c.srv.tree.Children(path, auth, func(name []byte) bool {
		b = wire.AppendStringBytes(b, name)
		n++
		return len(b)-mark <= c.srv.cfg.MaxReplyBytes
	})
	wire.EndVector(b, mark, n)
	return b, stat, code
}

// ask executes the reads that have a path and nothing else.
func (c *conn) ask(b []byte, op zk.OpCode, path string, auth []zk.ID) ([]byte, zk.Code) {
	t := c.srv.tree
	switch op {
	case zk.OpGetACL:
		acl, stat, code := t.ACL(path, auth)
		if code != zk.OK {
			return b, code
		}
		return wire.AppendStat(wire.AppendACLs(b, acl), &stat), zk.OK
	case zk.OpGetAllChildrenNumber:
		n, code := t.AllChildrenNumber(path, auth)
		return wire.AppendInt32(b, n), code
	}
	b, mark := wire.BeginVector(b)
	n := 0
	t.Ephemerals(c.session, path, func(p string) bool {
		b = wire.AppendString(b, p)
		n++
		return len(b)-mark <= c.srv.cfg.MaxReplyBytes
	})
	wire.EndVector(b, mark, n)
	return b, zk.OK
}

// multiRead answers each member by itself.
func (c *conn) multiRead(b []byte, d *wire.Decoder, auth []zk.ID) ([]byte, zk.Code) {
	r := c.srv.multiReads.Get().(*wire.MultiRequest)
	defer c.srv.multiReads.Put(r)
	r.Decode(d)
	if d.Err() != nil {
		return b, c.malformedLocked(zk.OpMultiRead, d.Err())
	}
	start := len(b)
	for i := range r.Ops {
		o := &r.Ops[i]
		if !o.IsRead() {
			return b, c.malformedLocked(zk.OpMultiRead, errReadsOnly)
		}
		mark := len(b)
		var code zk.Code
		h := wire.MultiHeader{Type: o.Type}
		if b, code = c.look(h.Append(b), o.Type, o.Path, false, auth); code != zk.OK {
			m := wire.MultiResult{Type: zk.OpError, Err: code}
			b = m.Append(b[:mark])
		}
		if len(b)-start > c.srv.cfg.MaxReplyBytes {
			return b, zk.OK
		}
	}
	return wire.AppendMultiEnd(b), zk.OK
}

// appendWhoAmI appends the connection's identities, digests without their hash (AuthUtil.getClientInfos).
func appendWhoAmI(b []byte, auth []zk.ID) []byte {
	r := wire.WhoAmIResponse{ClientInfo: make([]wire.ClientInfo, 0, len(auth))}
	for _, id := range auth {
		if id.Scheme == schemeAnySASL {
			continue // says nothing about who it is
		}
		r.ClientInfo = append(r.ClientInfo, wire.ClientInfo{AuthScheme: id.Scheme, User: userOf(id)})
	}
	return r.Append(b)
}

// malformedLocked is what a record is answered that is none of its operation's. The connection ends after it.
func (c *conn) malformedLocked(op zk.OpCode, err error) zk.Code {
	c.srv.noisy.warn("closed a client's connection: it sent a malformed request", "client", c, "type", int32(op), "error", err)
	c.closeLocked()
	return zk.ErrMarshalling
}
