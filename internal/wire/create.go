package wire

import "gopherwood/zk"

// CreateRequest asks for create, create2 and createContainer.
type CreateRequest struct {
	Path  string
	Data  []byte
	ACL   []zk.ACL
	Flags zk.CreateMode
}

// Append appends the record to b.
func (r *CreateRequest) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	b = AppendBuffer(b, r.Data)
	b = AppendACLs(b, r.ACL)
	return AppendInt32(b, int32(r.Flags))
}

// Decode reads the record; ACL's space is used again.
func (r *CreateRequest) Decode(d *Decoder) {
	r.Path = d.String()
	r.Data = d.Buffer()
	r.ACL = d.ACLs(r.ACL)
	r.Flags = zk.CreateMode(d.Int32())
}

// CreateTTLRequest asks for createTTL.
type CreateTTLRequest struct {
	Path  string
	Data  []byte
	ACL   []zk.ACL
	Flags zk.CreateMode
	TTL   int64 // ms
}

// Append appends the record to b.
func (r *CreateTTLRequest) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	b = AppendBuffer(b, r.Data)
	b = AppendACLs(b, r.ACL)
	b = AppendInt32(b, int32(r.Flags))
	return AppendInt64(b, r.TTL)
}

// Decode reads the record; ACL's space is used again.
func (r *CreateTTLRequest) Decode(d *Decoder) {
	r.Path = d.String()
	r.Data = d.Buffer()
	r.ACL = d.ACLs(r.ACL)
	r.Flags = zk.CreateMode(d.Int32())
	r.TTL = d.Int64()
}

// CreateResponse answers create with the path as it became.
type CreateResponse struct {
	Path string
}

// Append appends the record to b.
func (r *CreateResponse) Append(b []byte) []byte { return AppendString(b, r.Path) }

// Decode reads the record.
func (r *CreateResponse) Decode(d *Decoder) { r.Path = d.String() }

// Create2Response answers create2, createContainer and createTTL.
type Create2Response struct {
	Path string
	Stat zk.Stat
}

// Append appends the record to b.
func (r *Create2Response) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	return AppendStat(b, &r.Stat)
}

// Decode reads the record.
func (r *Create2Response) Decode(d *Decoder) {
	r.Path = d.String()
	d.Stat(&r.Stat)
}
