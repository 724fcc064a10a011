package tree

import (
	"strings"

	"gopherwood/zk"
)

// Exists is the Stat of a node; the requester must be able to read it (FinalRequestProcessor, exists).
func (t *Tree) Exists(path string, auth []zk.ID) (zk.Stat, zk.Code) {
	if strings.IndexByte(path, 0) >= 0 {
		return zk.Stat{}, zk.ErrBadArguments
	}
	r, code := t.readable(path, zk.PermRead, auth)
	if code != zk.OK {
		return zk.Stat{}, code
	}
	return r.stat(), zk.OK
}

// Get is a node's data and Stat. The data alias the tree: they last as long as the caller's read lock. Null data are nil.
func (t *Tree) Get(path string, auth []zk.ID) ([]byte, zk.Stat, zk.Code) {
	r, code := t.readable(path, zk.PermRead, auth)
	if code != zk.OK {
		return nil, zk.Stat{}, code
	}
	return t.data(r), r.stat(), zk.OK
}

// ACL is a node's list and Stat, for who can read or administer it. Who cannot administer it sees no digests. The list is read
// only and stays as it is after the read lock is gone.
func (t *Tree) ACL(path string, auth []zk.ID) ([]zk.ACL, zk.Stat, zk.Code) {
	r, code := t.readable(path, zk.PermRead|zk.PermAdmin, auth)
	if code != zk.OK {
		return nil, zk.Stat{}, code
	}
	list := t.acls.at(r.acl).list
	if !t.allowed(r.acl, zk.PermAdmin, auth) {
		list = masked(list)
	}
	return list, r.stat(), zk.OK
}

// masked is the list with "user:x" for every digest.
func masked(list []zk.ACL) []zk.ACL {
	out := make([]zk.ACL, len(list))
	for i, a := range list {
		if user, _, cut := strings.Cut(a.ID.ID, ":"); cut && a.ID.Scheme == schemeDigest {
			a.ID.ID = user + ":x"
		}
		out[i] = a
	}
	return out
}

// Children gives yield the names of a node's children, newest first, until it returns false. A name lasts as long as the call.
// It allocates nothing.
func (t *Tree) Children(path string, auth []zk.ID, yield func(name []byte) bool) (zk.Stat, zk.Code) {
	r, code := t.readable(path, zk.PermRead, auth)
	if code != zk.OK {
		return zk.Stat{}, code
	}
	if r.kind() != ephemeral {
		for id := r.child; id != 0; {
			c := t.nodes.at(id)
			if !yield(t.name(c)) {
				break
			}
			id = c.next
		}
	}
	return r.stat(), zk.OK
}

// AllChildrenNumber is the number of nodes below a node, at any depth. It costs a step for each of them, but for the root.
func (t *Tree) AllChildrenNumber(path string, auth []zk.ID) (int32, zk.Code) {
	r, code := t.readable(path, zk.PermRead, auth)
	if code != zk.OK {
		return 0, code
	}
	if r.parent == 0 {
		return int32(t.sum.count - 1), zk.OK
	}
	var n int32
	top := t.find(path)
	for id := t.after(top, top); id != 0; id = t.after(id, top) {
		n++
	}
	return n, zk.OK
}

// after is the node that follows id in the subtree of top, parents before children; 0 at the end.
func (t *Tree) after(id, top uint32) uint32 {
	r := t.nodes.at(id)
	if r.kind() != ephemeral && r.child != 0 {
		return r.child
	}
	for id != top {
		if r.next != 0 {
			return r.next
		}
		id = r.parent
		r = t.nodes.at(id)
	}
	return 0
}

// readable is the record at path, if one of the permissions is there. It lasts until the next write.
func (t *Tree) readable(path string, perm zk.Perms, auth []zk.ID) (*record, zk.Code) {
	id := t.find(path)
	if id == 0 {
		return nil, zk.ErrNoNode
	}
	r := t.nodes.at(id)
	if !t.allowed(r.acl, perm, auth) {
		return nil, zk.ErrNoAuth
	}
	return r, zk.OK
}

// CanRead says whether auth may read a node with the ACL of an Event. Ask before the next Apply.
func (t *Tree) CanRead(acl uint32, auth []zk.ID) bool { return t.allowed(acl, zk.PermRead, auth) }

// Permits says whether auth has all of perms on a node; false if there is no such node.
func (t *Tree) Permits(path string, perms zk.Perms, auth []zk.ID) bool {
	id := t.find(path)
	if id == 0 {
		return false
	}
	acl := t.nodes.at(id).acl
	for p := zk.Perms(1); p <= perms; p <<= 1 {
		if perms&p != 0 && !t.allowed(acl, p, auth) {
			return false
		}
	}
	return true
}

// WatchState is what setWatches compares with the zxid that a client has seen. Whoever has seen less than the last KindRestore has seen another history:
// every node counts as changed then.
func (t *Tree) WatchState(path string) (czxid, mzxid, pzxid int64, exists bool) {
	id := t.find(path)
	if id == 0 {
		return 0, 0, 0, false
	}
	r := t.nodes.at(id)
	return r.czxid, max(r.mzxid, t.replaced), max(r.pzxid, t.replaced), true
}

// Ephemerals gives yield the paths of a session's ephemeral nodes that start with prefix, in no particular
// order, until it returns false. An empty prefix and "/" are all.
func (t *Tree) Ephemerals(session int64, prefix string, yield func(path string) bool) {
	if s := strings.TrimSpace(prefix); s == "" || s == zk.Root {
		prefix = ""
	}
	slot := t.sessions.byID[session]
	if slot == 0 {
		return
	}
	var b []byte
	for id := t.sessions.at(slot).head; id != 0; id = t.nodes.at(id).child {
		b = t.appendPath(b[:0], id)
		if strings.HasPrefix(alias(b), prefix) && !yield(string(b)) {
			return
		}
	}
}

// Session is one entry of the session table.
func (t *Tree) Session(id int64) (s SessionInfo, exists bool) {
	slot := t.sessions.byID[id]
	if slot == 0 {
		return SessionInfo{}, false
	}
	e := t.sessions.at(slot)
	return SessionInfo{ID: id, TimeoutMs: e.timeoutMs, Owner: e.owner}, true
}

// SessionTimeout is the timeout in ms of the session with that password; false if there is none.
func (t *Tree) SessionTimeout(id int64, passwd [16]byte) (timeoutMs int32, ok bool) {
	slot := t.sessions.byID[id]
	if slot == 0 || t.sessions.at(slot).passwd != passwd {
		return 0, false
	}
	return t.sessions.at(slot).timeoutMs, true
}

// Sessions gives yield every session, in no particular order, until it returns false.
func (t *Tree) Sessions(yield func(SessionInfo) bool) {
	for slot := uint32(1); slot < t.sessions.next; slot++ {
		s := t.sessions.at(slot)
		if s.id != 0 && !yield(SessionInfo{ID: s.id, TimeoutMs: s.timeoutMs, Owner: s.owner}) {
			return
		}
	}
}

// SessionCount is the number of sessions.
func (t *Tree) SessionCount() int { return len(t.sessions.byID) }

// LastZxid is the zxid of the last transaction; 0 before the first.
func (t *Tree) LastZxid() int64 { return t.zxid }

// NodeCount is the number of znodes, the root among them. (ZooKeeper's znode_count has the root twice.)
func (t *Tree) NodeCount() int { return t.sum.count }

// EphemeralCount is the number of ephemeral znodes.
func (t *Tree) EphemeralCount() int { return t.sum.ephemerals }

// ApproximateDataSize is the bytes of all paths and data.
func (t *Tree) ApproximateDataSize() int64 { return t.sum.size }
