package fakezk

import (
	"slices"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// serve answers one request. It says whether the connection goes on.
func (c *conn) serve(frame []byte) bool {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	d := wire.NewDecoder(frame)
	var h wire.RequestHeader
	h.Decode(&d)
	if d.Err() != nil || c.session == nil || s.sessions[c.session.id] != c.session {
		return false
	}
	if s.mute {
		return true
	}
	if h.Type == zk.OpPing {
		c.sendFrame(&wire.ReplyHeader{Xid: zk.XidPing, Zxid: s.zxid})
		return true
	}
	peek := d
	r := Request{Server: c.address, Session: c.session.id, Op: h.Type}
	switch h.Type {
	case zk.OpWhoAmI, zk.OpCloseSession, zk.OpMulti, zk.OpMultiRead, zk.OpSetWatches, zk.OpSetWatches2, zk.OpAuth:
	default:
		r.Path = peek.String()
	}
	if !s.forget {
		s.log = append(s.log, r)
	}
	var v Verdict
	if s.hook != nil {
		v = s.hook(r)
	}
	if v.Fate == DropBefore {
		return false
	}
	var body []byte
	code := v.Code
	if code == zk.OK {
		body, code = c.carryOut(&h, &d)
	}
	reply := wire.ReplyHeader{Xid: h.Xid, Zxid: s.zxid, Err: code}
	switch v.Fate {
	case DropAfter:
		return false
	case Silent:
		return true
	case DropAnswered:
		c.drop = true
	}
	if code != zk.OK {
		body = nil
	}
	c.sendFrame(&reply, raw(body))
	if h.Type == zk.OpCloseSession || code == zk.ErrAuthFailed || code == zk.ErrUnimplemented {
		c.drop = true
	}
	return true
}

type raw []byte

func (r raw) Append(b []byte) []byte { return append(b, r...) }

// carryOut does what a request asks and returns the reply's body.
func (c *conn) carryOut(h *wire.RequestHeader, d *wire.Decoder) ([]byte, zk.Code) {
	switch h.Type {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL, zk.OpDelete, zk.OpSetData, zk.OpSetACL:
		return c.single(h.Type, d)
	case zk.OpMulti:
		return c.multi(d)
	case zk.OpMultiRead:
		return c.multiRead(d)
	case zk.OpSetWatches, zk.OpSetWatches2, zk.OpAddWatch, zk.OpCheckWatches, zk.OpRemoveWatches:
		return c.watchOp(h.Type, d)
	case zk.OpAuth:
		var a wire.AuthPacket
		a.Decode(d)
		if a.Scheme != "digest" {
			return nil, zk.ErrAuthFailed
		}
		c.ids = append(c.ids, zk.ID{Scheme: a.Scheme, ID: string(a.Auth)})
		return nil, zk.OK
	case zk.OpWhoAmI:
		var w wire.WhoAmIResponse
		for _, id := range c.ids {
			w.ClientInfo = append(w.ClientInfo, wire.ClientInfo{AuthScheme: id.Scheme, User: id.ID})
		}
		return w.Append(nil), zk.OK
	case zk.OpCloseSession:
		c.s.zxid++
		c.s.endSession(c.session)
		return nil, zk.OK
	case zk.OpSync:
		return wire.AppendString(nil, d.String()), zk.OK
	case zk.OpGetEphemerals:
		paths := c.s.tree.below(d.String(), func(n *node) bool { return n.stat.EphemeralOwner == c.session.id })
		return wire.AppendStrings(nil, paths), zk.OK
	}
	return c.readOp(h.Type, d)
}

func (c *conn) readOp(op zk.OpCode, d *wire.Decoder) ([]byte, zk.Code) {
	path := d.String()
	watch := false
	switch op {
	case zk.OpGetData, zk.OpExists, zk.OpGetChildren, zk.OpGetChildren2:
		watch = d.Bool()
	case zk.OpGetACL, zk.OpGetAllChildrenNumber:
	default:
		return nil, zk.ErrUnimplemented
	}
	n := c.s.tree.nodes[path]
	if watch && (n != nil || op == zk.OpExists) {
		if op == zk.OpGetChildren || op == zk.OpGetChildren2 {
			c.watches.add(childWatch, path)
		} else {
			c.watches.add(dataWatch, path)
		}
	}
	if n == nil {
		return nil, zk.ErrNoNode
	}
	switch op {
	case zk.OpGetData:
		return (&wire.GetDataResponse{Data: n.data, Stat: n.stat}).Append(nil), zk.OK
	case zk.OpExists:
		return wire.AppendStat(nil, &n.stat), zk.OK
	case zk.OpGetChildren:
		return wire.AppendStrings(nil, c.s.tree.children(path)), zk.OK
	case zk.OpGetChildren2:
		return (&wire.GetChildren2Response{Children: c.s.tree.children(path), Stat: n.stat}).Append(nil), zk.OK
	case zk.OpGetACL:
		return (&wire.GetACLResponse{ACL: n.acl, Stat: n.stat}).Append(nil), zk.OK
	}
	all := c.s.tree.below(path, func(*node) bool { return true })
	return wire.AppendInt32(nil, int32(len(all)-1)), zk.OK
}

// single carries out one write outside a multi.
func (c *conn) single(op zk.OpCode, d *wire.Decoder) ([]byte, zk.Code) {
	c.s.zxid++
	o := wire.Op{Type: op, Path: d.String()}
	switch op {
	case zk.OpDelete:
		o.Version = d.Int32()
	case zk.OpSetData:
		o.Data, o.Version = d.Buffer(), d.Int32()
	case zk.OpSetACL:
		o.ACL, o.Version = d.ACLs(nil), d.Int32()
	default:
		o.Data, o.ACL, o.Flags = d.Buffer(), d.ACLs(nil), zk.CreateMode(d.Int32())
		if op == zk.OpCreateTTL {
			o.TTL = d.Int64()
		}
	}
	if d.Err() != nil {
		return nil, zk.ErrMarshalling
	}
	r, code := c.s.write(c.session, &o)
	switch {
	case code != zk.OK || op == zk.OpDelete:
		return nil, code
	case op == zk.OpSetData || op == zk.OpSetACL:
		return wire.AppendStat(nil, &r.Stat), zk.OK
	case op == zk.OpCreate:
		return wire.AppendString(nil, r.Path), zk.OK
	}
	return wire.AppendStat(wire.AppendString(nil, r.Path), &r.Stat), zk.OK
}

func (c *conn) multi(d *wire.Decoder) ([]byte, zk.Code) {
	var req wire.MultiRequest
	req.Decode(d)
	c.s.zxid++
	before := c.s.tree.clone()
	var resp wire.MultiResponse
	var held []func()
	c.s.tree.held = &held // events wait for the outcome
	defer func() { c.s.tree.held = nil }()
	for i := range req.Ops {
		r, code := c.s.write(c.session, &req.Ops[i])
		if code != zk.OK {
			c.s.tree = before
			resp.Results = resp.Results[:0]
			for j := range req.Ops {
				m := wire.MultiResult{Type: zk.OpError}
				if j == i {
					m.Err = code
				} else if j > i {
					m.Err = zk.ErrRuntimeInconsistency
				}
				resp.Results = append(resp.Results, m)
			}
			return resp.Append(nil), zk.OK
		}
		resp.Results = append(resp.Results, r)
	}
	for _, f := range held {
		f()
	}
	return resp.Append(nil), zk.OK
}

func (c *conn) multiRead(d *wire.Decoder) ([]byte, zk.Code) {
	var req wire.MultiRequest
	req.Decode(d)
	var resp wire.MultiResponse
	for _, o := range req.Ops {
		n := c.s.tree.nodes[o.Path]
		m := wire.MultiResult{Type: o.Type}
		switch {
		case n == nil:
			m = wire.MultiResult{Type: zk.OpError, Err: zk.ErrNoNode}
		case o.Type == zk.OpGetData:
			m.Data, m.Stat = n.data, n.stat
		default:
			m.Children = c.s.tree.children(o.Path)
		}
		resp.Results = append(resp.Results, m)
	}
	return resp.Append(nil), zk.OK
}

func (s *Server) endSession(ss *session) {
	delete(s.sessions, ss.id)
	for _, path := range slices.Backward(s.tree.below("/", func(n *node) bool { return n.stat.EphemeralOwner == ss.id })) {
		s.write(nil, &wire.Op{Type: zk.OpDelete, Path: path, Version: -1})
	}
}
