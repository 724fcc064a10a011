package raw

import (
	"encoding/binary"
	"fmt"
)

// Operation codes of ZooKeeper (ZooDefs.OpCode).
const (
	OpCreate       = 1
	OpDelete       = 2
	OpExists       = 3
	OpGetData      = 4
	OpSetData      = 5
	OpGetChildren  = 8
	OpSync         = 9
	OpPing         = 11
	OpMulti        = 14
	OpSetWatches   = 101
	OpAddWatch     = 106
	OpCloseSession = -11
)

// Flags of create.
const (
	Persistent           = 0
	Ephemeral            = 1
	PersistentSequential = 2
)

// Header begins a request in b.
func Header(b []byte, xid, op int32) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(xid))
	return binary.BigEndian.AppendUint32(b, uint32(op))
}

// AppendBytes appends a buffer or a string: its length and its bytes.
func AppendBytes[T []byte | string](b []byte, v T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
	return append(b, v...)
}

// Create makes a node that anybody may use.
func Create(b []byte, xid int32, path string, data []byte, flags int32) []byte {
	b = AppendBytes(Header(b, xid, OpCreate), path)
	b = AppendBytes(b, data)
	b = binary.BigEndian.AppendUint32(b, 1)  // one ACL entry
	b = binary.BigEndian.AppendUint32(b, 31) // all permissions
	b = AppendBytes(AppendBytes(b, "world"), "anyone")
	return binary.BigEndian.AppendUint32(b, uint32(flags))
}

// Set changes a node's data if its version is the given one; -1 takes any.
func Set(b []byte, xid int32, path string, data []byte, version int32) []byte {
	b = AppendBytes(Header(b, xid, OpSetData), path)
	b = AppendBytes(b, data)
	return binary.BigEndian.AppendUint32(b, uint32(version))
}

// Delete removes a node if its version is the given one; -1 takes any.
func Delete(b []byte, xid int32, path string, version int32) []byte {
	b = AppendBytes(Header(b, xid, OpDelete), path)
	return binary.BigEndian.AppendUint32(b, uint32(version))
}

// Read is a getData, getChildren or exists without a watch.
func Read(b []byte, xid, op int32, path string) []byte {
	return append(AppendBytes(Header(b, xid, op), path), 0)
}

// Sync asks the server to catch up.
func Sync(b []byte, xid int32, path string) []byte {
	return AppendBytes(Header(b, xid, OpSync), path)
}

// AddWatch sets a persistent watch (mode 0) or a persistent recursive one (mode 1).
func AddWatch(b []byte, xid int32, path string, mode int32) []byte {
	b = AppendBytes(Header(b, xid, OpAddWatch), path)
	return binary.BigEndian.AppendUint32(b, uint32(mode))
}

// Ping is a sign of life; its xid is always XidPing.
func Ping(b []byte) []byte { return Header(b, XidPing, OpPing) }

// CloseSession ends the session.
func CloseSession(b []byte, xid int32) []byte { return Header(b, xid, OpCloseSession) }

// TakeBytes takes a buffer or string off the front of a reply's body.
func TakeBytes(b []byte) (value, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, fmt.Errorf("raw: no length in %d bytes", len(b))
	}
	n := int32(binary.BigEndian.Uint32(b))
	if b = b[4:]; n < 0 {
		return nil, b, nil
	}
	if int(n) > len(b) {
		return nil, nil, fmt.Errorf("raw: %d bytes wanted of %d", n, len(b))
	}
	return b[:n], b[n:], nil
}

// Strings decodes a vector of strings, such as getChildren's.
func Strings(b []byte) ([]string, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("raw: no count in %d bytes", len(b))
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	b = b[4:]
	if n < 0 || n > len(b)/4 {
		return nil, fmt.Errorf("raw: %d strings in %d bytes", n, len(b))
	}
	all := make([]string, n)
	for i := range all {
		var s []byte
		var err error
		if s, b, err = TakeBytes(b); err != nil {
			return nil, err
		}
		all[i] = string(s)
	}
	return all, nil
}

// Stat is a node's status as it comes over the wire.
type Stat struct {
	Czxid, Mzxid, Ctime, Mtime  int64
	Version, Cversion, Aversion int32
	EphemeralOwner              int64
	DataLength, NumChildren     int32
	Pzxid                       int64
}

// statBytes is the size of a Stat.
const statBytes = 68

// ParseStat decodes a Stat.
func ParseStat(b []byte) (Stat, error) {
	if len(b) < statBytes {
		return Stat{}, fmt.Errorf("raw: stat of %d bytes", len(b))
	}
	long := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
	word := func(at int) int32 { return int32(binary.BigEndian.Uint32(b[at:])) }
	return Stat{
		Czxid: long(0), Mzxid: long(8), Ctime: long(16), Mtime: long(24),
		Version: word(32), Cversion: word(36), Aversion: word(40),
		EphemeralOwner: long(44), DataLength: word(52), NumChildren: word(56), Pzxid: long(60),
	}, nil
}
