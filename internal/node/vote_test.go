package node

import (
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/peer"
)

// rafts takes the raft messages of one type off the wire and leaves the rest.
func (c *cluster) rafts(t pb.MessageType) []*pb.Message {
	c.t.Helper()
	var out []*pb.Message
	wire := c.wire
	c.wire = nil
	for _, b := range wire {
		m, err := peer.DecodeMessage(append([]byte(nil), b...))
		if err != nil {
			c.t.Fatal(err)
		}
		if m.Kind == peer.KindRaft && m.Raft.GetType() == t {
			out = append(out, m.Raft)
			continue
		}
		c.wire = append(c.wire, b)
	}
	return out
}

// pass delivers what is on the wire, and no answers.
func (c *cluster) pass() {
	c.t.Helper()
	wire := c.wire
	c.wire = nil
	for _, b := range wire {
		m, err := peer.DecodeMessage(b)
		if err != nil {
			c.t.Fatal(err)
		}
		to := c.member(m.To).node
		to.Deliver(m)
		to.Flush()
	}
}

// A candidate asks for votes only when its own vote is durable. Otherwise it could be elected by the others, lead, lose
// power, and be elected once more in the same term with other entries.
func TestCandidateAsksWhenItsOwnVoteIsDurable(t *testing.T) {
	c := newCluster(t, 3)
	m := c.members[0]
	m.node.campaign()
	m.node.Flush()
	for _, v := range c.rafts(pb.MsgPreVote) { // the others would grant it
		m.node.Deliver(&peer.Message{Kind: peer.KindRaft, From: v.GetTo(), To: m.id, Raft: &pb.Message{
			Type: pb.MsgPreVoteResp.Enum(), From: v.To, To: v.From, Term: v.Term,
		}})
	}
	m.node.Flush()
	if len(m.pending) != 1 || m.pending[0].HardState.GetVote() != m.id {
		t.Fatalf("records to be written: %v, want the own vote", m.pending)
	}
	if asked := c.rafts(pb.MsgVote); len(asked) != 0 {
		t.Errorf("%d members are asked for a vote in term %d, which is not durable yet", len(asked), asked[0].GetTerm())
	}
	m.node.Persisted(m.pending[0])
	m.pending = nil
	if asked := c.rafts(pb.MsgVote); len(asked) != 2 {
		t.Errorf("%d members are asked for a vote when it is durable, want 2", len(asked))
	}
}

// A member that led until a moment ago passes on a follower's ReadIndex under the follower's name.
func TestForwardedReadIndexIsAnswered(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	l := c.leader()
	var others []*member
	for _, m := range c.members {
		if m != l {
			others = append(others, m)
		}
	}
	asker, forwarder := others[0], others[1]
	l.node.Deliver(&peer.Message{Kind: peer.KindRaft, From: forwarder.id, To: l.id, Raft: &pb.Message{
		Type: pb.MsgReadIndex.Enum(), From: &asker.id, To: &l.id, Entries: []*pb.Entry{{Data: []byte("question")}},
	}})
	l.node.Flush()
	c.pass() // the heartbeats that confirm it
	c.pass() // and their answers
	answers := c.rafts(pb.MsgReadIndexResp)
	if len(answers) != 1 || answers[0].GetTo() != asker.id {
		t.Errorf("answers %v, want one to %x", answers, asker.id)
	}
}
