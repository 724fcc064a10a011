package core

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// Operations, records and inodes in bytes: small numbers are uvarints, texts have their length before them, lists their count. Equal things have equal
// bytes: attributes are in order.
//
//	op       version, kind, mask of the fields that are set, those fields in the order of their bits
//	record   sequence number, time, epoch, length of the op, op
//	inode    number, parent, name, flags, mode, owner, size, mtime, ctime, attributes, blocks

const opVersion = 1

// kinds are the kinds by their number, which must not change. The empty one is of no operation.
var kinds = [...]Kind{"", Mkdir, Create, AddBlock, Rename, Delete, SetAttr, Register, Heartbeat, Lose, Mount, Unmount, Import, Imported, Begin}

// Begin is a journal's record that begins an epoch; it is no operation.
const Begin Kind = "begin"

// The bits of the mask.
const (
	hasPath = 1 << iota
	hasTo
	hasParents
	hasRecursive
	hasReplace
	hasMode
	hasOwner
	hasAttrs
	hasAddr
	hasSize
	hasWorker
	hasUsed
	hasBlocks
	hasSince
	hasTerm
	hasRecords
)

var errCodec = errors.New("core: the bytes of an operation or inode can't be read")

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (o *Op) mask() (m uint64) {
	for i, set := range [...]bool{
		o.Path != "", o.To != "", o.Parents, o.Recursive, o.Replace, o.Mode != nil, o.Owner != "", len(o.Attrs) > 0, o.Addr != "", o.Size != 0,
		o.Worker != 0, o.Used != 0, len(o.Blocks) > 0, o.Since != 0, o.Term != 0, len(o.Records) > 0,
	} {
		if set {
			m |= 1 << i
		}
	}
	return m
}

// Append appends the operation's bytes.
func (o *Op) Append(b []byte) []byte {
	kind := max(0, slices.Index(kinds[:], o.Kind))
	m := o.mask()
	b = binary.AppendUvarint(append(b, opVersion, byte(kind)), m)
	for i, s := range [...]string{0: o.Path, 1: o.To, 6: o.Owner, 8: o.Addr} {
		if m&(1<<i) != 0 && s != "" {
			b = appendText(b, s)
		}
	}
	if o.Mode != nil {
		b = binary.AppendUvarint(b, uint64(*o.Mode))
	}
	if m&hasAttrs != 0 {
		b = appendAttrs(b, o.Attrs)
	}
	for i, v := range [...]uint64{9: uint64(o.Size), 10: o.Worker, 11: uint64(o.Used), 13: uint64(o.Since), 14: o.Term} {
		if m&(1<<i) != 0 && v != 0 {
			b = binary.AppendUvarint(b, v)
		}
	}
	if m&hasBlocks != 0 {
		b = binary.AppendUvarint(b, uint64(len(o.Blocks)))
		for _, v := range o.Blocks {
			b = binary.AppendUvarint(b, v)
		}
	}
	if m&hasRecords != 0 {
		b = binary.AppendUvarint(b, uint64(len(o.Records)))
		for i := range o.Records {
			rec := o.Records[i].Append(nil)
			b = append(binary.AppendUvarint(b, uint64(len(rec))), rec...)
		}
	}
	return b
}

func appendAttrs(b []byte, attrs map[string]string) []byte {
	b = binary.AppendUvarint(b, uint64(len(attrs)))
	for _, k := range slices.Sorted(maps.Keys(attrs)) {
		b = appendText(appendText(b, k), attrs[k])
	}
	return b
}

// Decode reads what Append wrote. An operation that this version does not know has the kind "".
func (o *Op) Decode(b []byte) error { return o.decode(b, false) }

// decode is Decode; nested is for an operation in a record of an import, which holds no records itself.
func (o *Op) decode(b []byte, nested bool) error {
	*o = Op{}
	d := decoder{b: b}
	version, kind, m := d.byte(), d.byte(), d.uvarint()
	if version != opVersion || m >= hasRecords<<1 {
		return errCodec
	}
	if int(kind) < len(kinds) {
		o.Kind = kinds[kind]
	}
	for i, p := range [...]*string{0: &o.Path, 1: &o.To, 6: &o.Owner, 8: &o.Addr} {
		if p != nil && m&(1<<i) != 0 {
			*p = d.text()
		}
	}
	o.Parents, o.Recursive, o.Replace = m&hasParents != 0, m&hasRecursive != 0, m&hasReplace != 0
	if m&hasMode != 0 {
		mode := uint32(d.uvarint())
		o.Mode = &mode
	}
	if m&hasAttrs != 0 {
		o.Attrs = d.attrs()
	}
	var size, used, since uint64
	for i, p := range [...]*uint64{9: &size, 10: &o.Worker, 11: &used, 13: &since, 14: &o.Term} {
		if p != nil && m&(1<<i) != 0 {
			*p = d.uvarint()
		}
	}
	o.Size, o.Used, o.Since = int64(size), int64(used), int64(since)
	if m&hasBlocks != 0 {
		for range d.count(1) {
			o.Blocks = append(o.Blocks, d.uvarint())
		}
	}
	if m&hasRecords != 0 {
		for range d.count(6) {
			var rec Record
			one := d.take(d.uvarint())
			if nested { // there is no such thing, and it would have no end
				return errCodec
			}
			if err := rec.decode(one, true); err != nil {
				return err
			}
			o.Records = append(o.Records, rec)
		}
	}
	return d.end()
}

// Append appends the record's bytes.
func (r *Record) Append(b []byte) []byte {
	for _, v := range [...]uint64{r.Seq, uint64(r.TimeMs), r.Epoch} {
		b = binary.AppendUvarint(b, v)
	}
	return r.Op.Append(b)
}

// Decode reads what Append wrote.
func (r *Record) Decode(b []byte) error { return r.decode(b, false) }

func (r *Record) decode(b []byte, nested bool) error {
	d := decoder{b: b}
	r.Seq, r.TimeMs, r.Epoch = d.uvarint(), int64(d.uvarint()), d.uvarint()
	if d.bad {
		return errCodec
	}
	return r.Op.decode(d.b, nested)
}

func (n *inode) append(b []byte) []byte {
	flags := uint64(0)
	if n.Dir {
		flags = 1
	}
	b = appendText(binary.AppendUvarint(binary.AppendUvarint(b, n.ID), n.Parent), n.Name)
	b = appendText(binary.AppendUvarint(binary.AppendUvarint(b, flags), uint64(n.Mode)), n.Owner)
	for _, v := range [...]int64{n.Size, n.MtimeMs, n.CtimeMs} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	b = binary.AppendUvarint(appendAttrs(b, n.Attrs), uint64(len(n.Blocks)))
	for _, k := range n.Blocks {
		b = binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(b, k.ID), uint64(k.Size)), uint64(len(k.Workers)))
		for _, w := range k.Workers {
			b = binary.AppendUvarint(b, w)
		}
	}
	return b
}

func (n *inode) decode(b []byte) error {
	d := decoder{b: b}
	n.ID, n.Parent, n.Name = d.uvarint(), d.uvarint(), d.text()
	flags := d.uvarint()
	n.Dir, n.Mode, n.Owner = flags == 1, uint32(d.uvarint()), d.text()
	n.Size, n.MtimeMs, n.CtimeMs = int64(d.uvarint()), int64(d.uvarint()), int64(d.uvarint())
	n.Attrs = d.attrs()
	for range d.count(3) {
		k := Block{ID: d.uvarint(), Size: int64(d.uvarint())}
		for range d.count(1) {
			k.Workers = append(k.Workers, d.uvarint())
		}
		n.Blocks = append(n.Blocks, k)
	}
	if flags > 1 {
		return errCodec
	}
	return d.end()
}

// decoder reads little things; after the first mistake everything is zero and bad is set.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	t := d.b[:n]
	d.b = d.b[n:]
	return t
}

func (d *decoder) byte() byte {
	if t := d.take(1); t != nil {
		return t[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, k := binary.Uvarint(d.b)
	if k <= 0 || d.bad {
		d.bad = true
		return 0
	}
	d.b = d.b[k:]
	return v
}

func (d *decoder) text() string { return string(d.take(d.uvarint())) }

// count reads a count of things of at least size bytes each.
func (d *decoder) count(size uint64) int {
	n := d.uvarint()
	if n > uint64(len(d.b))/size {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) attrs() map[string]string {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	attrs := make(map[string]string, n)
	for range n {
		k := d.text()
		attrs[k] = d.text()
	}
	return attrs
}

func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return errCodec
	}
	return nil
}
