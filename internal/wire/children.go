package wire

import "gopherwood/zk"

// GetChildrenRequest asks for getChildren.
type GetChildrenRequest struct {
	Path  string
	Watch bool
}

// Append appends the record to b.
func (r *GetChildrenRequest) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	return AppendBool(b, r.Watch)
}

// Decode reads the record.
func (r *GetChildrenRequest) Decode(d *Decoder) {
	r.Path = d.String()
	r.Watch = d.Bool()
}

// GetChildrenResponse answers getChildren, in no order. A server that has no slice of names appends the same bytes with BeginVector.
type GetChildrenResponse struct {
	Children []string
}

// Append appends the record to b.
func (r *GetChildrenResponse) Append(b []byte) []byte { return AppendStrings(b, r.Children) }

// Decode reads the record; the slice's space is used again.
func (r *GetChildrenResponse) Decode(d *Decoder) { r.Children = d.Strings(r.Children) }

// GetChildren2Request asks for getChildren2.
type GetChildren2Request struct {
	Path  string
	Watch bool
}

// Append appends the record to b.
func (r *GetChildren2Request) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	return AppendBool(b, r.Watch)
}

// Decode reads the record.
func (r *GetChildren2Request) Decode(d *Decoder) {
	r.Path = d.String()
	r.Watch = d.Bool()
}

// GetChildren2Response answers getChildren2.
type GetChildren2Response struct {
	Children []string
	Stat     zk.Stat
}

// Append appends the record to b.
func (r *GetChildren2Response) Append(b []byte) []byte {
	b = AppendStrings(b, r.Children)
	return AppendStat(b, &r.Stat)
}

// Decode reads the record; the slice's space is used again.
func (r *GetChildren2Response) Decode(d *Decoder) {
	r.Children = d.Strings(r.Children)
	d.Stat(&r.Stat)
}

// GetAllChildrenNumberRequest asks for getAllChildrenNumber.
type GetAllChildrenNumberRequest struct {
	Path string
}

// Append appends the record to b.
func (r *GetAllChildrenNumberRequest) Append(b []byte) []byte { return AppendString(b, r.Path) }

// Decode reads the record.
func (r *GetAllChildrenNumberRequest) Decode(d *Decoder) { r.Path = d.String() }

// GetAllChildrenNumberResponse answers getAllChildrenNumber with the number of all nodes below, at any depth.
type GetAllChildrenNumberResponse struct {
	TotalNumber int32
}

// Append appends the record to b.
func (r *GetAllChildrenNumberResponse) Append(b []byte) []byte { return AppendInt32(b, r.TotalNumber) }

// Decode reads the record.
func (r *GetAllChildrenNumberResponse) Decode(d *Decoder) { r.TotalNumber = d.Int32() }
