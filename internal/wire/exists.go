package wire

import "gopherwood/zk"

// ExistsRequest asks for exists.
type ExistsRequest struct {
	Path  string
	Watch bool
}

// Append appends the record to b.
func (r *ExistsRequest) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	return AppendBool(b, r.Watch)
}

// Decode reads the record.
func (r *ExistsRequest) Decode(d *Decoder) {
	r.Path = d.String()
	r.Watch = d.Bool()
}

// ExistsResponse answers exists.
type ExistsResponse struct {
	Stat zk.Stat
}

// Append appends the record to b.
func (r *ExistsResponse) Append(b []byte) []byte { return AppendStat(b, &r.Stat) }

// Decode reads the record.
func (r *ExistsResponse) Decode(d *Decoder) { d.Stat(&r.Stat) }
