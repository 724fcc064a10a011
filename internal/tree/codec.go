package tree

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"gopherwood/zk"
)

// codecVersion is the first byte of every command.
const codecVersion = 1

// enforceQuota is added to the kind of a write or multi that is bound by hard limits. A program that does not know it refuses the command.
const enforceQuota = 1 << 7

// localSession is added to the kind of a write or multi of a local session.
const localSession = 1 << 6

// ErrMalformed is wrapped by every error of Command.Decode.
var ErrMalformed = errors.New("malformed command")

// openACL is what most clients send, and so one byte of a command. Read only.
var openACL = zk.OpenACL()

// Append adds the command's bytes to b. It does not check the command, but what is beyond MaxOps, MaxIdentities or MaxEnded, has
// another Kind, or has another Code in an Op than those listed there, does not decode: keep it out of the log.
func (c *Command) Append(b []byte) []byte {
	kind := byte(c.Kind)
	if c.Kind == KindWrite || c.Kind == KindMulti {
		if c.EnforceQuota {
			kind |= enforceQuota
		}
		if c.Local {
			kind |= localSession
		}
	}
	b = append(b, codecVersion, kind)
	switch c.Kind {
	case KindWrite, KindMulti:
		b = binary.LittleEndian.AppendUint64(b, uint64(c.Session))
		b = binary.AppendUvarint(b, uint64(len(c.Auth)))
		for i := range c.Auth {
			b = appendString(appendString(b, c.Auth[i].Scheme), c.Auth[i].ID)
		}
		b = c.appendOps(b)
	case KindCreateSession, KindAttachSession:
		b = binary.LittleEndian.AppendUint64(b, uint64(c.Session))
		b = binary.AppendVarint(b, int64(c.Timeout))
		b = append(b, c.Passwd[:]...)
	case KindCloseSession:
		b = binary.LittleEndian.AppendUint64(b, uint64(c.Session))
	case KindExpire:
		b = binary.AppendUvarint(b, c.Term)
		b = binary.AppendUvarint(b, uint64(len(c.Sessions)))
		for _, id := range c.Sessions {
			b = binary.LittleEndian.AppendUint64(b, uint64(id))
		}
	case KindReap:
		b = binary.AppendUvarint(b, c.Term)
		b = c.appendOps(b)
	case KindConfig:
		b = c.appendOps(b)
	case KindStage, KindRestore, KindUnstage:
		b = binary.LittleEndian.AppendUint64(b, c.Stage)
		if c.Kind != KindUnstage {
			b = binary.AppendUvarint(b, c.Offset)
		}
		b = append(b, c.Data...)
	}
	return b
}

func (c *Command) appendOps(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(c.Ops)))
	for i := range c.Ops {
		b = c.Ops[i].append(b)
	}
	return b
}

func (o *Op) append(b []byte) []byte {
	b = append(b, byte(o.Code))
	b = appendString(b, o.Path)
	switch o.Code {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		b = appendData(b, o.Data)
		b = appendACL(b, o.ACL)
		b = binary.AppendVarint(b, int64(o.Mode))
		if o.Code == zk.OpCreateTTL {
			b = binary.AppendVarint(b, o.TTL)
		}
	case zk.OpDelete, zk.OpCheck:
		b = binary.AppendVarint(b, int64(o.Version))
	case zk.OpSetData:
		b = appendData(b, o.Data)
		b = binary.AppendVarint(b, int64(o.Version))
	case zk.OpSetACL:
		b = appendACL(b, o.ACL)
		b = binary.AppendVarint(b, int64(o.Version))
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendData keeps nil (0) apart from empty (1).
func appendData(b, data []byte) []byte {
	if data == nil {
		return append(b, 0)
	}
	return append(binary.AppendUvarint(b, uint64(len(data))+1), data...)
}

// appendACL writes the open ACL as 0, any other list as its length plus one and its entries.
func appendACL(b []byte, acl []zk.ACL) []byte {
	if isOpen(acl) {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(acl))+1)
	for i := range acl {
		b = binary.AppendVarint(b, int64(acl[i].Perms))
		b = appendString(appendString(b, acl[i].ID.Scheme), acl[i].ID.ID)
	}
	return b
}

// Decode reads a command from exactly the bytes b. The strings and the data of c alias b, and the slices that c had before are
// reused. The error says where b is wrong and wraps ErrMalformed; c is then of no use. Counts are believed only as far as bytes
// remain, so Decode never allocates more than a small multiple of len(b).
func (c *Command) Decode(b []byte) error {
	d := decoder{b: b}
	if v := d.byte(); v != codecVersion && d.err == nil {
		return fmt.Errorf("tree: %w: version %d, not %d", ErrMalformed, v, codecVersion)
	}
	kind := d.byte()
	*c = Command{Kind: Kind(kind &^ (enforceQuota | localSession)), EnforceQuota: kind&enforceQuota != 0, Local: kind&localSession != 0, Auth: c.Auth[:0], Ops: c.Ops[:0], Sessions: c.Sessions[:0], acls: c.acls[:0]}
	if (c.EnforceQuota || c.Local) && c.Kind != KindWrite && c.Kind != KindMulti {
		d.fail("unknown kind")
	}
	switch c.Kind {
	case KindWrite, KindMulti:
		c.Session = d.int64()
		for n := d.count(MaxIdentities, 2); n > 0; n-- {
			c.Auth = append(c.Auth, zk.ID{Scheme: d.string(), ID: d.string()})
		}
		c.decodeOps(&d, MaxOps)
	case KindCreateSession, KindAttachSession:
		c.Session = d.int64()
		c.Timeout = d.varint32()
		copy(c.Passwd[:], d.take(len(c.Passwd)))
	case KindCloseSession:
		c.Session = d.int64()
	case KindExpire:
		c.Term = d.uvarint()
		for n := d.count(MaxEnded, 8); n > 0; n-- {
			c.Sessions = append(c.Sessions, d.int64())
		}
	case KindReap:
		c.Term = d.uvarint()
		c.decodeOps(&d, MaxEnded)
	case KindConfig:
		c.decodeOps(&d, 1)
	case KindStage, KindRestore, KindUnstage:
		c.Stage = uint64(d.int64())
		if c.Kind != KindUnstage {
			c.Offset = d.uvarint()
		}
		if c.Kind == KindStage {
			c.Data = d.take(len(d.b))
		}
	default:
		d.fail("unknown kind")
	}
	return d.close(c)
}

func (c *Command) decodeOps(d *decoder, limit int) {
	n := d.count(limit, 2)
	if n != 1 && (c.Kind == KindWrite || c.Kind == KindConfig) {
		d.fail("not one operation")
	}
	for ; n > 0 && d.err == nil; n-- {
		c.Ops = append(c.Ops, Op{})
		c.decodeOp(d, &c.Ops[len(c.Ops)-1])
	}
}

func (c *Command) decodeOp(d *decoder, o *Op) {
	o.Code = zk.OpCode(d.byte())
	o.Path = d.string()
	switch o.Code {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		o.Data = d.data()
		o.ACL = c.decodeACL(d)
		o.Mode = zk.CreateMode(d.varint32())
		if o.Code == zk.OpCreateTTL {
			o.TTL = d.varint()
		}
	case zk.OpDelete, zk.OpCheck:
		o.Version = d.varint32()
	case zk.OpSetData:
		o.Data = d.data()
		o.Version = d.varint32()
	case zk.OpSetACL:
		o.ACL = c.decodeACL(d)
		o.Version = d.varint32()
	case zk.OpDeleteContainer:
	default:
		d.fail("unknown operation")
	}
}

func (c *Command) decodeACL(d *decoder) []zk.ACL {
	n := d.uvarint()
	if n == 0 {
		return openACL
	}
	n--
	if n > uint64(len(d.b))/3 {
		d.fail("ACL count")
		return nil
	}
	start := len(c.acls)
	for ; n > 0; n-- {
		c.acls = append(c.acls, zk.ACL{Perms: zk.Perms(d.varint32()), ID: zk.ID{Scheme: d.string(), ID: d.string()}})
	}
	return c.acls[start:len(c.acls):len(c.acls)]
}

// decoder reads one command. After its first error everything it returns is zero.
type decoder struct {
	b   []byte // what remains
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("tree: %w: %s, %d bytes from its end", ErrMalformed, what, len(d.b))
	}
	d.b = nil
}

// close is the first error, or one if bytes are left over.
func (d *decoder) close(c *Command) error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("bytes left over")
	}
	if d.err != nil {
		c.Ops, c.Auth, c.Sessions = c.Ops[:0], c.Auth[:0], c.Sessions[:0]
	}
	return d.err
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail("cut short")
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail("cut short")
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) int64() int64 {
	v := d.take(8)
	if v == nil {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(v))
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("bad number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail("bad number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint32() int32 {
	v := d.varint()
	if int64(int32(v)) != v {
		d.fail("number out of range")
		return 0
	}
	return int32(v)
}

// count reads how many things of at least size bytes follow.
func (d *decoder) count(limit, size int) int {
	n := d.uvarint()
	if n > uint64(limit) || n > uint64(len(d.b)/size) {
		d.fail("bad count")
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail("bad length")
		return nil
	}
	return d.take(int(n))
}

func (d *decoder) string() string {
	v := d.bytes()
	return unsafe.String(unsafe.SliceData(v), len(v))
}

func (d *decoder) data() []byte {
	n := d.uvarint()
	if n == 0 {
		return nil
	}
	if n-1 > uint64(len(d.b)) {
		d.fail("bad length")
		return nil
	}
	return d.take(int(n - 1))
}
