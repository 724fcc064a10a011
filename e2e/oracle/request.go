package oracle

import (
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// filling is what Fill repeats: not one byte only, so that a shift shows.
const filling = "gopherwood."

// payload is the data that a step sends.
func (s *Step) payload() []byte {
	if s.Fill == 0 {
		return s.Data
	}
	b := make([]byte, s.Fill)
	for n := 0; n < len(b); {
		n += copy(b[n:], filling)
	}
	return b
}

// request is the bytes of a step's request, from the xid on. where turns a script's path into a server's.
func (s *Step) request(xid int32, lastZxid int64, where func(string) string) []byte {
	if s.Verb == "raw" {
		h := wire.RequestHeader{Xid: xid, Type: zk.OpCode(s.Code)}
		return append(h.Append(nil), s.Body...)
	}
	h := wire.RequestHeader{Xid: xid, Type: opcodes[s.Verb]}
	b := h.Append(nil)
	switch s.Verb {
	case "ping", "whoAmI", "close":
		return b
	case "multi", "multiRead":
		for i := range s.Members {
			m := &s.Members[i]
			mh := wire.MultiHeader{Type: opcodes[m.Verb], Err: -1}
			b = m.record(mh.Append(b), where)
		}
		return wire.AppendMultiEnd(b)
	case "setWatches", "setWatches2":
		return s.setWatches(b, lastZxid, where)
	case "auth":
		p := wire.AuthPacket{Scheme: s.Scheme, Auth: []byte(s.ID)}
		return p.Append(b)
	}
	return s.record(b, where)
}

// record appends what follows the header of a request, or of a multi's member.
func (s *Step) record(b []byte, where func(string) string) []byte {
	b = wire.AppendString(b, where(s.Path))
	switch s.Verb {
	case "create", "create2", "createContainer", "createTTL":
		b = wire.AppendBuffer(b, s.payload())
		b = wire.AppendACLs(b, s.ACL)
		b = wire.AppendInt32(b, s.Flags)
		if s.Verb == "createTTL" {
			b = wire.AppendInt64(b, s.TTL)
		}
	case "setData":
		b = wire.AppendInt32(wire.AppendBuffer(b, s.payload()), s.Version)
	case "setACL":
		b = wire.AppendInt32(wire.AppendACLs(b, s.ACL), s.Version)
	case "delete", "check":
		b = wire.AppendInt32(b, s.Version)
	case "exists", "getData", "getChildren", "getChildren2":
		b = wire.AppendBool(b, s.Watch)
	case "addWatch", "checkWatches", "removeWatches":
		b = wire.AppendInt32(b, s.Mode)
	}
	return b
}

// setWatches appends the record of setWatches or setWatches2. Rel is "last" (or nothing): what the client has seen; "0"; or "future".
func (s *Step) setWatches(b []byte, lastZxid int64, where func(string) string) []byte {
	var lists [5][]string
	for i, list := range s.Paths {
		lists[i] = []string{}
		for _, p := range list {
			lists[i] = append(lists[i], where(p))
		}
	}
	r := wire.SetWatches2{
		SetWatches:                 wire.SetWatches{RelativeZxid: lastZxid, DataWatches: lists[0], ExistWatches: lists[1], ChildWatches: lists[2]},
		PersistentWatches:          lists[3],
		PersistentRecursiveWatches: lists[4],
	}
	switch s.Rel {
	case "0":
		r.RelativeZxid = 0
	case "future":
		r.RelativeZxid = 1 << 60
	}
	if s.Verb == "setWatches" {
		return r.SetWatches.Append(b)
	}
	return r.Append(b)
}
