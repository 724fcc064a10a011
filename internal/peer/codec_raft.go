package peer

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Flags of a raft message: which of its fields are there. Protobuf keeps an absent field apart from a zero one, so this does too.
const (
	raftTerm = 1 << iota
	raftLogTerm
	raftIndex
	raftCommit
	raftEntries
	raftContext
	raftTo // of the raft message, next to the envelope's
	raftFrom
	raftType
	raftVote
	raftReject // the field is there
	raftRejected
	raftRejectHint
	raftSnapshot
	raftAllFlags = 1<<iota - 1
)

// Flags of an entry.
const (
	entryTerm = 1 << iota
	entryIndex
	entryType
	entryData
	entryAllFlags = 1<<iota - 1
)

// Flags of a snapshot, its metadata and its configuration, in one byte.
const (
	snapMetadata = 1 << iota
	snapIndex
	snapTerm
	snapData
	snapConfState
	snapAutoLeave // the field is there
	snapAutoLeft
	snapAllFlags = 1<<iota - 1
)

// raftBox is a message with everything of fixed size that hangs off it: one allocation.
type raftBox struct {
	m    Message
	raft pb.Message

	typ                                                      pb.MessageType
	reject                                                   bool
	to, from, term, logTerm, index, commit, vote, rejectHint uint64
}

// entryBox is an entry with its numbers: the entries of a message are one slice of these.
type entryBox struct {
	entry       pb.Entry
	term, index uint64
	typ         pb.EntryType
}

func appendRaft(b []byte, envelope *Message) []byte {
	m := envelope.Raft
	if raft.IsLocalMsg(m.GetType()) || !knownType(int32(m.GetType())) || len(m.Responses) != 0 || len(m.Entries) > maxEntries {
		panic(fmt.Sprintf("peer: raft message %v with %d entries and %d responses is not for a peer",
			m.GetType(), len(m.GetEntries()), len(m.GetResponses())))
	}
	b = binary.AppendUvarint(b, raftFlags(m))
	if m.Type != nil {
		b = append(b, uint8(*m.Type))
	}
	if m.To != nil {
		b = binary.AppendUvarint(b, *m.To^envelope.To)
	}
	if m.From != nil {
		b = binary.AppendUvarint(b, *m.From^envelope.From)
	}
	b = appendOptional(b, m.Term)
	b = appendOptional(b, m.LogTerm)
	b = appendOptional(b, m.Index)
	b = appendOptional(b, m.Commit)
	if m.Vote != nil {
		b = binary.LittleEndian.AppendUint64(b, *m.Vote)
	}
	b = appendOptional(b, m.RejectHint)
	if m.Context != nil {
		b = appendBytes(b, m.Context)
	}
	if m.Snapshot != nil {
		b = appendSnapshot(b, m.Snapshot)
	}
	if len(m.Entries) != 0 {
		b = binary.AppendUvarint(b, uint64(len(m.Entries)))
		for _, e := range m.Entries {
			b = appendEntry(b, e)
		}
	}
	return b
}

func raftFlags(m *pb.Message) uint64 {
	return flag(m.Term != nil, raftTerm) | flag(m.LogTerm != nil, raftLogTerm) | flag(m.Index != nil, raftIndex) |
		flag(m.Commit != nil, raftCommit) | flag(len(m.Entries) != 0, raftEntries) | flag(m.Context != nil, raftContext) |
		flag(m.To != nil, raftTo) | flag(m.From != nil, raftFrom) | flag(m.Type != nil, raftType) |
		flag(m.Vote != nil, raftVote) | flag(m.Reject != nil, raftReject) | flag(m.GetReject(), raftRejected) |
		flag(m.RejectHint != nil, raftRejectHint) | flag(m.Snapshot != nil, raftSnapshot)
}

// decodeRaft reads a raft message into a Message of its own.
func decodeRaft(d *decoder, from, to uint64) *Message {
	flags := d.uvarint()
	if flags&^raftAllFlags != 0 || flags&raftReject == 0 && flags&raftRejected != 0 {
		d.fail("raft flags %#x", flags)
	}
	if d.err != nil {
		return nil
	}
	box := &raftBox{m: Message{Kind: KindRaft, From: from, To: to}}
	m := &box.raft
	box.m.Raft = m
	if flags&raftType != 0 {
		box.typ = pb.MessageType(d.uint8())
		m.Type = &box.typ
	}
	if !knownType(int32(box.typ)) || raft.IsLocalMsg(box.typ) {
		d.fail("raft message type %d", box.typ)
	}
	if flags&raftTo != 0 {
		box.to = d.uvarint() ^ to
		m.To = &box.to
	}
	if flags&raftFrom != 0 {
		box.from = d.uvarint() ^ from
		m.From = &box.from
	}
	m.Term = d.optional(flags&raftTerm != 0, &box.term)
	m.LogTerm = d.optional(flags&raftLogTerm != 0, &box.logTerm)
	m.Index = d.optional(flags&raftIndex != 0, &box.index)
	m.Commit = d.optional(flags&raftCommit != 0, &box.commit)
	if flags&raftVote != 0 {
		box.vote = d.uint64()
		m.Vote = &box.vote
	}
	if flags&raftReject != 0 {
		box.reject = flags&raftRejected != 0
		m.Reject = &box.reject
	}
	m.RejectHint = d.optional(flags&raftRejectHint != 0, &box.rejectHint)
	if flags&raftContext != 0 {
		m.Context = d.bytes()
	}
	if flags&raftSnapshot != 0 {
		m.Snapshot = decodeSnapshot(d)
	}
	if flags&raftEntries != 0 {
		m.Entries = decodeEntries(d)
	}
	return &box.m
}

func appendEntry(b []byte, e *pb.Entry) []byte {
	b = append(b, uint8(flag(e.Term != nil, entryTerm)|flag(e.Index != nil, entryIndex)|
		flag(e.Type != nil, entryType)|flag(e.Data != nil, entryData)))
	b = appendOptional(b, e.Term)
	b = appendOptional(b, e.Index)
	if e.Type != nil {
		b = append(b, uint8(*e.Type))
	}
	if e.Data != nil {
		b = appendBytes(b, e.Data)
	}
	return b
}

func decodeEntries(d *decoder) []*pb.Entry {
	n := d.count("entries", 1, maxEntries)
	if n == 0 {
		d.fail("no entries")
		return nil
	}
	entries, boxes := make([]*pb.Entry, n), make([]entryBox, n)
	for i := range boxes {
		box := &boxes[i]
		entries[i] = &box.entry
		if decodeEntry(d, box); d.err != nil {
			return nil
		}
	}
	return entries
}

func decodeEntry(d *decoder, box *entryBox) {
	flags, e := d.uint8(), &box.entry
	if flags&^entryAllFlags != 0 {
		d.fail("entry flags %#x", flags)
	}
	e.Term = d.optional(flags&entryTerm != 0, &box.term)
	e.Index = d.optional(flags&entryIndex != 0, &box.index)
	if flags&entryType != 0 {
		box.typ = pb.EntryType(d.uint8())
		e.Type = &box.typ
		if box.typ > pb.EntryConfChangeV2 {
			d.fail("entry type %d", box.typ)
		}
	}
	if flags&entryData != 0 {
		e.Data = d.bytes()
	}
}

func appendSnapshot(b []byte, s *pb.Snapshot) []byte {
	meta := s.GetMetadata()
	conf := meta.GetConfState()
	b = append(b, uint8(flag(s.Metadata != nil, snapMetadata)|flag(s.Data != nil, snapData)|
		flag(meta != nil && meta.Index != nil, snapIndex)|flag(meta != nil && meta.Term != nil, snapTerm)|
		flag(conf != nil, snapConfState)|flag(conf != nil && conf.AutoLeave != nil, snapAutoLeave)|
		flag(conf.GetAutoLeave(), snapAutoLeft)))
	if meta != nil {
		b = appendOptional(b, meta.Index)
		b = appendOptional(b, meta.Term)
	}
	if conf != nil {
		b = appendIDs(b, conf.Voters)
		b = appendIDs(b, conf.Learners)
		b = appendIDs(b, conf.VotersOutgoing)
		b = appendIDs(b, conf.LearnersNext)
	}
	if s.Data != nil {
		b = appendBytes(b, s.Data)
	}
	return b
}

// snapshotParents is, for each flag of a snapshot's field, the flag of what has to be there to hold it.
var snapshotParents = [...]struct{ child, parent uint8 }{
	{snapIndex, snapMetadata}, {snapTerm, snapMetadata}, {snapConfState, snapMetadata},
	{snapAutoLeave, snapConfState}, {snapAutoLeft, snapAutoLeave},
}

func decodeSnapshot(d *decoder) *pb.Snapshot {
	flags, s := d.uint8(), &pb.Snapshot{}
	for _, p := range snapshotParents {
		if flags&p.child != 0 && flags&p.parent == 0 {
			d.fail("snapshot flags %#x", flags)
		}
	}
	if flags&^uint8(snapAllFlags) != 0 {
		d.fail("snapshot flags %#x", flags)
	}
	if d.err != nil {
		return nil
	}
	if flags&snapMetadata != 0 {
		s.Metadata = &pb.SnapshotMetadata{}
		s.Metadata.Index = d.optional(flags&snapIndex != 0, new(uint64))
		s.Metadata.Term = d.optional(flags&snapTerm != 0, new(uint64))
	}
	if flags&snapConfState != 0 {
		s.Metadata.ConfState = &pb.ConfState{Voters: d.ids(), Learners: d.ids(), VotersOutgoing: d.ids(), LearnersNext: d.ids()}
		if flags&snapAutoLeave != 0 {
			s.Metadata.ConfState.AutoLeave = new(flags&snapAutoLeft != 0)
		}
	}
	if flags&snapData != 0 {
		s.Data = d.bytes()
	}
	return s
}

func appendIDs(b []byte, ids []uint64) []byte {
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint64(b, id)
	}
	return b
}

func (d *decoder) ids() []uint64 {
	n := d.count("ids", 8, maxMembers)
	if n == 0 {
		return nil
	}
	ids := make([]uint64, n)
	for i := range ids {
		ids[i] = d.uint64()
	}
	return ids
}

func appendOptional(b []byte, v *uint64) []byte {
	if v == nil {
		return b
	}
	return binary.AppendUvarint(b, *v)
}

// optional reads a number into v, and returns v, if it is there; nil otherwise.
func (d *decoder) optional(there bool, v *uint64) *uint64 {
	if !there {
		return nil
	}
	*v = d.uvarint()
	return v
}

func flag(set bool, bit uint64) uint64 {
	if set {
		return bit
	}
	return 0
}

func knownType(t int32) bool {
	return t >= 0 && t <= int32(pb.MsgForgetLeader)
}
