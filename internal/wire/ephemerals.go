package wire

// GetEphemeralsRequest asks for getEphemerals: those of the own session whose path starts with PrefixPath. "" and "/" mean all.
type GetEphemeralsRequest struct {
	PrefixPath string
}

// Append appends the record to b.
func (r *GetEphemeralsRequest) Append(b []byte) []byte { return AppendString(b, r.PrefixPath) }

// Decode reads the record.
func (r *GetEphemeralsRequest) Decode(d *Decoder) { r.PrefixPath = d.String() }

// GetEphemeralsResponse answers getEphemerals with full paths, in no order.
type GetEphemeralsResponse struct {
	Ephemerals []string
}

// Append appends the record to b.
func (r *GetEphemeralsResponse) Append(b []byte) []byte { return AppendStrings(b, r.Ephemerals) }

// Decode reads the record; the slice's space is used again.
func (r *GetEphemeralsResponse) Decode(d *Decoder) { r.Ephemerals = d.Strings(r.Ephemerals) }
