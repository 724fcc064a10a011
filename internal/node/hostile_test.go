package node

import (
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/peer"
)

// What no member sends must not reach raft, which panics on some of it, nor start a restore of a file that is not there.
func TestMessagesThatNoMemberSendsAreRefused(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	l, f := c.leader(), c.follower()
	l.submit("a")
	c.settle()
	term := l.node.term
	meta := &pb.SnapshotMetadata{Index: new(uint64(900)), Term: &term, ConfState: f.node.confState}
	for _, tt := range []struct {
		name string
		to   *member
		m    *pb.Message
	}{
		{"a snapshot without its file", f, &pb.Message{Type: pb.MsgSnap.Enum(), Term: &term, Snapshot: &pb.Snapshot{Metadata: meta}}},
		{"a proposal of nothing", l, &pb.Message{Type: pb.MsgProp.Enum()}},
		{"a proposal", l, &pb.Message{Type: pb.MsgProp.Enum(), Entries: []*pb.Entry{{Data: []byte("x")}}}},
		{"a question without context", l, &pb.Message{Type: pb.MsgReadIndex.Enum()}},
		{"a word of the local disk", f, &pb.Message{Type: pb.MsgStorageAppendResp.Enum(), Term: &term, Snapshot: &pb.Snapshot{Metadata: meta}}},
		{"entries with a gap", f, &pb.Message{Type: pb.MsgApp.Enum(), Term: &term, Index: new(lastIndex(f)), LogTerm: &term,
			Entries: []*pb.Entry{{Index: new(lastIndex(f) + 5), Term: &term, Data: []byte("x")}}}},
		{"a leader's word that is not its own", f, &pb.Message{Type: pb.MsgHeartbeat.Enum(), Term: new(term + 5), From: new(uint64(1 << 60))}},
	} {
		from := c.members[0]
		if from == tt.to {
			from = c.members[1]
		}
		if tt.m.From == nil {
			tt.m.From = &from.id
		}
		tt.m.To = &tt.to.id
		last := lastIndex(tt.to)
		tt.to.node.Deliver(&peer.Message{Kind: peer.KindRaft, From: from.id, To: tt.to.id, Raft: tt.m})
		c.settle()
		if len(tt.to.restore) > 0 || lastIndex(tt.to) != last || tt.to.node.term != term {
			t.Errorf("%s: had an effect", tt.name)
		}
	}
	l.submit("b")
	c.settle()
	c.wantJournals([]string{"a", "b"})
}

func lastIndex(m *member) uint64 {
	last, err := m.log.LastIndex()
	if err != nil {
		m.c.t.Fatal(err)
	}
	return last
}

// A connection of the leader's closes, and the leader is heard of again before anything else happens: it still leads.
func TestForgottenLeaderIsHeardOfAtOnce(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	l, f := c.leader(), c.follower()
	term := l.node.term
	f.node.PeerDown(l.id)
	f.node.Deliver(&peer.Message{Kind: peer.KindRaft, From: l.id, To: f.id,
		Raft: &pb.Message{Type: pb.MsgHeartbeat.Enum(), From: &l.id, To: &f.id, Term: &term}})
	f.node.Flush()
	if got := f.node.Leadership().Leader; got != l.id {
		t.Errorf("leader %x, want %x", got, l.id)
	}
}
