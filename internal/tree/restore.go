package tree

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"

	"gopherwood/internal/planted"
	"gopherwood/zk"
)

// The frame of a snapshot, and the flags of its nodes (docs/format/tree-snapshot.md).
const (
	snapshotMagic   = "gwtree\r\n"
	snapshotEnd     = "gwtreend"
	snapshotVersion = 1
	snapshotStaged  = 2 // with what stage.go keeps

	kindMask    = 7
	hasMzxid    = 1 << 3
	hasMtime    = 1 << 4
	hasPzxid    = 1 << 5
	hasVersion  = 1 << 6
	hasCversion = 1 << 7
	hasAversion = 1 << 8
	hasChildren = 1 << 9
	hasACL      = 1 << 10
	knownFlags  = 1<<11 - 1
)

// CorruptError is a snapshot stream that cannot be one. The tree is as new after it.
type CorruptError struct {
	Offset int64 // bytes read before what is wrong
	Reason string
}

// Error is the place and the reason.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("tree: corrupt snapshot at byte %d: %s", e.Offset, e.Reason)
}

// Restore replaces the tree by the snapshot in r, which it reads to its end. The old state is given up first, so that the two
// are never in memory together; after an error, a *CorruptError or what r said, the tree is as new. Nobody may read
// meanwhile. Views taken before stay good.
func (t *Tree) Restore(r io.Reader) error { return t.restore(&loader{in: input{r: r}}) }

func (t *Tree) restore(d *loader) error {
	t.clear()
	d.t, d.in.buf = t, make([]byte, 0, inputSize)
	if err := d.load(); err != nil {
		t.reset()
		return err
	}
	return nil
}

// loader builds a tree from a stream.
type loader struct {
	t     *Tree
	in    input
	nodes uint64 // still to come
	acls  []uint32
	path  []byte  // of the node just read
	stack []level // nodes whose children are being read
	large []byte  // scratch for a blob that is not in the buffer at once

	entries []uint64 // of the index, filled in at the end

	anyDigest bool // for tests
}

// level is a node with children to come.
type level struct {
	id, last uint32 // the node, its child read last
	left     uint32 // children to come
	pathLen  int    // of its path in loader.path; 0 of the root
}

func (d *loader) load() error {
	sessions, err := d.header()
	if err != nil {
		return err
	}
	for ; sessions > 0; sessions-- {
		if err := d.session(); err != nil {
			return err
		}
	}
	if err := d.node(nil); err != nil {
		return err
	}
	for len(d.stack) > 0 {
		top := &d.stack[len(d.stack)-1]
		if top.left == 0 {
			d.stack = d.stack[:len(d.stack)-1]
			continue
		}
		top.left--
		if err := d.node(top); err != nil {
			return err
		}
	}
	if d.nodes != 0 {
		return d.in.corrupt("%d nodes missing", d.nodes)
	}
	if id, _, ok := d.t.index.build(d.entries, d.isTwin); !ok {
		return d.in.corrupt("%q is there twice", d.t.appendPath(nil, id))
	}
	d.t.findQuotas()
	return d.trailer()
}

func (d *loader) header() (sessions uint64, err error) {
	b, err := d.in.next(8 + 4 + 8 + 8 + 8)
	if err != nil {
		return 0, err
	}
	if string(b[:8]) != snapshotMagic {
		return 0, d.in.corrupt("not a tree snapshot")
	}
	version := binary.LittleEndian.Uint32(b[8:])
	if version != snapshotVersion && version != snapshotStaged {
		return 0, d.in.corrupt("format version %d, this program knows %d and %d", version, snapshotVersion, snapshotStaged)
	}
	d.t.zxid = int64(binary.LittleEndian.Uint64(b[12:]))
	sessions = binary.LittleEndian.Uint64(b[20:])
	d.nodes = binary.LittleEndian.Uint64(b[28:])
	if d.t.zxid < 0 || sessions > MaxSessions || d.nodes == 0 || d.nodes > math.MaxInt32 {
		return 0, d.in.corrupt("counts out of range")
	}
	if version == snapshotStaged {
		err = d.staged()
	}
	return sessions, err
}

// staged reads what only a snapshot of version 2 has.
func (d *loader) staged() error {
	b, err := d.in.next(4 * 8)
	if err != nil {
		return err
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	replaced := int64(word(0))
	s, size := newStaged(word(1), int64(word(2))), int64(word(3))
	if replaced < 0 || replaced > d.t.zxid || size < 0 || size > MaxStagedBytes || s.id == 0 && (s.timeMs != 0 || size != 0) || s.id == 0 && replaced == 0 {
		return d.in.corrupt("a staged snapshot of %d bytes, or a restore at zxid 0x%x, that cannot be", size, replaced)
	}
	for s.size < size {
		piece, err := d.in.next(int(min(size-s.size, inputSize)))
		if err != nil {
			return err
		}
		s.add(bytes.Clone(piece))
	}
	if s.id != 0 {
		d.t.staged = s
		d.t.sum.digest += s.digest()
	}
	if replaced != 0 {
		d.t.setReplaced(replaced)
	}
	return nil
}

func (d *loader) session() error {
	b, err := d.in.next(8 + 8 + 4 + 16)
	if err != nil {
		return err
	}
	s := session{
		id:        int64(binary.LittleEndian.Uint64(b)),
		owner:     binary.LittleEndian.Uint64(b[8:]),
		timeoutMs: int32(binary.LittleEndian.Uint32(b[16:])),
	}
	copy(s.passwd[:], b[20:])
	if s.id == 0 || d.t.sessions.byID[s.id] != 0 {
		return d.in.corrupt("session 0x%x is zero or there twice", s.id)
	}
	d.t.sum.digest += sessionDigest(&s)
	if planted.SnapshotWithoutSessions.On() {
		s.owner = 0
	}
	d.t.sessions.add(s)
	return nil
}

// node reads one node, a child of parent, or the root.
func (d *loader) node(parent *level) error {
	if d.nodes == 0 {
		return d.in.corrupt("more nodes than announced")
	}
	d.nodes--
	t := d.t
	id := t.nodes.grow()
	r := t.nodes.edit(id)
	value, err := d.record(r)
	if err != nil {
		return err
	}
	name, data, err := d.blob(r)
	if err != nil {
		return err
	}
	if parent == nil {
		if len(name) != 0 || r.kind() != persistent {
			return d.in.corrupt("the first node is no root")
		}
		d.path = append(d.path, '/')
	} else if err = d.enter(parent, id, r, name); err != nil {
		return err
	}
	if len(name)+len(data) > maxSlotted {
		t.putBlob(r, alias(name), data) // large: name and data are a copy
	}
	if err := d.register(id, value); err != nil {
		return err
	}
	sum := pathDigest(alias(d.path))
	t.sum.digest += bodyDigest(sum, r, value, data) + tailDigest(sum, r) + t.nodeGuard(sum, r)
	t.sum.count++
	t.sum.size += int64(len(d.path) + len(data))
	if n := r.numChildren(); n > 0 {
		l := level{id: id, left: uint32(n), pathLen: len(d.path)}
		if parent == nil {
			l.pathLen = 0
		}
		d.stack = append(d.stack, l)
	}
	return nil
}

// record reads the fixed fields of a node. value is the session of an ephemeral node or the TTL of a TTL node.
func (d *loader) record(r *record) (value int64, err error) {
	const fixed = 2 + 2 + 4 + 8 + 8
	b, err := d.in.next(fixed)
	if err != nil {
		return 0, err
	}
	flags := binary.LittleEndian.Uint16(b)
	*r = record{
		nameLen: binary.LittleEndian.Uint16(b[2:]),
		dataLen: int32(binary.LittleEndian.Uint32(b[4:])),
		czxid:   int64(binary.LittleEndian.Uint64(b[8:])),
		ctime:   int64(binary.LittleEndian.Uint64(b[16:])),
	}
	r.mzxid, r.pzxid, r.mtime = r.czxid, r.czxid, r.ctime
	k := kind(flags & kindMask)
	if k > ttl || flags&^knownFlags != 0 || r.dataLen < -1 || r.dataLen > MaxDataBytes {
		return 0, d.in.corrupt("bad node")
	}
	r.setKind(k)
	if b, err = d.in.next(optionalSize(flags)); err != nil {
		return 0, err
	}
	word := func() uint64 {
		v := binary.LittleEndian.Uint64(b)
		b = b[8:]
		return v
	}
	half := func() uint32 {
		v := binary.LittleEndian.Uint32(b)
		b = b[4:]
		return v
	}
	if flags&hasMzxid != 0 {
		r.mzxid = int64(word())
	}
	if flags&hasMtime != 0 {
		r.mtime = int64(word())
	}
	if flags&hasPzxid != 0 {
		r.pzxid = int64(word())
	}
	if k == ephemeral || k == ttl {
		value = int64(word())
	}
	if flags&hasVersion != 0 {
		r.version = int32(half())
	}
	if flags&hasCversion != 0 {
		r.cversion = int32(half())
	}
	if flags&hasAversion != 0 {
		r.aversion = int32(half())
	}
	if flags&hasChildren != 0 {
		r.children = half()
		if uint64(r.children) > d.nodes || k == ephemeral {
			return 0, d.in.corrupt("%d children", r.children)
		}
	}
	if flags&hasACL != 0 {
		if r.acl, err = d.acl(half()); err != nil {
			return 0, err
		}
	}
	d.t.acls.hold(r.acl)
	return value, nil
}

// optionalSize is the bytes of the fields that flags announce, up to the number of the ACL.
func optionalSize(flags uint16) int {
	n := 8*bits.OnesCount16(flags&(hasMzxid|hasMtime|hasPzxid)) +
		4*bits.OnesCount16(flags&(hasVersion|hasCversion|hasAversion|hasChildren|hasACL))
	if k := kind(flags & kindMask); k == ephemeral || k == ttl {
		n += 8
	}
	return n
}

// acl is the list with a number, which follows if it is new.
func (d *loader) acl(no uint32) (uint32, error) {
	if no > 0 && uint64(no) <= uint64(len(d.acls)) {
		return d.acls[no-1], nil
	}
	if no != uint32(len(d.acls))+1 {
		return 0, d.in.corrupt("ACL %d out of order", no)
	}
	n, err := d.in.uint32()
	if err != nil || n > MaxACLEntries {
		return 0, d.in.or(err, "ACL of %d entries", n)
	}
	var list []zk.ACL
	for ; n > 0; n-- {
		perms, err := d.in.uint32()
		if err != nil {
			return 0, err
		}
		a := zk.ACL{Perms: zk.Perms(perms)}
		if a.ID.Scheme, err = d.in.string(); err != nil {
			return 0, err
		}
		if a.ID.ID, err = d.in.string(); err != nil {
			return 0, err
		}
		list = append(list, a)
	}
	id := d.t.acls.intern(list)
	d.acls = append(d.acls, id)
	return id, nil
}

// blob reads the name and the data of r and, if they fit a slot, puts them in their place. They last until the next read.
func (d *loader) blob(r *record) (name, data []byte, err error) {
	n := r.blobLen()
	var b []byte
	if n <= maxSlotted {
		if b, err = d.in.next(n); err != nil {
			return nil, nil, err
		}
		p, place := d.t.blobs.alloc(n)
		copy(place, b)
		r.setBlob(p)
	} else {
		if d.large, err = d.in.large(d.large[:0], n); err != nil {
			return nil, nil, err
		}
		b = d.large
	}
	if r.dataLen < 0 {
		return b[:r.nameLen], nil, nil
	}
	return b[:r.nameLen], b[r.nameLen:], nil
}

// enter makes the node the last child of parent and d.path its path.
func (d *loader) enter(parent *level, id uint32, r *record, name []byte) error {
	t := d.t
	d.path = append(append(d.path[:parent.pathLen], '/'), name...)
	if len(name) == 0 || bytes.IndexByte(name, '/') >= 0 || len(d.path) > MaxPathBytes || len(d.stack) > MaxDepth {
		return d.in.corrupt("bad name %q", name)
	}
	d.entries = append(d.entries, uint64(t.hash.tag(alias(d.path)))<<32|uint64(id))
	r.parent, r.prev = parent.id, parent.last
	if parent.last != 0 {
		t.nodes.edit(parent.last).next = id
	} else {
		t.nodes.edit(parent.id).child = id
	}
	parent.last = id
	return nil
}

// isTwin says whether two siblings have one name.
func (d *loader) isTwin(a, b uint32) bool {
	x, y := d.t.nodes.at(a), d.t.nodes.at(b)
	return x.parent == y.parent && bytes.Equal(d.t.name(x), d.t.name(y))
}

// register enters an ephemeral node with its session, a container or TTL node in the reap table.
func (d *loader) register(id uint32, value int64) error {
	t := d.t
	switch t.nodes.at(id).kind() {
	case ephemeral:
		if t.sessions.byID[value] == 0 {
			return d.in.corrupt("%q belongs to no session", d.path)
		}
		t.sum.ephemerals++
		t.sessions.own(t, value, id)
	case ttl:
		if value <= 0 || value > zk.MaxTTL {
			return d.in.corrupt("%q has a TTL of %d ms", d.path, value)
		}
		t.addReap(id, value)
	case container:
		t.addReap(id, 0)
	}
	return nil
}

func (d *loader) trailer() error {
	b, err := d.in.next(8 + len(snapshotEnd))
	if err != nil {
		return err
	}
	if string(b[8:]) != snapshotEnd {
		return d.in.corrupt("no end mark")
	}
	if want, got := binary.LittleEndian.Uint64(b), d.t.Digest(); want != got && !d.anyDigest {
		return d.in.corrupt("digest 0x%x, the nodes give 0x%x", want, got)
	}
	if _, err := d.in.next(1); err == nil {
		return d.in.corrupt("bytes after the end")
	} else if c := (*CorruptError)(nil); !errors.As(err, &c) {
		return err
	}
	return nil
}
