package wire

// ConnectRequest is a client's first frame. Clients up to 3.3 end it before ReadOnly; they must be answered likewise.
type ConnectRequest struct {
	ProtocolVersion int32 // 0
	LastZxidSeen    int64
	TimeOut         int32 // ms
	SessionID       int64 // 0: a new session
	Passwd          []byte
	ReadOnly        bool // the client is content with a server that has no quorum
	HasReadOnly     bool // ReadOnly is there
}

// Append appends the record to b, with ReadOnly only if HasReadOnly.
func (r *ConnectRequest) Append(b []byte) []byte {
	b = AppendInt32(b, r.ProtocolVersion)
	b = AppendInt64(b, r.LastZxidSeen)
	b = AppendInt32(b, r.TimeOut)
	b = AppendInt64(b, r.SessionID)
	b = AppendBuffer(b, r.Passwd)
	return appendReadOnly(b, r.ReadOnly, r.HasReadOnly)
}

// Decode reads the record, ReadOnly only if the frame goes on.
func (r *ConnectRequest) Decode(d *Decoder) {
	r.ProtocolVersion = d.Int32()
	r.LastZxidSeen = d.Int64()
	r.TimeOut = d.Int32()
	r.SessionID = d.Int64()
	r.Passwd = d.Buffer()
	r.ReadOnly, r.HasReadOnly = readOnly(d)
}

// ConnectResponse is a server's first frame. A session that cannot be had is answered with SessionID and TimeOut 0 and a
// Passwd of 16 zero bytes.
type ConnectResponse struct {
	ProtocolVersion int32 // 0
	TimeOut         int32 // ms, as the server decided
	SessionID       int64
	Passwd          []byte
	ReadOnly        bool // this server has no quorum
	HasReadOnly     bool // ReadOnly is there: as in the request
}

// Append appends the record to b, with ReadOnly only if HasReadOnly.
func (r *ConnectResponse) Append(b []byte) []byte {
	b = AppendInt32(b, r.ProtocolVersion)
	b = AppendInt32(b, r.TimeOut)
	b = AppendInt64(b, r.SessionID)
	b = AppendBuffer(b, r.Passwd)
	return appendReadOnly(b, r.ReadOnly, r.HasReadOnly)
}

// Decode reads the record, ReadOnly only if the frame goes on.
func (r *ConnectResponse) Decode(d *Decoder) {
	r.ProtocolVersion = d.Int32()
	r.TimeOut = d.Int32()
	r.SessionID = d.Int64()
	r.Passwd = d.Buffer()
	r.ReadOnly, r.HasReadOnly = readOnly(d)
}

func appendReadOnly(b []byte, value, present bool) []byte {
	if !present {
		return b
	}
	return AppendBool(b, value)
}

func readOnly(d *Decoder) (value, present bool) {
	if d.Remaining() == 0 {
		return false, false
	}
	return d.Bool(), true
}
