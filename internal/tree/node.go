package tree

import "gopherwood/zk"

// kind of a znode.
type kind uint8

const (
	persistent kind = iota
	ephemeral
	container
	ttl
	freed // not a znode: the record is on the free list
)

// root is the record of "/". Record 0 stands for none.
const root = 1

// record is a znode without its name and data: 96 bytes, no pointers.
//
//	number of records in use = Tree.count
//	siblings are a list: child -> next -> ... -> 0, prev back; the newest child is the first
//	of an ephemeral node, which has no children, child and children are its place in the session's list instead
type record struct {
	czxid, mzxid, pzxid int64
	ctime, mtime        int64 // milliseconds since the Unix epoch
	owner               int64 // ephemeral: session id; container and ttl: place in Tree.reap; else 0
	version             int32
	cversion            int32 // creations of children, the next sequence number; clients see another figure: stat
	aversion            int32
	acl                 uint32 // in Tree.acls
	parent              uint32 // 0 of the root
	next, prev          uint32 // siblings; of a freed record, next is the next free one
	child               uint32 // newest child; ephemeral: the session's next node
	children            uint32 // number of them; ephemeral: the session's previous node
	place               uint32 // kind<<24 | chunk of the blob
	slot                uint16 // of the blob, in its chunk
	nameLen             uint16
	dataLen             int32 // -1: null
}

func (r *record) kind() kind { return kind(r.place >> 24) }

func (r *record) setKind(k kind) { r.place = r.place&(maxChunks-1) | uint32(k)<<24 }

func (r *record) blob() place { return place{chunk: r.place & (maxChunks - 1), slot: r.slot} }

func (r *record) setBlob(p place) { r.place, r.slot = r.place&^(maxChunks-1)|p.chunk, p.slot }

// blobLen is the length of the name and the data.
func (r *record) blobLen() int { return int(r.nameLen) + max(int(r.dataLen), 0) }

func (r *record) numChildren() int32 {
	if r.kind() == ephemeral {
		return 0
	}
	return int32(r.children)
}

// stat is the record as clients see it (DataNode.copyStat).
func (r *record) stat() zk.Stat {
	n := r.numChildren()
	s := zk.Stat{
		Czxid: r.czxid, Mzxid: r.mzxid, Ctime: r.ctime, Mtime: r.mtime,
		Version: r.version, Cversion: r.cversion*2 - n, Aversion: r.aversion,
		DataLength: max(r.dataLen, 0), NumChildren: n, Pzxid: r.pzxid,
	}
	if r.kind() == ephemeral {
		s.EphemeralOwner = r.owner
	}
	return s
}

// nextVersion is what a version becomes (PrepRequestProcessor.checkAndIncVersion): after an overflow it skips -1, which a
// client could not ask for.
func nextVersion(v int32) int32 {
	if v == -2 {
		return 0
	}
	return v + 1 // wraps
}

// name and data alias the blob: good until the next write.
func (t *Tree) name(r *record) []byte { return t.blobs.at(r.blob(), r.blobLen())[:r.nameLen] }

func (t *Tree) data(r *record) []byte {
	if r.dataLen < 0 {
		return nil
	}
	return t.blobs.at(r.blob(), r.blobLen())[r.nameLen:]
}

// find is the record of the node at path, or 0. The empty path is the root's, as in ZooKeeper (DataTree.nodes).
func (t *Tree) find(path string) uint32 {
	if path == "" || path == zk.Root {
		return root
	}
	return t.findTag(path, t.hash.tag(path))
}

// findTag is find for a path that is not the root's and whose tag is known.
func (t *Tree) findTag(path string, tag uint32) uint32 {
	s := t.index.segment(tag)
	mask := uint32(len(s.slots) - 1)
	for i := tag & mask; s.slots[i] != 0; i = (i + 1) & mask {
		if e := s.slots[i]; uint32(e>>32) == tag && t.isAt(uint32(e), path) {
			return uint32(e)
		}
	}
	return 0
}

// isAt compares path with the names from record id up to the root.
func (t *Tree) isAt(id uint32, path string) bool {
	for id != root {
		r := t.nodes.at(id)
		i := len(path) - int(r.nameLen)
		if i < 1 || path[i-1] != '/' || path[i:] != string(t.name(r)) {
			return false
		}
		path, id = path[:i-1], r.parent
	}
	return path == ""
}

// appendPath adds the path of the node id to b.
func (t *Tree) appendPath(b []byte, id uint32) []byte {
	if id == root {
		return append(b, '/')
	}
	n := 0
	for i := id; i != root; {
		r := t.nodes.at(i)
		n += 1 + int(r.nameLen)
		i = r.parent
	}
	start := len(b)
	b = append(b, make([]byte, n)...)
	end := start + n
	for i := id; i != root; {
		r := t.nodes.at(i)
		end -= int(r.nameLen)
		copy(b[end:], t.name(r))
		end--
		b[end] = '/'
		i = r.parent
	}
	return b
}

// newRecord is a record to fill in; its content is garbage.
func (t *Tree) newRecord() uint32 {
	if id := t.freeNode; id != 0 {
		t.freeNode = t.nodes.at(id).next
		return id
	}
	return t.nodes.grow()
}

func (t *Tree) freeRecord(id uint32) {
	*t.nodes.edit(id) = record{next: t.freeNode, place: uint32(freed) << 24}
	t.freeNode = id
}

// link makes id the newest child of parent.
func (t *Tree) link(id, parent uint32) {
	p := t.nodes.edit(parent)
	r := t.nodes.edit(id)
	r.parent, r.prev, r.next = parent, 0, p.child
	if r.next != 0 {
		t.nodes.edit(r.next).prev = id
	}
	p.child = id
	p.children++
}

// unlink takes id out of its siblings but lets it remember its place: relink puts it back, if all that came after is undone first.
func (t *Tree) unlink(id uint32) {
	r := *t.nodes.at(id)
	p := t.nodes.edit(r.parent)
	p.children--
	if r.prev != 0 {
		t.nodes.edit(r.prev).next = r.next
	} else {
		p.child = r.next
	}
	if r.next != 0 {
		t.nodes.edit(r.next).prev = r.prev
	}
}

func (t *Tree) relink(id uint32) {
	r := *t.nodes.at(id)
	p := t.nodes.edit(r.parent)
	p.children++
	if r.prev != 0 {
		t.nodes.edit(r.prev).next = id
	} else {
		p.child = id
	}
	if r.next != 0 {
		t.nodes.edit(r.next).prev = id
	}
}

// putBlob stores name and data and points the record at them. The old blob is the caller's to release.
func (t *Tree) putBlob(r *record, name string, data []byte) {
	p, b := t.blobs.alloc(len(name) + len(data))
	copy(b[copy(b, name):], data)
	r.setBlob(p)
	r.nameLen = uint16(len(name))
	r.dataLen = int32(len(data))
	if data == nil {
		r.dataLen = -1
	}
}

// releaseBlob frees the blob that record id had, unless a View shows it: then it is kept until that is closed.
func (t *Tree) releaseBlob(id uint32, p place) {
	if p.chunk == 0 {
		return
	}
	for _, v := range t.views {
		if v.shows(id, p) {
			t.kept = append(t.kept, keptBlob{id: id, place: p})
			return
		}
	}
	t.blobs.release(p)
}

// keptBlob is the blob that record id had when a View was taken.
type keptBlob struct {
	id uint32
	place
}
