package wire

import "gopherwood/zk"

// RequestHeader starts every request but the ConnectRequest. The client counts Xid up from 1; the negative ones are zk.Xid….
type RequestHeader struct {
	Xid  int32
	Type zk.OpCode
}

// Append appends the record to b.
func (r *RequestHeader) Append(b []byte) []byte {
	b = AppendInt32(b, r.Xid)
	return AppendInt32(b, int32(r.Type))
}

// Decode reads the record.
func (r *RequestHeader) Decode(d *Decoder) {
	r.Xid = d.Int32()
	r.Type = zk.OpCode(d.Int32())
}

// ReplyHeaderSize is the length of a ReplyHeader, in bytes.
const ReplyHeaderSize = 16

// ReplyHeader starts every reply and event. Zxid is the write's own, or for a read the server's last. Nothing follows it
// if Err is not OK.
type ReplyHeader struct {
	Xid  int32
	Zxid int64
	Err  zk.Code
}

// Append appends the record to b.
func (r *ReplyHeader) Append(b []byte) []byte {
	b = AppendInt32(b, r.Xid)
	b = AppendInt64(b, r.Zxid)
	return AppendInt32(b, int32(r.Err))
}

// Decode reads the record.
func (r *ReplyHeader) Decode(d *Decoder) {
	r.Xid = d.Int32()
	r.Zxid = d.Int64()
	r.Err = zk.Code(d.Int32())
}

// ErrorResponse is the reply to addWatch, with OK in it, and the result of a multi's member that failed.
type ErrorResponse struct {
	Err zk.Code
}

// Append appends the record to b.
func (r *ErrorResponse) Append(b []byte) []byte { return AppendInt32(b, int32(r.Err)) }

// Decode reads the record.
func (r *ErrorResponse) Decode(d *Decoder) { r.Err = zk.Code(d.Int32()) }
