package tree

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"io"
	"slices"
)

// View is the tree at one moment. The writer takes it, changes the tree, and closes it; meanwhile one goroutine may call WriteTo.
// The tree then copies a page on the first write to it, and keeps the memory of nodes that the View shows.
type View struct {
	tree     *Tree
	epoch    uint64
	nodes    frozen[record]
	sessions frozen[session]
	reap     frozen[reapEntry]
	chunks   []frozenChunk
	acls     []*aclList
	zxid     int64
	sum      totals
	digest   uint64
	count    int    // of sessions
	staged   staged // id 0: nothing
	replaced int64
}

// View takes a View. It costs one pointer for every 64 nodes. Only the writer may call it, between two Applies.
func (t *Tree) View() *View {
	v := &View{
		tree: t, epoch: t.cow.epoch,
		nodes: t.nodes.freeze(), sessions: t.sessions.freeze(), reap: t.reap.freeze(),
		chunks: t.blobs.bufs(), acls: slices.Clone(t.acls.lists),
		zxid: t.zxid, sum: t.sum, digest: t.Digest(), count: len(t.sessions.byID),
	}
	v.replaced = t.replaced
	if t.staged != nil {
		v.staged = *t.staged
	}
	t.cow.shared = t.cow.epoch
	t.cow.epoch++
	t.views = append(t.views, v)
	return v
}

// Close ends the View; WriteTo must have returned. Only the writer may call it. A second Close does nothing.
func (v *View) Close() {
	t := v.tree
	if t == nil {
		return
	}
	i := slices.Index(t.views, v)
	if i < 0 {
		return // the tree was restored since
	}
	t.views = slices.Delete(t.views, i, i+1)
	t.cow.shared = 0
	for _, o := range t.views {
		t.cow.shared = max(t.cow.shared, o.epoch)
	}
	t.reclaim = append(t.reclaim, t.kept...)
	t.kept = nil
	*v = View{}
}

// Unstage takes what was staged out of the View, for a snapshot that is to be restored elsewhere. The writer may go on meanwhile.
func (v *View) Unstage() {
	if v.staged.id != 0 {
		v.sum.digest -= v.staged.digest()
		v.staged = staged{}
		v.digest = foldDigest(v.sum.digest, v.zxid)
	}
}

// Digest is the tree's digest at that moment.
func (v *View) Digest() uint64 { return v.digest }

// Zxid is the last zxid of the View.
func (v *View) Zxid() int64 { return v.zxid }

// shows says whether record id has its blob at p in the View.
func (v *View) shows(id uint32, p place) bool {
	return id < v.nodes.next && v.nodes.at(id).blob() == p
}

// drain gives back some of the blobs that closed Views have shown.
func (t *Tree) drain() {
	for n := min(len(t.reclaim), maxReclaim); n > 0; n-- {
		last := len(t.reclaim) - 1
		k := t.reclaim[last]
		t.reclaim = t.reclaim[:last]
		t.releaseBlob(k.id, k.place)
	}
	if len(t.reclaim) == 0 {
		t.reclaim = nil
	}
}

// WriteTo writes the View in the format of docs/format/tree-snapshot.md, in pieces of 64 KiB. The same history gives the same
// bytes on every server. It may run on any one goroutine while the writer goes on.
func (v *View) WriteTo(w io.Writer) (int64, error) {
	c := counter{w: w}
	e := encoder{w: bufio.NewWriterSize(&c, 64<<10), v: v, acls: make([]uint32, len(v.acls))}
	e.header()
	e.writeSessions()
	e.writeNodes()
	e.trailer()
	err := e.w.Flush()
	return c.n, err
}

// counter counts what it passes on.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// encoder writes a snapshot. Errors of w stick in it.
type encoder struct {
	w       *bufio.Writer
	v       *View
	b       []byte
	acls    []uint32 // number in the stream of each list, by id; 0: not written yet
	numbers uint32   // lists written
}

func (e *encoder) header() {
	version := uint32(snapshotVersion)
	if e.v.replaced != 0 || e.v.staged.id != 0 {
		version = snapshotStaged
	}
	b := append(e.b[:0], snapshotMagic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.v.zxid))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.v.count))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.v.sum.count))
	if version == snapshotStaged {
		s := &e.v.staged
		b = binary.LittleEndian.AppendUint64(b, uint64(e.v.replaced))
		b = binary.LittleEndian.AppendUint64(b, s.id)
		b = binary.LittleEndian.AppendUint64(b, uint64(s.timeMs))
		b = binary.LittleEndian.AppendUint64(b, uint64(s.size))
	}
	e.w.Write(b)
	for _, chunk := range e.v.staged.chunks {
		e.w.Write(chunk)
	}
}

// writeSessions writes the table in the order of the ids: the places in the arena depend on restarts.
func (e *encoder) writeSessions() {
	slots := make([]uint32, 0, e.v.count)
	for slot := uint32(1); slot < e.v.sessions.next; slot++ {
		if e.v.sessions.at(slot).id != 0 {
			slots = append(slots, slot)
		}
	}
	slices.SortFunc(slots, func(a, b uint32) int {
		return cmp.Compare(e.v.sessions.at(a).id, e.v.sessions.at(b).id)
	})
	for _, slot := range slots {
		s := e.v.sessions.at(slot)
		b := binary.LittleEndian.AppendUint64(e.b[:0], uint64(s.id))
		b = binary.LittleEndian.AppendUint64(b, s.owner)
		b = binary.LittleEndian.AppendUint32(b, uint32(s.timeoutMs))
		e.b = append(b, s.passwd[:]...)
		e.w.Write(e.b)
	}
}

// writeNodes walks the nodes, parents before children and siblings as they are linked.
func (e *encoder) writeNodes() {
	for id := uint32(root); id != 0; {
		r := e.v.nodes.at(id)
		e.node(r)
		id = e.after(id, r)
	}
}

func (e *encoder) after(id uint32, r *record) uint32 {
	if r.kind() != ephemeral && r.child != 0 {
		return r.child
	}
	for r.next == 0 && r.parent != 0 {
		r = e.v.nodes.at(r.parent)
	}
	return r.next
}

func (e *encoder) node(r *record) {
	b := e.b[:0]
	flags := uint16(r.kind())
	put := func(flag uint16, present bool, v uint64) {
		if present {
			flags |= flag
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	}
	put32 := func(flag uint16, v uint32) {
		if v != 0 {
			flags |= flag
			b = binary.LittleEndian.AppendUint32(b, v)
		}
	}
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, r.nameLen)
	b = binary.LittleEndian.AppendUint32(b, uint32(r.dataLen))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.czxid))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.ctime))
	put(hasMzxid, r.mzxid != r.czxid, uint64(r.mzxid))
	put(hasMtime, r.mtime != r.ctime, uint64(r.mtime))
	put(hasPzxid, r.pzxid != r.czxid, uint64(r.pzxid))
	switch r.kind() {
	case ephemeral:
		b = binary.LittleEndian.AppendUint64(b, uint64(r.owner))
	case ttl:
		b = binary.LittleEndian.AppendUint64(b, uint64(e.v.reap.at(uint32(r.owner)).ttl))
	}
	put32(hasVersion, uint32(r.version))
	put32(hasCversion, uint32(r.cversion))
	put32(hasAversion, uint32(r.aversion))
	put32(hasChildren, uint32(r.numChildren()))
	if r.acl != openID {
		flags |= hasACL
		b = e.acl(b, r.acl)
	}
	binary.LittleEndian.PutUint16(b, flags)
	e.b = b
	e.w.Write(b)
	if p := r.blob(); p.chunk != 0 {
		c := &e.v.chunks[p.chunk]
		off := int(p.slot) * int(c.size)
		e.w.Write(c.buf[off : off+r.blobLen()])
	}
}

// acl writes the number of a list, and the list itself at its first use: numbers follow from the nodes, ids do not.
func (e *encoder) acl(b []byte, id uint32) []byte {
	if no := e.acls[id]; no != 0 {
		return binary.LittleEndian.AppendUint32(b, no)
	}
	e.numbers++
	e.acls[id] = e.numbers
	list := e.v.acls[id].list
	b = binary.LittleEndian.AppendUint32(b, e.numbers)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(list)))
	for i := range list {
		b = binary.LittleEndian.AppendUint32(b, uint32(list[i].Perms))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(list[i].ID.Scheme)))
		b = append(b, list[i].ID.Scheme...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(list[i].ID.ID)))
		b = append(b, list[i].ID.ID...)
	}
	return b
}

func (e *encoder) trailer() {
	b := binary.LittleEndian.AppendUint64(e.b[:0], e.v.digest)
	e.w.Write(append(b, snapshotEnd...))
}
