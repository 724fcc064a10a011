package wire

// ReconfigRequest asks for reconfig: either joining and leaving servers, or the whole new membership. What is not given is
// null, which is not the same as empty: hence bytes.
type ReconfigRequest struct {
	JoiningServers []byte // "server.N=…" lines, comma-separated
	LeavingServers []byte // ids, comma-separated
	NewMembers     []byte // "server.N=…" lines, comma-separated
	CurConfigID    int64  // configuration that must be in force; -1: any
}

// Append appends the record to b.
func (r *ReconfigRequest) Append(b []byte) []byte {
	b = AppendBuffer(b, r.JoiningServers)
	b = AppendBuffer(b, r.LeavingServers)
	b = AppendBuffer(b, r.NewMembers)
	return AppendInt64(b, r.CurConfigID)
}

// Decode reads the record.
func (r *ReconfigRequest) Decode(d *Decoder) {
	r.JoiningServers = d.Buffer()
	r.LeavingServers = d.Buffer()
	r.NewMembers = d.Buffer()
	r.CurConfigID = d.Int64()
}
