package wire

import "gopherwood/zk"

// GetACLRequest asks for getACL.
type GetACLRequest struct {
	Path string
}

// Append appends the record to b.
func (r *GetACLRequest) Append(b []byte) []byte { return AppendString(b, r.Path) }

// Decode reads the record.
func (r *GetACLRequest) Decode(d *Decoder) { r.Path = d.String() }

// GetACLResponse answers getACL.
type GetACLResponse struct {
	ACL  []zk.ACL
	Stat zk.Stat
}

// Append appends the record to b.
func (r *GetACLResponse) Append(b []byte) []byte {
	b = AppendACLs(b, r.ACL)
	return AppendStat(b, &r.Stat)
}

// Decode reads the record; the slice's space is used again.
func (r *GetACLResponse) Decode(d *Decoder) {
	r.ACL = d.ACLs(r.ACL)
	d.Stat(&r.Stat)
}

// SetACLRequest asks for setACL. Version is compared with the node's Aversion; -1 matches any.
type SetACLRequest struct {
	Path    string
	ACL     []zk.ACL
	Version int32
}

// Append appends the record to b.
func (r *SetACLRequest) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	b = AppendACLs(b, r.ACL)
	return AppendInt32(b, r.Version)
}

// Decode reads the record; ACL's space is used again.
func (r *SetACLRequest) Decode(d *Decoder) {
	r.Path = d.String()
	r.ACL = d.ACLs(r.ACL)
	r.Version = d.Int32()
}

// SetACLResponse answers setACL.
type SetACLResponse struct {
	Stat zk.Stat
}

// Append appends the record to b.
func (r *SetACLResponse) Append(b []byte) []byte { return AppendStat(b, &r.Stat) }

// Decode reads the record.
func (r *SetACLResponse) Decode(d *Decoder) { d.Stat(&r.Stat) }
