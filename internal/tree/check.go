package tree

import (
	"fmt"
	"maps"
	"math/bits"
)

// Check walks the whole tree and says whether its parts agree: links, index, totals, digest, sessions, ACL references, reap
// table, memory. It is for tests and takes about a microsecond for every node. Only the writer may call it.
func (t *Tree) Check() error {
	c := checker{t: t, acls: make(map[uint32]uint32), owned: make(map[int64]uint32), blobs: make(map[place]uint32)}
	for _, f := range []func() error{c.walk, c.totals, c.free, c.index, c.table, c.lists, c.reap, c.memory, c.quotas} {
		if err := f(); err != nil {
			return fmt.Errorf("tree: check: %w", err)
		}
	}
	return nil
}

// checker counts what it meets.
type checker struct {
	t     *Tree
	sum   totals
	acls  map[uint32]uint32 // nodes with the list
	owned map[int64]uint32  // ephemeral nodes of the session
	reaps uint32            // container and ttl nodes
	blobs map[place]uint32  // the record that has the blob
}

// walk visits every node from the root.
func (c *checker) walk() error {
	t := c.t
	for id := uint32(root); id != 0; id = t.after(id, root) {
		if c.sum.count++; c.sum.count > t.sum.count {
			return fmt.Errorf("more nodes are linked than the %d counted", t.sum.count)
		}
		if err := c.node(id); err != nil {
			return fmt.Errorf("%q: %w", t.appendPath(nil, id), err)
		}
	}
	return nil
}

func (c *checker) node(id uint32) error {
	t := c.t
	r := t.nodes.at(id)
	path := string(t.appendPath(nil, id))
	if got := t.find(path); got != id {
		return fmt.Errorf("record %d, but the index says %d", id, got)
	}
	c.acls[r.acl]++
	d := pathDigest(path)
	c.sum.digest += t.nodeBody(d, r) + tailDigest(d, r) + t.nodeGuard(d, r)
	c.sum.size += int64(len(path) + max(int(r.dataLen), 0))
	if p := r.blob(); p.chunk != 0 {
		if other, taken := c.blobs[p]; taken {
			return fmt.Errorf("shares its blob with record %d", other)
		}
		c.blobs[p] = id
	} else if r.blobLen() != 0 {
		return fmt.Errorf("%d bytes, but no blob", r.blobLen())
	}
	switch r.kind() {
	case ephemeral:
		c.sum.ephemerals++
		c.owned[r.owner]++
		return nil
	case container, ttl:
		c.reaps++
		if e := *t.reap.at(uint32(r.owner)); e.id != id || (e.ttl > 0) != (r.kind() == ttl) {
			return fmt.Errorf("reap entry %d is %+v", r.owner, e)
		}
	case persistent:
	default:
		return fmt.Errorf("kind %d", r.kind())
	}
	return c.children(id, r)
}

func (c *checker) children(id uint32, r *record) error {
	n, prev := uint32(0), uint32(0)
	for child := r.child; child != 0; n++ {
		k := c.t.nodes.at(child)
		if k.parent != id || k.prev != prev || n > r.children {
			return fmt.Errorf("child %d: parent %d, prev %d, expected %d and %d", child, k.parent, k.prev, id, prev)
		}
		prev, child = child, k.next
	}
	if n != r.children {
		return fmt.Errorf("%d children linked, %d counted", n, r.children)
	}
	return nil
}

func (c *checker) totals() error {
	for slot := uint32(1); slot < c.t.sessions.next; slot++ {
		if s := c.t.sessions.at(slot); s.id != 0 {
			c.sum.digest += sessionDigest(s)
		}
	}
	if c.t.staged != nil {
		c.sum.digest += c.t.staged.digest()
	}
	if c.t.replaced != 0 {
		c.sum.digest += replacedDigest(c.t.replaced)
	}
	if c.sum != c.t.sum {
		return fmt.Errorf("totals are %+v, the nodes give %+v", c.t.sum, c.sum)
	}
	return nil
}

// free counts the free records.
func (c *checker) free() error {
	t := c.t
	n := 0
	for id := t.freeNode; id != 0; id = t.nodes.at(id).next {
		if t.nodes.at(id).kind() != freed {
			return fmt.Errorf("record %d is on the free list and in use", id)
		}
		if n++; n > int(t.nodes.next) {
			return fmt.Errorf("the free list has a ring")
		}
	}
	if used := int(t.nodes.next) - 1 - n; used != t.sum.count {
		return fmt.Errorf("%d records in use, %d nodes", used, t.sum.count)
	}
	return nil
}

// index looks for entries that a lookup would not reach; that all nodes are found, walk has seen.
func (c *checker) index() error {
	used := 0
	var last *segment
	for i, s := range c.t.index.dir {
		if s == last {
			continue
		}
		last = s
		n := 0
		for j, e := range s.slots {
			if e == 0 {
				continue
			}
			n++
			tag := uint32(e >> 32)
			if c.t.index.dir[i] != c.t.index.segment(tag) {
				return fmt.Errorf("entry %x is in the wrong segment", e)
			}
			mask := uint32(len(s.slots) - 1)
			for k := tag & mask; k != uint32(j); k = (k + 1) & mask {
				if s.slots[k] == 0 {
					return fmt.Errorf("entry %x is behind a gap", e)
				}
			}
		}
		if n != s.used {
			return fmt.Errorf("segment %d has %d entries, counted %d", i, n, s.used)
		}
		used += n
	}
	if used != c.t.index.used || used != c.t.sum.count-1 {
		return fmt.Errorf("index has %d entries, counted %d, for %d nodes", used, c.t.index.used, c.t.sum.count)
	}
	return nil
}

// table checks the sessions and the lists of their nodes.
func (c *checker) table() error {
	t := c.t
	n := 0
	for slot := uint32(1); slot < t.sessions.next; slot++ {
		s := t.sessions.at(slot)
		if s.id == 0 {
			continue
		}
		n++
		if t.sessions.byID[s.id] != slot {
			return fmt.Errorf("session 0x%x is at %d, not %d", s.id, slot, t.sessions.byID[s.id])
		}
		count, prev := uint32(0), uint32(0)
		for id := s.head; id != 0 && count <= s.nodes; count++ {
			r := t.nodes.at(id)
			if r.kind() != ephemeral || r.owner != s.id || r.children != prev {
				return fmt.Errorf("session 0x%x: bad link at record %d", s.id, id)
			}
			prev, id = id, r.child
		}
		if count != s.nodes || s.tail != prev || count != c.owned[s.id] {
			return fmt.Errorf("session 0x%x: %d nodes linked, %d counted, %d exist", s.id, count, s.nodes, c.owned[s.id])
		}
		delete(c.owned, s.id)
	}
	if n != len(t.sessions.byID) || len(c.owned) > 0 {
		return fmt.Errorf("%d sessions, %d known; nodes without a session: %v", n, len(t.sessions.byID), c.owned)
	}
	return nil
}

// lists checks the ACL references.
func (c *checker) lists() error {
	live := 0
	for id, l := range c.t.acls.lists {
		if l == nil {
			continue
		}
		live++
		if l.id != uint32(id) || l.refs != c.acls[l.id] || c.t.acls.byKey[l.key] != l.id {
			return fmt.Errorf("ACL %d: %d references, %d nodes", id, l.refs, c.acls[l.id])
		}
	}
	if live != len(c.t.acls.byKey) || live+len(c.t.acls.free) != len(c.t.acls.lists) {
		return fmt.Errorf("%d ACLs, %d keys, %d free of %d", live, len(c.t.acls.byKey), len(c.t.acls.free), len(c.t.acls.lists))
	}
	return nil
}

func (c *checker) reap() error {
	if c.reaps != c.t.reap.len {
		return fmt.Errorf("%d container and TTL nodes, %d entries", c.reaps, c.t.reap.len)
	}
	return nil
}

// memory checks that exactly the blobs in use are taken.
func (c *checker) memory() error {
	s := &c.t.blobs
	for _, kept := range [][]keptBlob{c.t.kept, c.t.reclaim} {
		for _, k := range kept {
			if other, taken := c.blobs[k.place]; taken {
				return fmt.Errorf("record %d has the kept blob %v", other, k.place)
			}
			c.blobs[k.place] = 0
		}
	}
	used, bytes := 0, int64(0)
	for i := range s.chunks {
		ch := &s.chunks[i]
		used += int(ch.used)
		bytes += int64(len(ch.buf))
		free := 0
		for _, w := range ch.free {
			free += bits.OnesCount64(w)
		}
		if ch.size != 0 && (free+int(ch.used) != int(ch.slots) || ch.listed != (free > 0)) {
			return fmt.Errorf("chunk %d: %d used, %d free of %d, listed %v", i, ch.used, free, ch.slots, ch.listed)
		}
	}
	if used != len(c.blobs) || bytes != s.bytes {
		return fmt.Errorf("%d blobs taken, %d in use; %d bytes, counted %d", used, len(c.blobs), bytes, s.bytes)
	}
	for p, id := range c.blobs { // any order: the first fault found ends it
		if ch := &s.chunks[p.chunk]; ch.size != 0 && ch.free[p.slot/64]>>(p.slot%64)&1 != 0 {
			return fmt.Errorf("the blob of record %d is free", id)
		}
	}
	return nil
}

// quotas compares the trie with one made from the nodes.
func (c *checker) quotas() error {
	t := c.t
	kept := t.quotas
	t.findQuotas()
	found := t.quotas
	t.quotas = kept
	if kept.count != found.count {
		return fmt.Errorf("%d quotas, the nodes give %d", kept.count, found.count)
	}
	if !kept.top.equals(&found.top) {
		return fmt.Errorf("the trie of %d quotas is not what the nodes give", kept.count)
	}
	return nil
}

func (d *quotaDir) equals(o *quotaDir) bool {
	return d.limits == o.limits && d.stats == o.stats && maps.EqualFunc(d.below, o.below, (*quotaDir).equals)
}
