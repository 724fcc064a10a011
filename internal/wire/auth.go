package wire

// AuthPacket adds an identity to a connection. It is answered with a header whose xid is zk.XidAuth.
type AuthPacket struct {
	Type   int32 // 0
	Scheme string
	Auth   []byte // the scheme's credentials, "user:password" for digest
}

// Append appends the record to b.
func (r *AuthPacket) Append(b []byte) []byte {
	b = AppendInt32(b, r.Type)
	b = AppendString(b, r.Scheme)
	return AppendBuffer(b, r.Auth)
}

// Decode reads the record.
func (r *AuthPacket) Decode(d *Decoder) {
	r.Type = d.Int32()
	r.Scheme = d.String()
	r.Auth = d.Buffer()
}

// ClientInfo is one identity of a client, as whoAmI shows it.
type ClientInfo struct {
	AuthScheme string
	User       string // for digest without the hash
}

// WhoAmIResponse answers whoAmI, whose request has no record.
type WhoAmIResponse struct {
	ClientInfo []ClientInfo
}

// Append appends the record to b.
func (r *WhoAmIResponse) Append(b []byte) []byte {
	if r.ClientInfo == nil {
		return AppendInt32(b, -1)
	}
	b = AppendInt32(b, int32(len(r.ClientInfo)))
	for i := range r.ClientInfo {
		b = AppendString(b, r.ClientInfo[i].AuthScheme)
		b = AppendString(b, r.ClientInfo[i].User)
	}
	return b
}

// Decode reads the record; the slice's space is used again.
func (r *WhoAmIResponse) Decode(d *Decoder) {
	n := d.Count(minClientInfo)
	if n < 0 {
		r.ClientInfo = nil
		return
	}
	r.ClientInfo = emptied(r.ClientInfo, n)
	for range n {
		r.ClientInfo = append(r.ClientInfo, ClientInfo{AuthScheme: d.String(), User: d.String()})
	}
}

// GetSASLRequest carries a client's step of a SASL exchange (operation sasl).
type GetSASLRequest struct {
	Token []byte
}

// Append appends the record to b.
func (r *GetSASLRequest) Append(b []byte) []byte { return AppendBuffer(b, r.Token) }

// Decode reads the record.
func (r *GetSASLRequest) Decode(d *Decoder) { r.Token = d.Buffer() }

// SetSASLResponse carries the server's step.
type SetSASLResponse struct {
	Token []byte
}

// Append appends the record to b.
func (r *SetSASLResponse) Append(b []byte) []byte { return AppendBuffer(b, r.Token) }

// Decode reads the record.
func (r *SetSASLResponse) Decode(d *Decoder) { r.Token = d.Buffer() }
