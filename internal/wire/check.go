package wire

// CheckVersionRequest is the check operation of a multi. Version -1 matches any.
type CheckVersionRequest struct {
	Path    string
	Version int32
}

// Append appends the record to b.
func (r *CheckVersionRequest) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	return AppendInt32(b, r.Version)
}

// Decode reads the record.
func (r *CheckVersionRequest) Decode(d *Decoder) {
	r.Path = d.String()
	r.Version = d.Int32()
}
