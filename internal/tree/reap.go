package tree

import "gopherwood/zk"

// reapEntry is a container or a TTL node: the only ones that the leader looks at.
type reapEntry struct {
	id  uint32
	ttl int64 // milliseconds; 0 of a container
}

// reapTable holds entries 1 to len, in no order.
type reapTable struct {
	arena[reapEntry]
	len uint32
}

// addReap enters a node; its record's owner is its place in the table.
func (t *Tree) addReap(id uint32, ttl int64) {
	r := t.nodes.edit(id)
	if r.kind() == container {
		ttl = 0
	}
	if t.reap.len++; t.reap.len == t.reap.next {
		t.reap.grow()
	}
	*t.reap.edit(t.reap.len) = reapEntry{id: id, ttl: ttl}
	r.owner = int64(t.reap.len)
}

// dropReap fills the gap with the last entry.
func (t *Tree) dropReap(id uint32) {
	i := uint32(t.nodes.at(id).owner)
	if last := *t.reap.at(t.reap.len); last.id != id {
		*t.reap.edit(i) = last
		t.nodes.edit(last.id).owner = int64(i)
	}
	t.reap.len--
}

// ownerValue is the owner that digest and snapshot know: a session, a TTL, or 0.
func (t *Tree) ownerValue(r *record) int64 {
	switch r.kind() {
	case ephemeral:
		return r.owner
	case ttl:
		return t.reap.at(uint32(r.owner)).ttl
	}
	return 0
}

// isReapable says whether a container has had a child and has none, or a TTL node was not changed for its TTL and has no child
// (ContainerManager.getCandidates).
func (t *Tree) isReapable(id uint32, nowMs int64) bool {
	r := t.nodes.at(id)
	if r.numChildren() > 0 {
		return false
	}
	switch r.kind() {
	case container:
		return r.cversion > 0
	case ttl:
		return nowMs-r.mtime > t.reap.at(uint32(r.owner)).ttl
	}
	return false
}

// Reapable is the paths of at most limit nodes that may be reaped at nowMs, for a KindReap command. It looks at a bounded number of
// candidates and goes on with the others at the next call. Only the writer may call it.
func (t *Tree) Reapable(nowMs int64, limit int) []string {
	var paths []string
	for n := min(t.reap.len, maxReapScan); n > 0 && len(paths) < min(limit, MaxEnded); n-- {
		if t.reapNext++; t.reapNext > t.reap.len {
			t.reapNext = 1
		}
		if id := t.reap.at(t.reapNext).id; t.isReapable(id, nowMs) {
			paths = append(paths, string(t.appendPath(nil, id)))
		}
	}
	return paths
}

// reapNodes deletes the nodes that the leader of this term proposes, each under its own zxid, if they still are to be reaped.
// Unlike ZooKeeper's deleteContainer it looks again: the node at the path may be another one by now.
func (t *Tree) reapNodes(x *txn, c *Command) {
	if c.Term != x.env.Term {
		return
	}
	for i := range c.Ops {
		path := c.Ops[i].Path
		parent, _, ok := split(path)
		if !ok || isSpecial(path) {
			continue
		}
		tag := t.hash.tag(path)
		id := t.findTag(path, tag)
		if id == 0 || !t.isReapable(id, x.env.TimeMs) {
			continue
		}
		t.begin(x)
		t.remove(x, path, parent, tag, id)
		t.commit()
		x.r.Ops = append(x.r.Ops, OpResult{Type: zk.OpDeleteContainer, Path: path})
	}
}
