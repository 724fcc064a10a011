package node

import (
	"slices"
	"testing"

	"gopherwood/internal/peer"
)

func (c *cluster) askToJoin(id uint64) {
	c.wire = append(c.wire, peer.AppendMessage(nil, &peer.Message{
		Kind: peer.KindJoin, From: id, Join: peer.Join{Member: peer.Member{RaftID: id, ServerID: ServerOf(id)}},
	}))
}

// A second server with the id of a live one, a wrong myid, must not take the live one's place.
func TestLiveMemberIsNotReplaced(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	f := c.follower()
	twin := c.start(MakeID(ServerOf(f.id), 8), 2, nil)
	c.connect()
	for range 150 {
		c.askToJoin(twin.id)
		c.tick(1)
	}
	conf := c.leader().node.confState
	if !slices.Contains(conf.GetVoters(), f.id) || slices.Contains(conf.GetVoters(), twin.id) || slices.Contains(conf.GetLearners(), twin.id) {
		t.Errorf("voters %x, learners %x after %x came beside %x", conf.GetVoters(), conf.GetLearners(), twin.id, f.id)
	}
}

// A server that loses its disk again before it is a voter leaves no learners behind, also if none of them ever becomes a voter.
func TestLearnersThatWereLostAreRemoved(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	lost := c.follower()
	c.kill(lost)
	c.tick(120)
	for i := range uint64(5) {
		id := MakeID(ServerOf(lost.id), 100-i) // nobody is there
		for range 60 {
			c.askToJoin(id)
			c.tick(1)
		}
	}
	if n := len(c.leader().node.confState.GetLearners()); n > 2 {
		t.Errorf("%d learners while the server is lost again and again, want no more than the last two", n)
	}
	again := c.start(MakeID(ServerOf(lost.id), 8), 2, nil)
	c.connect()
	for range 120 {
		c.askToJoin(again.id)
		c.tick(1)
	}
	l := c.leader()
	if conf := l.node.confState; len(conf.GetLearners()) > 0 || len(conf.GetVoters()) != 3 || !slices.Contains(conf.GetVoters(), again.id) {
		t.Errorf("voters %x, learners %x, want %x in the place of %x and no learner", conf.GetVoters(), conf.GetLearners(), again.id, lost.id)
	}
	if m := l.node.State().Members(); len(m) != 3 {
		t.Errorf("members %+v, want 3", m)
	}
}
