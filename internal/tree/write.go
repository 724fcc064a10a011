package tree

import (
	"bytes"
	"strings"
	"unsafe"

	"gopherwood/internal/planted"
	"gopherwood/zk"
)

// applyWrite is one write of a session. It takes a zxid even if it fails.
func (t *Tree) applyWrite(x *txn, c *Command) {
	if x.r.Code = t.checkSession(x); x.r.Code != zk.OK {
		return
	}
	t.begin(x)
	if len(c.Ops) != 1 {
		x.r.Code = zk.ErrBadArguments
		return
	}
	o := t.do(x, &c.Ops[0])
	x.r.Code, x.r.Path, x.r.Stat = o.Code, o.Path, o.Stat
	t.commit()
}

// checkSession says whether the command's session may write from where it does.
func (t *Tree) checkSession(x *txn) zk.Code {
	if x.local {
		return zk.OK
	}
	return t.sessions.check(x.session, x.env.Origin)
}

// do carries out one operation, or changes nothing and gives its code. What it did can be taken back until commit.
func (t *Tree) do(x *txn, op *Op) OpResult {
	switch op.Code {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		return t.create(x, op)
	case zk.OpDelete:
		return t.delete(x, op)
	case zk.OpSetData:
		return t.setData(x, op)
	case zk.OpSetACL:
		return t.setACL(x, op)
	case zk.OpCheck:
		return t.check(x, op)
	}
	return OpResult{Code: zk.ErrUnimplemented}
}

func failed(c zk.Code) OpResult { return OpResult{Code: c} }

// split cuts a path at its last slash, as PrepRequestProcessor does before anything is known to be valid. The parent of "/a"
// is "". ok is false without a slash or with a NUL.
func split(path string) (parent, name string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 || strings.IndexByte(path, 0) >= 0 {
		return "", "", false
	}
	return path[:i], path[i+1:], true
}

// orRoot is the path that clients know a parent by.
func orRoot(parent string) string {
	if parent == "" {
		return zk.Root
	}
	return parent
}

func isValidPath(path string) bool {
	return len(path) <= MaxPathBytes && strings.Count(path, "/") <= MaxDepth && zk.ValidatePath(path) == nil
}

// createKind is what a create makes: the operation decides, and only of a plain create the mode (PrepRequestProcessor,
// pRequest2TxnCreate). ok is false for a mode or TTL that do not fit (EphemeralType.validateTTL).
func createKind(op *Op) (k kind, ok bool) {
	if !op.Mode.IsValid() || op.Mode.IsTTL() != (op.Code == zk.OpCreateTTL) {
		return 0, false
	}
	switch {
	case op.Code == zk.OpCreateTTL:
		return ttl, op.TTL > 0 && op.TTL <= zk.MaxTTL
	case op.Code == zk.OpCreateContainer:
		return container, true
	case op.Mode.IsEphemeral():
		return ephemeral, true
	}
	return persistent, true
}

// create checks in ZooKeeper's order: mode, ACL, parent, permission, path, existence, ephemeral parent, quota.
func (t *Tree) create(x *txn, op *Op) OpResult {
	k, ok := createKind(op)
	if !ok {
		return failed(zk.ErrBadArguments)
	}
	if x.local && op.Mode.IsEphemeral() {
		return failed(zk.ErrEphemeralOnLocalSession)
	}
	path := op.Path
	parentPath, name, ok := split(path)
	if !ok || len(op.Data) > MaxDataBytes {
		return failed(zk.ErrBadArguments)
	}
	acl, ok := t.fixACL(op.ACL, x.auth)
	if !ok {
		return failed(zk.ErrInvalidACL)
	}
	parent := t.find(parentPath)
	if parent == 0 {
		return failed(zk.ErrNoNode)
	}
	p := t.nodes.at(parent)
	if !t.allowed(p.acl, zk.PermCreate, x.auth) {
		return failed(zk.ErrNoAuth)
	}
	if op.Mode.IsSequential() {
		n := p.cversion
		if planted.SequenceByCount.On() {
			n = p.numChildren()
		}
		path = x.sequential(path, n)
		name = path[len(parentPath)+1:]
	}
	if !isValidPath(path) {
		return failed(zk.ErrBadArguments)
	}
	if path == zk.Root {
		return failed(zk.ErrNodeExists)
	}
	tag := t.hash.tag(path)
	if t.findTag(path, tag) != 0 {
		return failed(zk.ErrNodeExists)
	}
	if p.kind() == ephemeral {
		return failed(zk.ErrNoChildrenForEphemerals)
	}
	if code := t.checkQuota(x, path, 1, int64(len(op.Data))); code != zk.OK {
		return failed(code)
	}
	aclID := t.acls.intern(acl)
	id := t.insert(x, newNode{path: path, name: name, parentPath: parentPath, tag: tag, parent: parent, kind: k, ttl: op.TTL, data: op.Data, acl: aclID})
	stat := t.nodes.at(id).stat() // before the data of a stats node become the tree's own, as in ZooKeeper
	t.created(path, parentPath, name, id, len(op.Data))
	x.event(zk.EventNodeCreated, path, aclID)
	x.event(zk.EventNodeChildrenChanged, orRoot(parentPath), t.nodes.at(parent).acl)
	return OpResult{Path: path, Stat: stat}
}

// sequential is path with the number appended, in the result's memory.
func (x *txn) sequential(path string, n int32) string {
	start := len(x.r.paths)
	x.r.paths = zk.AppendSequence(append(x.r.paths, path...), n)
	return alias(x.r.paths[start:])
}

// alias is b as a string without a copy.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// newNode is what insert needs to know.
type newNode struct {
	path, name, parentPath string
	tag                    uint32
	parent                 uint32
	kind                   kind
	ttl                    int64
	data                   []byte
	acl                    uint32
}

// insert makes a node and moves its parent's counters (DataTree.createNode).
func (t *Tree) insert(x *txn, n newNode) uint32 {
	id := t.newRecord()
	pp := pathDigest(n.parentPath)
	p := t.nodes.edit(n.parent)
	t.undo = append(t.undo, undo{op: zk.OpCreate, id: id, tag: n.tag, cversion: p.cversion, pzxid: p.pzxid})
	t.sum.digest -= tailDigest(pp, p)
	p.cversion++
	p.pzxid = x.zxid
	t.sum.digest += tailDigest(pp, p)

	r := t.nodes.edit(id)
	*r = record{czxid: x.zxid, mzxid: x.zxid, pzxid: x.zxid, ctime: x.env.TimeMs, mtime: x.env.TimeMs, acl: n.acl}
	t.acls.hold(n.acl)
	t.putBlob(r, n.name, n.data)
	r.setKind(n.kind)
	t.link(id, n.parent)
	t.index.insert(n.tag, id)
	switch n.kind {
	case ephemeral:
		t.sum.ephemerals++
		t.sessions.own(t, x.session, id)
	case container, ttl:
		t.addReap(id, n.ttl)
	}
	t.sum.count++
	t.sum.size += int64(len(n.path) + len(n.data))
	d := pathDigest(n.path)
	r = t.nodes.at(id)
	t.sum.digest += t.nodeBody(d, r) + tailDigest(d, r) + t.nodeGuard(d, r)
	return id
}

// delete checks in ZooKeeper's order: path, parent, permission, existence, version, children.
func (t *Tree) delete(x *txn, op *Op) OpResult {
	parentPath, _, ok := split(op.Path)
	if !ok || isSpecial(op.Path) {
		return failed(zk.ErrBadArguments)
	}
	parent := t.find(parentPath)
	if parent == 0 {
		return failed(zk.ErrNoNode)
	}
	if !t.allowed(t.nodes.at(parent).acl, zk.PermDelete, x.auth) {
		return failed(zk.ErrNoAuth)
	}
	tag := t.hash.tag(op.Path)
	id := t.findTag(op.Path, tag)
	if id == 0 {
		return failed(zk.ErrNoNode)
	}
	r := t.nodes.at(id)
	if op.Version != -1 && op.Version != r.version {
		return failed(zk.ErrBadVersion)
	}
	if r.numChildren() > 0 {
		return failed(zk.ErrNotEmpty)
	}
	t.remove(x, op.Path, parentPath, tag, id)
	return OpResult{}
}

// remove deletes a node without children and reports it (DataTree.deleteNode). Record and blob stay until commit.
func (t *Tree) remove(x *txn, path, parentPath string, tag, id uint32) {
	r := *t.nodes.at(id)
	d, pp := pathDigest(path), pathDigest(parentPath)
	p := t.nodes.edit(r.parent)
	t.undo = append(t.undo, undo{op: zk.OpDelete, id: id, tag: tag, cversion: p.cversion, pzxid: p.pzxid})
	t.sum.digest -= t.nodeBody(d, &r) + tailDigest(d, &r) + t.nodeGuard(d, &r) + tailDigest(pp, p)
	p.pzxid = x.zxid
	t.sum.digest += tailDigest(pp, p)
	parentACL := p.acl
	t.unlink(id)
	t.index.remove(tag, id)
	if r.kind() == ephemeral {
		t.sum.ephemerals--
		t.sessions.disown(t, id)
	}
	t.sum.count--
	t.sum.size -= int64(len(path) + max(int(r.dataLen), 0))
	t.quotaGone(parentPath, path[len(parentPath)+1:])
	t.charge(path, -1, -int64(max(r.dataLen, 0)))
	x.event(zk.EventNodeDeleted, path, r.acl)
	x.event(zk.EventNodeChildrenChanged, orRoot(parentPath), parentACL)
}

// setData checks in ZooKeeper's order: path, existence, permission, quota, version.
func (t *Tree) setData(x *txn, op *Op) OpResult {
	id, code := t.target(x, op, zk.PermWrite)
	if code != zk.OK {
		return failed(code)
	}
	if len(op.Data) > MaxDataBytes {
		return failed(zk.ErrBadArguments)
	}
	grown := dataGrowth(t.nodes.at(id), op.Data)
	if code := t.checkQuota(x, op.Path, 0, grown); code != zk.OK {
		return failed(code)
	}
	if v := t.nodes.at(id).version; op.Version != -1 && op.Version != v {
		return failed(zk.ErrBadVersion)
	}
	r := t.replace(x, id, op.Path, op.Data)
	t.charge(op.Path, 0, grown)
	x.event(zk.EventNodeDataChanged, op.Path, r.acl)
	return OpResult{Stat: r.stat()}
}

// replace puts new data into a node (DataTree.setData).
func (t *Tree) replace(x *txn, id uint32, path string, data []byte) *record {
	r := t.nodes.edit(id)
	t.undo = append(t.undo, undo{op: zk.OpSetData, id: id, before: *r})
	d := pathDigest(path)
	t.sum.digest -= t.nodeBody(d, r)
	t.sum.size += int64(len(data) - max(int(r.dataLen), 0))
	t.putBlob(r, alias(t.name(r)), data)
	r.version = nextVersion(r.version)
	r.mzxid, r.mtime = x.zxid, x.env.TimeMs
	t.sum.digest += t.nodeBody(d, r)
	return r
}

// setACL checks in ZooKeeper's order: path, ACL, existence, permission, version.
func (t *Tree) setACL(x *txn, op *Op) OpResult {
	if !isValidPath(op.Path) {
		return failed(zk.ErrBadArguments)
	}
	acl, ok := t.fixACL(op.ACL, x.auth)
	if !ok {
		return failed(zk.ErrInvalidACL)
	}
	id, code := t.target(x, op, zk.PermAdmin)
	if code != zk.OK {
		return failed(code)
	}
	r := t.nodes.at(id)
	if op.Version != -1 && op.Version != r.aversion {
		return failed(zk.ErrBadVersion)
	}
	r = t.nodes.edit(id)
	t.undo = append(t.undo, undo{op: zk.OpSetACL, id: id, before: *r})
	d := pathDigest(op.Path)
	t.sum.digest -= t.nodeGuard(d, r)
	r.acl = t.acls.intern(acl)
	t.acls.hold(r.acl)
	r.aversion = nextVersion(r.aversion)
	t.sum.digest += t.nodeGuard(d, r)
	return OpResult{Stat: r.stat()}
}

// check checks in ZooKeeper's order: path, existence, permission, version.
func (t *Tree) check(x *txn, op *Op) OpResult {
	id, code := t.target(x, op, zk.PermRead)
	if code != zk.OK {
		return failed(code)
	}
	if v := t.nodes.at(id).version; op.Version != -1 && op.Version != v {
		return failed(zk.ErrBadVersion)
	}
	return OpResult{}
}

// target is the node that an operation on a node itself is about.
func (t *Tree) target(x *txn, op *Op, perm zk.Perms) (uint32, zk.Code) {
	if !isValidPath(op.Path) {
		return 0, zk.ErrBadArguments
	}
	id := t.find(op.Path)
	if id == 0 {
		return 0, zk.ErrNoNode
	}
	if !t.allowed(t.nodes.at(id).acl, perm, x.auth) {
		return 0, zk.ErrNoAuth
	}
	return id, zk.OK
}

// setConfig replaces the data of /zookeeper/config and takes no zxid. Its version is always -1, as ZooKeeper has it
// (ZKDatabase.initConfigInZKDatabase). The same data again change nothing.
func (t *Tree) setConfig(x *txn, c *Command) {
	id := t.find(configPath)
	if len(c.Ops) != 1 || len(c.Ops[0].Data) > MaxDataBytes || id == 0 {
		x.r.Code = zk.ErrBadArguments
		return
	}
	r := t.nodes.at(id)
	data := c.Ops[0].Data
	if old := t.data(r); (old == nil) == (data == nil) && bytes.Equal(old, data) {
		return
	}
	x.zxid = t.zxid
	d := pathDigest(configPath)
	r = t.replace(x, id, configPath, data)
	t.sum.digest -= t.nodeBody(d, r)
	r.version = -1
	t.sum.digest += t.nodeBody(d, r)
	x.event(zk.EventNodeDataChanged, configPath, r.acl)
	t.commit()
}
