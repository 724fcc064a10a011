package wire

// DeleteRequest asks for delete. Version -1 matches any.
type DeleteRequest struct {
	Path    string
	Version int32
}

// Append appends the record to b.
func (r *DeleteRequest) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	return AppendInt32(b, r.Version)
}

// Decode reads the record.
func (r *DeleteRequest) Decode(d *Decoder) {
	r.Path = d.String()
	r.Version = d.Int32()
}
