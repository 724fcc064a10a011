package wire

import "gopherwood/zk"

// GetDataRequest asks for getData.
type GetDataRequest struct {
	Path  string
	Watch bool
}

// Append appends the record to b.
func (r *GetDataRequest) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	return AppendBool(b, r.Watch)
}

// Decode reads the record.
func (r *GetDataRequest) Decode(d *Decoder) {
	r.Path = d.String()
	r.Watch = d.Bool()
}

// GetDataResponse answers getData and reconfig. Data that was never set is nil, not empty.
type GetDataResponse struct {
	Data []byte
	Stat zk.Stat
}

// Append appends the record to b.
func (r *GetDataResponse) Append(b []byte) []byte {
	b = AppendBuffer(b, r.Data)
	return AppendStat(b, &r.Stat)
}

// Decode reads the record.
func (r *GetDataResponse) Decode(d *Decoder) {
	r.Data = d.Buffer()
	d.Stat(&r.Stat)
}

// SetDataRequest asks for setData. Version -1 matches any.
type SetDataRequest struct {
	Path    string
	Data    []byte
	Version int32
}

// Append appends the record to b.
func (r *SetDataRequest) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	b = AppendBuffer(b, r.Data)
	return AppendInt32(b, r.Version)
}

// Decode reads the record.
func (r *SetDataRequest) Decode(d *Decoder) {
	r.Path = d.String()
	r.Data = d.Buffer()
	r.Version = d.Int32()
}

// SetDataResponse answers setData.
type SetDataResponse struct {
	Stat zk.Stat
}

// Append appends the record to b.
func (r *SetDataResponse) Append(b []byte) []byte { return AppendStat(b, &r.Stat) }

// Decode reads the record.
func (r *SetDataResponse) Decode(d *Decoder) { d.Stat(&r.Stat) }
