package wire

import (
	"strconv"

	"gopherwood/zk"
)

// A multi and its reply are lists without a count. Each member is a MultiHeader and a record; a header with Done ends them:
//
//	| MultiHeader{type, false, -1} | request of that type | …      | MultiHeader{-1, true, -1} |
//	| MultiHeader{type, false, 0}  | reply of that type   | …      | MultiHeader{-1, true, -1} |
//	| MultiHeader{-1, false, err}  | ErrorResponse{err}   | …        for a member that failed

// MultiHeader starts each member of a multi and of its reply.
type MultiHeader struct {
	Type zk.OpCode
	Done bool
	Err  zk.Code
}

// Append appends the record to b.
func (r *MultiHeader) Append(b []byte) []byte {
	b = AppendInt32(b, int32(r.Type))
	b = AppendBool(b, r.Done)
	return AppendInt32(b, int32(r.Err))
}

// Decode reads the record.
func (r *MultiHeader) Decode(d *Decoder) {
	r.Type = zk.OpCode(d.Int32())
	r.Done = d.Bool()
	r.Err = zk.Code(d.Int32())
}

// AppendMultiEnd appends the header that ends a multi or its reply.
func AppendMultiEnd(b []byte) []byte {
	h := MultiHeader{Type: zk.OpError, Done: true, Err: -1}
	return h.Append(b)
}

// Op is one member of a multi or multiRead. Type says which fields count:
//
//	create, create2, createContainer  Path Data ACL Flags
//	createTTL                         Path Data ACL Flags TTL
//	delete, check                     Path Version
//	setData                           Path Data Version
//	getData, getChildren              Path; no watch can be left (its flag is read and ignored, as ZooKeeper does)
type Op struct {
	Type    zk.OpCode
	Version int32
	Flags   zk.CreateMode
	TTL     int64 // ms
	Path    string
	Data    []byte
	ACL     []zk.ACL
}

// IsRead says whether the operation belongs in a multiRead, not in a multi.
func (o *Op) IsRead() bool { return o.Type == zk.OpGetData || o.Type == zk.OpGetChildren }

// Append appends the operation and its header to b. An operation that a multi cannot hold is a mistake of the caller: panic.
func (o *Op) Append(b []byte) []byte {
	h := MultiHeader{Type: o.Type, Err: -1}
	b = h.Append(b)
	b = AppendString(b, o.Path)
	switch o.Type {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer:
		b = AppendBuffer(b, o.Data)
		b = AppendACLs(b, o.ACL)
		return AppendInt32(b, int32(o.Flags))
	case zk.OpCreateTTL:
		b = AppendBuffer(b, o.Data)
		b = AppendACLs(b, o.ACL)
		b = AppendInt32(b, int32(o.Flags))
		return AppendInt64(b, o.TTL)
	case zk.OpDelete, zk.OpCheck:
		return AppendInt32(b, o.Version)
	case zk.OpSetData:
		b = AppendBuffer(b, o.Data)
		return AppendInt32(b, o.Version)
	case zk.OpGetData, zk.OpGetChildren:
		return AppendBool(b, false)
	}
	panic(badMember("operation", o.Type))
}

// decode reads the operation that follows a header of type t; ACL's space is used again.
func (o *Op) decode(d *Decoder, t zk.OpCode) {
	acl := o.ACL
	*o = Op{Type: t}
	switch t {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer:
		o.Path, o.Data, o.ACL, o.Flags = d.String(), d.Buffer(), d.ACLs(acl), zk.CreateMode(d.Int32())
	case zk.OpCreateTTL:
		o.Path, o.Data, o.ACL, o.Flags = d.String(), d.Buffer(), d.ACLs(acl), zk.CreateMode(d.Int32())
		o.TTL = d.Int64()
	case zk.OpDelete, zk.OpCheck:
		o.Path, o.Version = d.String(), d.Int32()
	case zk.OpSetData:
		o.Path, o.Data, o.Version = d.String(), d.Buffer(), d.Int32()
	case zk.OpGetData, zk.OpGetChildren:
		o.Path = d.String()
		d.Bool()
	default:
		d.failf("%s", badMember("operation", t))
	}
}

// MultiRequest is the request of multi and of multiRead. The first holds writes and checks only, the second reads only
// (Op.IsRead); which of the two this is, the request header says and the caller compares.
type MultiRequest struct {
	Ops []Op
}

// Append appends the record to b.
func (r *MultiRequest) Append(b []byte) []byte {
	for i := range r.Ops {
		b = r.Ops[i].Append(b)
	}
	return AppendMultiEnd(b)
}

// Decode reads the record; Ops and their ACLs use their space again. Reads and writes in one multi are an error.
func (r *MultiRequest) Decode(d *Decoder) {
	r.Ops = r.Ops[:0]
	var h MultiHeader
	for {
		h.Decode(d)
		if h.Done || d.err != nil {
			return
		}
		var o *Op
		r.Ops, o = extend(r.Ops, 1+d.Remaining()/minOp)
		o.decode(d, h.Type)
		if o.IsRead() != r.Ops[0].IsRead() {
			d.failf("a multi that mixes reads and writes")
			return
		}
	}
}

// MultiResult is one member of a multi's reply. Type says which fields count:
//
//	create                                Path
//	create2                               Path Stat; also for createContainer and createTTL
//	delete, check                         none
//	setData                               Stat
//	getData                               Data Stat
//	getChildren                           Children
//	error                                 Err: OK for a member before the one that failed
type MultiResult struct {
	Type     zk.OpCode
	Err      zk.Code
	Path     string
	Data     []byte
	Children []string
	Stat     zk.Stat
}

// Append appends the result and its header to b. A type that a reply cannot hold is a mistake of the caller: panic.
func (m *MultiResult) Append(b []byte) []byte {
	h := MultiHeader{Type: m.Type}
	if m.Type == zk.OpError {
		h.Err = m.Err
	}
	b = h.Append(b)
	switch m.Type {
	case zk.OpCreate:
		return AppendString(b, m.Path)
	case zk.OpCreate2:
		return AppendStat(AppendString(b, m.Path), &m.Stat)
	case zk.OpDelete, zk.OpCheck:
		return b
	case zk.OpSetData:
		return AppendStat(b, &m.Stat)
	case zk.OpGetData:
		return AppendStat(AppendBuffer(b, m.Data), &m.Stat)
	case zk.OpGetChildren:
		return AppendStrings(b, m.Children)
	case zk.OpError:
		return AppendInt32(b, int32(m.Err))
	}
	panic(badMember("result", m.Type))
}

// decode reads the result that follows a header of type t; Children's space is used again.
func (m *MultiResult) decode(d *Decoder, t zk.OpCode) {
	children := m.Children
	*m = MultiResult{Type: t}
	switch t {
	case zk.OpCreate:
		m.Path = d.String()
	case zk.OpCreate2:
		m.Path = d.String()
		d.Stat(&m.Stat)
	case zk.OpDelete, zk.OpCheck:
	case zk.OpSetData:
		d.Stat(&m.Stat)
	case zk.OpGetData:
		m.Data = d.Buffer()
		d.Stat(&m.Stat)
	case zk.OpGetChildren:
		m.Children = d.Strings(children)
	case zk.OpError:
		m.Err = zk.Code(d.Int32())
	default:
		d.failf("%s", badMember("result", t))
	}
}

// MultiResponse answers multi and multiRead. A server may append it member by member, then AppendMultiEnd.
type MultiResponse struct {
	Results []MultiResult
}

// Append appends the record to b.
func (r *MultiResponse) Append(b []byte) []byte {
	for i := range r.Results {
		b = r.Results[i].Append(b)
	}
	return AppendMultiEnd(b)
}

// Decode reads the record; Results and their Children use their space again.
func (r *MultiResponse) Decode(d *Decoder) {
	r.Results = r.Results[:0]
	var h MultiHeader
	for {
		h.Decode(d)
		if h.Done || d.err != nil {
			return
		}
		var m *MultiResult
		r.Results, m = extend(r.Results, 1+d.Remaining()/minResult)
		m.decode(d, h.Type)
	}
}

// extend makes s longer by one element and points to it. The element keeps what it held, for its slices to be used again.
// s grows by doubling, but not beyond the most elements that can come: all its slices together are at most three times what
// is needed, and append's would be more.
func extend[T any](s []T, most int) ([]T, *T) {
	if len(s) == cap(s) {
		grown := make([]T, len(s), len(s)+min(max(len(s), 4), most))
		copy(grown, s)
		s = grown
	}
	s = s[:len(s)+1]
	return s, &s[len(s)-1]
}

func badMember(what string, t zk.OpCode) string {
	return "multi with " + what + " type " + strconv.Itoa(int(t))
}
