package tree

import "gopherwood/zk"

// undo is what takes one operation back, as long as the ones after it were taken back first.
type undo struct {
	op       zk.OpCode
	id       uint32
	tag      uint32 // of a node created or deleted
	cversion int32  // its parent's
	pzxid    int64  // its parent's
	before   record // of a node set
}

// applyMulti carries out all members under one zxid, or none (PrepRequestProcessor, DataTree.processTxn).
func (t *Tree) applyMulti(x *txn, c *Command) {
	if x.r.Code = t.checkSession(x); x.r.Code != zk.OK {
		return
	}
	t.begin(x)
	if len(c.Ops) > MaxOps {
		x.r.Code = zk.ErrBadArguments
		return
	}
	if !isReadable(c.Ops) {
		x.r.Code = zk.ErrMarshalling
		return
	}
	before := t.sum
	for i := range c.Ops {
		op := member(&c.Ops[i])
		o := t.do(x, &op)
		if o.Code != zk.OK {
			t.rollback(before)
			x.refuse(i, len(c.Ops), o.Code)
			return
		}
		o.Type = resultType(op.Code)
		x.r.Ops = append(x.r.Ops, o)
	}
	t.commit()
}

// isReadable says whether ZooKeeper can read the members: it cannot if one creates a node with a mode that there is not, or that
// wants a TTL in a record that has none (MultiOperationRecord.deserialize, CreateOptions).
func isReadable(ops []Op) bool {
	for i := range ops {
		switch o := &ops[i]; o.Code {
		case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer:
			if !o.Mode.IsValid() || o.Mode.IsTTL() {
				return false
			}
		}
	}
	return true
}

// member is an operation as a multi means it: there the mode decides about containers and TTL nodes (Op.Create.getOpcode), and
// setACL is not known.
func member(op *Op) Op {
	o := *op
	switch o.Code {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		if o.Mode == zk.ModeContainer {
			o.Code = zk.OpCreateContainer
		} else if o.Code == zk.OpCreateTTL && !o.Mode.IsTTL() {
			o.Code = zk.OpCreate
		}
	case zk.OpDelete, zk.OpSetData, zk.OpCheck:
	default:
		o.Code = zk.OpError
	}
	return o
}

// resultType is the header under which a member's result is sent: every create with a Stat as create2 (FinalRequestProcessor of ZooKeeper 3.9,
// OpResult.CreateResult; 3.8 answered create2 itself as a plain create).
func resultType(op zk.OpCode) zk.OpCode {
	if op == zk.OpCreateContainer || op == zk.OpCreateTTL {
		return zk.OpCreate2
	}
	return op
}

// refuse makes the result that of a multi whose member at culprit failed.
func (x *txn) refuse(culprit, n int, code zk.Code) {
	x.r.Ops, x.r.Events = x.r.Ops[:0], x.r.Events[:0]
	for i := range n {
		o := OpResult{Type: zk.OpError}
		switch {
		case i == culprit:
			o.Code = code
		case i > culprit:
			o.Code = zk.ErrRuntimeInconsistency
		}
		x.r.Ops = append(x.r.Ops, o)
	}
}

// commit makes what was done since the last commit final, and frees what it replaced.
func (t *Tree) commit() {
	for i := range t.undo {
		u := &t.undo[i]
		switch u.op {
		case zk.OpDelete:
			r := *t.nodes.at(u.id)
			t.acls.drop(r.acl)
			if k := r.kind(); k == container || k == ttl {
				t.dropReap(u.id)
			}
			t.releaseBlob(u.id, r.blob())
			t.freeRecord(u.id)
		case zk.OpSetData:
			t.releaseBlob(u.id, u.before.blob())
		case zk.OpSetACL:
			t.acls.drop(u.before.acl)
		}
	}
	t.forget()
}

// forget empties the list of what can be undone.
func (t *Tree) forget() {
	t.undo = t.undo[:0]
	if cap(t.undo) > maxScratch {
		t.undo = nil
	}
}

// rollback takes everything since the last commit back. (setACL is not for multis.)
func (t *Tree) rollback(before totals) {
	for i := len(t.undo) - 1; i >= 0; i-- {
		u := &t.undo[i]
		switch u.op {
		case zk.OpCreate:
			t.undoCreate(u)
		case zk.OpDelete:
			t.undoDelete(u)
		case zk.OpSetData:
			r := t.nodes.edit(u.id)
			t.blobs.release(r.blob())
			*r = u.before
		}
	}
	t.forget()
	t.sum = before
}

func (t *Tree) undoCreate(u *undo) {
	r := *t.nodes.at(u.id)
	switch r.kind() {
	case ephemeral:
		t.sessions.disown(t, u.id)
	case container, ttl:
		t.dropReap(u.id)
	}
	t.quotaUndone(&r, 0)
	t.index.remove(u.tag, u.id)
	t.unlink(u.id)
	t.acls.drop(r.acl)
	t.blobs.release(r.blob())
	t.freeRecord(u.id)
	t.undoParent(r.parent, u)
}

func (t *Tree) undoDelete(u *undo) {
	r := t.nodes.at(u.id)
	if r.kind() == ephemeral {
		t.sessions.reown(t, u.id)
	}
	t.index.insert(u.tag, u.id)
	t.relink(u.id)
	t.quotaUndone(t.nodes.at(u.id), u.id)
	t.undoParent(t.nodes.at(u.id).parent, u)
}

func (t *Tree) undoParent(id uint32, u *undo) {
	p := t.nodes.edit(id)
	p.cversion, p.pzxid = u.cversion, u.pzxid
}
