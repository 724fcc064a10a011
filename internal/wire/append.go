package wire

import (
	"encoding/binary"

	"gopherwood/zk"
)

// The functions below append one primitive to b and return the longer slice, as append does. A string, buffer or vector
// too long for its int32 is not noticed here but by EndFrame, whose frame is then too long as well.

// AppendBool appends a boolean.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// AppendInt32 appends an int.
func AppendInt32(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }

// AppendInt64 appends a long.
func AppendInt64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

// AppendString appends a string, "" as an empty one.
func AppendString(b []byte, s string) []byte {
	b = AppendInt32(b, int32(len(s)))
	return append(b, s...)
}

// AppendStringBytes appends a string whose bytes are in p, nil as an empty one.
func AppendStringBytes(b, p []byte) []byte {
	b = AppendInt32(b, int32(len(p)))
	return append(b, p...)
}

// AppendBuffer appends a buffer, nil as null.
func AppendBuffer(b, p []byte) []byte {
	if p == nil {
		return AppendInt32(b, -1)
	}
	b = AppendInt32(b, int32(len(p)))
	return append(b, p...)
}

// AppendStrings appends a vector of strings, nil as null.
func AppendStrings(b []byte, v []string) []byte {
	if v == nil {
		return AppendInt32(b, -1)
	}
	b = AppendInt32(b, int32(len(v)))
	for _, s := range v {
		b = AppendString(b, s)
	}
	return b
}

// AppendACLs appends a vector of ACLs, nil as null.
func AppendACLs(b []byte, v []zk.ACL) []byte {
	if v == nil {
		return AppendInt32(b, -1)
	}
	b = AppendInt32(b, int32(len(v)))
	for i := range v {
		b = AppendInt32(b, int32(v[i].Perms))
		b = AppendString(b, v[i].ID.Scheme)
		b = AppendString(b, v[i].ID.ID)
	}
	return b
}

// StatSize is the length of a Stat, in bytes.
const StatSize = 68

// AppendStat appends a Stat.
func AppendStat(b []byte, s *zk.Stat) []byte {
	n := len(b)
	b = append(b, make([]byte, StatSize)...) // grows in place: make's slice is never built
	p := b[n : n+StatSize]
	binary.BigEndian.PutUint64(p[0:], uint64(s.Czxid))
	binary.BigEndian.PutUint64(p[8:], uint64(s.Mzxid))
	binary.BigEndian.PutUint64(p[16:], uint64(s.Ctime))
	binary.BigEndian.PutUint64(p[24:], uint64(s.Mtime))
	binary.BigEndian.PutUint32(p[32:], uint32(s.Version))
	binary.BigEndian.PutUint32(p[36:], uint32(s.Cversion))
	binary.BigEndian.PutUint32(p[40:], uint32(s.Aversion))
	binary.BigEndian.PutUint64(p[44:], uint64(s.EphemeralOwner))
	binary.BigEndian.PutUint32(p[52:], uint32(s.DataLength))
	binary.BigEndian.PutUint32(p[56:], uint32(s.NumChildren))
	binary.BigEndian.PutUint64(p[60:], uint64(s.Pzxid))
	return b
}

// BeginVector appends the count of a vector that is not known yet, for elements that are appended as they are found. Give
// mark and the count to EndVector.
func BeginVector(b []byte) (_ []byte, mark int) {
	return append(b, 0, 0, 0, 0), len(b)
}

// EndVector writes the count at mark. Nothing before mark may have been cut from b in between.
func EndVector(b []byte, mark, count int) {
	binary.BigEndian.PutUint32(b[mark:], uint32(count))
}
