package peer

import (
	pb "go.etcd.io/raft/v3/raftpb"
	"pgregory.net/rapid"
)

// Random messages of every kind, with every field there or not.

func drawMessage(t *rapid.T) *Message {
	m := &Message{
		Kind: Kind(rapid.IntRange(int(KindRaft), int(KindJoinReply)).Draw(t, "kind")),
		From: drawID(t),
		To:   drawID(t),
	}
	switch m.Kind {
	case KindRaft:
		m.Raft = drawRaft(t, m)
	case KindOrigin:
		m.Origin = drawOrigin(t)
	case KindApp:
		m.App = drawBytes(t)
	case KindProbe, KindProbeReply:
		m.Probe = drawProbe(t)
	case KindJoin, KindJoinReply:
		m.Join = Join{Member: drawMember(t), OK: drawBool(t), Reason: rapid.String().Draw(t, "reason"), ClusterID: drawID(t)}
	}
	return m
}

func drawRaft(t *rapid.T, envelope *Message) *pb.Message {
	m := &pb.Message{
		Type: rapid.SampledFrom([]pb.MessageType{pb.MsgProp, pb.MsgApp, pb.MsgAppResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgSnap,
			pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgTransferLeader, pb.MsgTimeoutNow, pb.MsgReadIndex, pb.MsgReadIndexResp,
			pb.MsgPreVote, pb.MsgPreVoteResp, pb.MsgForgetLeader}).Draw(t, "type").Enum(),
		To:         rapid.SampledFrom([]*uint64{nil, new(envelope.To), new(uint64(7))}).Draw(t, "raft to"),
		From:       rapid.SampledFrom([]*uint64{nil, new(envelope.From), new(uint64(7))}).Draw(t, "raft from"),
		Term:       drawOptional(t),
		LogTerm:    drawOptional(t),
		Index:      drawOptional(t),
		Commit:     drawOptional(t),
		Vote:       drawOptional(t),
		RejectHint: drawOptional(t),
		Reject:     drawOptionalBool(t),
		Context:    drawOptionalBytes(t),
	}
	if drawBool(t) {
		m.Snapshot = drawSnapshot(t)
	}
	for range rapid.IntRange(0, 4).Draw(t, "entries") {
		e := &pb.Entry{Term: drawOptional(t), Index: drawOptional(t), Data: drawOptionalBytes(t)}
		if drawBool(t) {
			e.Type = pb.EntryType(rapid.IntRange(0, 2).Draw(t, "entry type")).Enum()
		}
		m.Entries = append(m.Entries, e)
	}
	return m
}

func drawSnapshot(t *rapid.T) *pb.Snapshot {
	s := &pb.Snapshot{Data: drawOptionalBytes(t)}
	if drawBool(t) {
		s.Metadata = &pb.SnapshotMetadata{Index: drawOptional(t), Term: drawOptional(t)}
		if drawBool(t) {
			s.Metadata.ConfState = &pb.ConfState{Voters: drawIDs(t), Learners: drawIDs(t), VotersOutgoing: drawIDs(t),
				LearnersNext: drawIDs(t), AutoLeave: drawOptionalBool(t)}
		}
	}
	return s
}

func drawOrigin(t *rapid.T) OriginBatch {
	o := OriginBatch{Origin: drawID(t), First: rapid.Uint64Max(1<<63).Draw(t, "first"), Ack: rapid.Uint64().Draw(t, "ack")}
	for range rapid.IntRange(0, 4).Draw(t, "commands") {
		o.Data = AppendCommand(o.Data, drawBytes(t))
		o.Count++
	}
	return o
}

func drawProbe(t *rapid.T) Probe {
	p := Probe{Established: drawBool(t), ClusterID: drawID(t), RaftID: drawID(t), Leader: drawID(t),
		Term: rapid.Uint64().Draw(t, "term"), Commit: rapid.Uint64().Draw(t, "commit")}
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		p.Members = append(p.Members, drawMember(t))
	}
	return p
}

func drawMember(t *rapid.T) Member {
	return Member{ServerID: rapid.Uint16().Draw(t, "server"), RaftID: drawID(t), PeerAddr: rapid.String().Draw(t, "peer addr"),
		ClientAddr: rapid.String().Draw(t, "client addr"), Learner: drawBool(t), Observer: drawBool(t)}
}

func drawID(t *rapid.T) uint64 {
	return rapid.SampledFrom([]uint64{0, 1, id1, id2, 1<<64 - 1}).Draw(t, "id")
}

func drawIDs(t *rapid.T) []uint64 { return rapid.SliceOfN(rapid.Uint64(), 0, 3).Draw(t, "ids") }

func drawBool(t *rapid.T) bool { return rapid.Bool().Draw(t, "bool") }

func drawBytes(t *rapid.T) []byte { return rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes") }

func drawOptional(t *rapid.T) *uint64 {
	if drawBool(t) {
		return nil
	}
	return new(rapid.Uint64().Draw(t, "number"))
}

func drawOptionalBool(t *rapid.T) *bool {
	if drawBool(t) {
		return nil
	}
	return new(drawBool(t))
}

func drawOptionalBytes(t *rapid.T) []byte {
	if drawBool(t) {
		return nil
	}
	return append([]byte{}, drawBytes(t)...)
}
