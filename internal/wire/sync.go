package wire

// SyncRequest asks for sync. The path need not exist.
type SyncRequest struct {
	Path string
}

// Append appends the record to b.
func (r *SyncRequest) Append(b []byte) []byte { return AppendString(b, r.Path) }

// Decode reads the record.
func (r *SyncRequest) Decode(d *Decoder) { r.Path = d.String() }

// SyncResponse answers sync with the request's path.
type SyncResponse struct {
	Path string
}

// Append appends the record to b.
func (r *SyncResponse) Append(b []byte) []byte { return AppendString(b, r.Path) }

// Decode reads the record.
func (r *SyncResponse) Decode(d *Decoder) { r.Path = d.String() }
