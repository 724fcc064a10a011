package server

import (
	"errors"

	"gopherwood/internal/tree"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// encoder turns write requests into commands. It is pooled: a burst takes one.
type encoder struct {
	cmd    tree.Command
	buf    []byte
	create wire.CreateTTLRequest
	setACL wire.SetACLRequest
	multi  wire.MultiRequest
}

var (
	errWritesOnly = errors.New("a multi with reads in it")
	errReadsOnly  = errors.New("a multiRead with writes in it")
	errTooManyOps = errors.New("a multi with too many members")
)

// command is the bytes of the command that a request asks for; they last until the next call.
func (e *encoder) command(c *conn, op zk.OpCode, body []byte) ([]byte, error) {
	cmd := &e.cmd
	*cmd = tree.Command{Kind: tree.KindWrite, Session: c.session, Local: c.local, Auth: c.auth, Ops: cmd.Ops[:0], EnforceQuota: c.srv.cfg.EnforceQuota}
	if cap(e.buf) > pooledBytes {
		e.buf = nil
	}
	d := wire.NewDecoder(body)
	switch op {
	case zk.OpCloseSession:
		cmd.Kind = tree.KindCloseSession
	case zk.OpMulti:
		cmd.Kind = tree.KindMulti
		if err := e.members(&d); err != nil {
			return nil, err
		}
	default:
		e.one(&d, op)
	}
	for i := range cmd.Ops {
		c.srv.cfg.Security.admit(cmd.Ops[i].ACL)
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	e.buf = cmd.Append(e.buf[:0])
	return e.buf, nil
}

// one decodes a single write.
func (e *encoder) one(d *wire.Decoder, op zk.OpCode) {
	o := tree.Op{Code: op}
	switch op {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		r := &e.create
		r.Path, r.Data, r.ACL, r.Flags = d.String(), d.Buffer(), d.ACLs(r.ACL), zk.CreateMode(d.Int32())
		if op == zk.OpCreateTTL {
			o.TTL = d.Int64()
		}
		o.Path, o.Data, o.ACL, o.Mode = r.Path, r.Data, r.ACL, r.Flags
	case zk.OpDelete:
		o.Path, o.Version = d.String(), d.Int32()
	case zk.OpSetData:
		o.Path, o.Data, o.Version = d.String(), d.Buffer(), d.Int32()
	case zk.OpSetACL:
		e.setACL.Decode(d)
		o.Path, o.ACL, o.Version = e.setACL.Path, e.setACL.ACL, e.setACL.Version
	}
	e.cmd.Ops = append(e.cmd.Ops, o)
}

// members decodes a multi.
func (e *encoder) members(d *wire.Decoder) error {
	e.multi.Decode(d)
	if len(e.multi.Ops) > tree.MaxOps {
		return errTooManyOps
	}
	for i := range e.multi.Ops {
		m := &e.multi.Ops[i]
		if m.IsRead() {
			return errWritesOnly
		}
		o := tree.Op{Code: m.Type, Path: m.Path, Data: m.Data, ACL: m.ACL, Mode: m.Flags, TTL: m.TTL, Version: m.Version}
		if isCreate(m.Type) && m.ACL == nil {
			o.Mode = unreadable
		}
		e.cmd.Ops = append(e.cmd.Ops, o)
	}
	return nil
}

// unreadable is a mode that there is not. A member that ZooKeeper cannot read makes it answer a multi with MARSHALLINGERROR, under a zxid; the
// tree does so for such a mode, and cannot tell no list of ACLs from an empty one.
const unreadable zk.CreateMode = -1

// isCreate says whether a multi's member goes through CreateOptions, which wants a list of ACLs.
func isCreate(op zk.OpCode) bool {
	return op == zk.OpCreate || op == zk.OpCreate2 || op == zk.OpCreateContainer
}

// answerWrite appends the reply to a write that was applied. false: there is none, and the connection is killed.
func (c *conn) answerWrite(r *request, res *tree.Result) bool {
	if res.Code == zk.ErrSessionMoved {
		// Another server has the session, so its client must not be misled by an answer from here (FinalRequestProcessor).
		c.killLocked(reasonMoved)
		return false
	}
	out := c.outLocked()
	before := len(out.b)
	h := wire.ReplyHeader{Xid: r.xid, Zxid: res.Zxid, Err: res.Code}
	if res.Code == zk.OK {
		b, mark := wire.BeginFrame(out.b)
		out.b = endFrame(appendResult(h.Append(b), r.op, res), mark)
	} else {
		out.b = wire.AppendHeaderFrame(out.b, &h)
	}
	c.srv.loop.reply.add(int64(len(out.b) - before))
	switch {
	case r.op == zk.OpCloseSession: // its reader reads no further, and waits for the reply to be sent
		c.closing = true
	case res.Code == zk.ErrSessionExpired:
		c.closeLocked()
	}
	return true
}

// appendResult appends the record of a write that succeeded.
func appendResult(b []byte, op zk.OpCode, res *tree.Result) []byte {
	switch op {
	case zk.OpCreate:
		return wire.AppendString(b, res.Path)
	case zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		return wire.AppendStat(wire.AppendString(b, res.Path), &res.Stat)
	case zk.OpSetData, zk.OpSetACL:
		return wire.AppendStat(b, &res.Stat)
	case zk.OpMulti:
		for i := range res.Ops {
			o := &res.Ops[i]
			m := wire.MultiResult{Type: o.Type, Err: o.Code, Path: o.Path, Stat: o.Stat}
			b = m.Append(b)
		}
		return wire.AppendMultiEnd(b)
	}
	return b
}
