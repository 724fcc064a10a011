package peer

import (
	"encoding/binary"
	"fmt"
	"math"
)

// AppendMessage adds m's encoding to b. A message that no peer may get (of no kind, or a raft message meant for a local
// thread) is a broken invariant of the caller and panics. It reads m, and what m points to, only during the call.
func AppendMessage(b []byte, m *Message) []byte {
	b = append(b, uint8(m.Kind))
	b = binary.LittleEndian.AppendUint64(b, m.From)
	b = binary.LittleEndian.AppendUint64(b, m.To)
	switch m.Kind {
	case KindRaft:
		return appendRaft(b, m)
	case KindOrigin:
		return appendOrigin(b, &m.Origin)
	case KindApp:
		return appendBytes(b, m.App)
	case KindProbe, KindProbeReply:
		return appendProbe(b, &m.Probe)
	case KindJoin, KindJoinReply:
		return appendJoin(b, &m.Join)
	}
	panic(fmt.Sprintf("peer: message from %x to %x of %v", m.From, m.To, m.Kind))
}

// DecodeMessage reads one message that fills b. The message aliases b: the caller hands b over. Every error wraps
// ErrMalformed; a kind, field or flag that this version does not know is one. What it allocates is bounded by len(b) and,
// for a raft message's entries, by 128 bytes for each.
func DecodeMessage(b []byte) (*Message, error) {
	return decode(decoder{b: b})
}

// decodeShared is DecodeMessage for a buffer that will be used again: the message aliases nothing of it.
func decodeShared(b []byte) (*Message, error) {
	return decode(decoder{b: b, shared: true})
}

func decode(d decoder) (*Message, error) {
	if len(d.b) > MaxMessageBytes {
		return nil, fmt.Errorf("%w: of %d bytes", ErrMalformed, len(d.b))
	}
	kind, from, to := Kind(d.uint8()), d.uint64(), d.uint64()
	if d.err == nil && !kind.valid() {
		d.fail("of %v", kind)
	}
	if d.err != nil {
		return nil, d.err
	}
	var m *Message
	if kind == KindRaft {
		m = decodeRaft(&d, from, to)
	} else {
		m = &Message{Kind: kind, From: from, To: to}
		switch kind {
		case KindOrigin:
			decodeOrigin(&d, &m.Origin)
		case KindApp:
			m.App = d.bytes()
		case KindProbe, KindProbeReply:
			decodeProbe(&d, &m.Probe)
		case KindJoin, KindJoinReply:
			decodeJoin(&d, &m.Join)
		}
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	return m, nil
}

func appendOrigin(b []byte, o *OriginBatch) []byte {
	b = binary.LittleEndian.AppendUint64(b, o.Origin)
	b = binary.AppendUvarint(b, o.First)
	b = binary.AppendUvarint(b, o.Ack)
	b = binary.AppendUvarint(b, uint64(o.Count))
	return appendBytes(b, o.Data)
}

func decodeOrigin(d *decoder, o *OriginBatch) {
	o.Origin = d.uint64()
	o.First = d.uvarint()
	o.Ack = d.uvarint()
	o.Count = uint32(d.count("commands", 1, math.MaxInt32))
	o.Data = d.bytes()
	if o.First > math.MaxUint64-uint64(o.Count) {
		d.fail("%d commands from number %d", o.Count, o.First)
	}
	// What follows walks the commands once, so that whoever takes them apart need not expect an error.
	walk := decoder{b: o.Data}
	for range o.Count {
		walk.b = walk.b[walk.count("bytes of a command", 1, MaxMessageBytes):]
	}
	if err := walk.finish(); err != nil {
		d.fail("its data is not %d commands", o.Count)
	}
}

func appendProbe(b []byte, p *Probe) []byte {
	b = appendBool(b, p.Established)
	b = binary.LittleEndian.AppendUint64(b, p.ClusterID)
	b = binary.LittleEndian.AppendUint64(b, p.RaftID)
	b = binary.LittleEndian.AppendUint64(b, p.Leader)
	b = binary.AppendUvarint(b, p.Term)
	b = binary.AppendUvarint(b, p.Commit)
	b = binary.AppendUvarint(b, uint64(len(p.Members)))
	for i := range p.Members {
		b = appendMember(b, &p.Members[i])
	}
	return b
}

func decodeProbe(d *decoder, p *Probe) {
	p.Established = d.bool()
	p.ClusterID = d.uint64()
	p.RaftID = d.uint64()
	p.Leader = d.uint64()
	p.Term = d.uvarint()
	p.Commit = d.uvarint()
	n := d.count("members", minMemberBytes, maxMembers)
	if n == 0 {
		return
	}
	p.Members = make([]Member, n)
	for i := range p.Members {
		decodeMember(d, &p.Members[i])
	}
}

func appendJoin(b []byte, j *Join) []byte {
	b = appendMember(b, &j.Member)
	b = appendBool(b, j.OK)
	b = appendString(b, j.Reason)
	return binary.LittleEndian.AppendUint64(b, j.ClusterID)
}

func decodeJoin(d *decoder, j *Join) {
	decodeMember(d, &j.Member)
	j.OK = d.bool()
	j.Reason = d.string(maxReasonBytes)
	j.ClusterID = d.uint64()
}

// minMemberBytes is the least that a member takes: two ids, two lengths and two booleans.
const minMemberBytes = 2 + 8 + 1 + 1 + 1 + 1

func appendMember(b []byte, m *Member) []byte {
	b = binary.LittleEndian.AppendUint16(b, m.ServerID)
	b = binary.LittleEndian.AppendUint64(b, m.RaftID)
	b = appendString(b, m.PeerAddr)
	b = appendString(b, m.ClientAddr)
	return appendBool(appendBool(b, m.Learner), m.Observer)
}

func decodeMember(d *decoder, m *Member) {
	m.ServerID = d.uint16()
	m.RaftID = d.uint64()
	m.PeerAddr = d.string(maxAddrBytes)
	m.ClientAddr = d.string(maxAddrBytes)
	m.Learner = d.bool()
	m.Observer = d.bool()
}

func appendBytes(b, v []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendString(b []byte, v string) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
