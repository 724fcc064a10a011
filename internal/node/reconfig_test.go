package node

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/peer"
)

// servers makes the target of a Reconfigure: these vote, those observe.
func servers(voters []uint16, observers ...uint16) []peer.Member {
	var target []peer.Member
	for _, s := range voters {
		target = append(target, peer.Member{ServerID: s})
	}
	for _, s := range observers {
		target = append(target, peer.Member{ServerID: s, Observer: true})
	}
	return target
}

// knock starts new servers, which follow as guests or observers when it returns.
func (c *cluster) knock(observer bool, ids ...uint16) {
	c.t.Helper()
	for _, s := range ids {
		m := c.start(MakeID(s, 7), 1, nil)
		c.connect()
		for range 40 {
			if c.leader().node.isMember(m.id) {
				break
			}
			c.wire = append(c.wire, peer.AppendMessage(nil, &peer.Message{
				Kind: peer.KindJoin, From: m.id, Join: peer.Join{Member: peer.Member{RaftID: m.id, ServerID: s, PeerAddr: fmt.Sprint("host", s, ":1"), Observer: observer}},
			}))
			c.tick(1)
		}
		c.tick(5)
	}
}

// reconfigure asks whoever leads until the change is taken, and lets it happen.
func (c *cluster) reconfigure(target []peer.Member) error {
	for range 20 {
		err := c.leader().node.Reconfigure(target)
		if !errors.Is(err, ErrNotLeader) {
			c.settle()
			c.tick(60)
			return err
		}
		c.settle()
		c.tick(3)
	}
	return ErrNotLeader
}

func (c *cluster) wantVoters(want ...uint16) {
	c.t.Helper()
	conf := c.leader().node.confState
	var got []uint16
	for _, id := range conf.GetVoters() {
		got = append(got, ServerOf(id))
	}
	if slices.Sort(got); !slices.Equal(got, want) || len(conf.GetVotersOutgoing()) > 0 {
		c.t.Errorf("voters %d, outgoing %x; want %d", got, conf.GetVotersOutgoing(), want)
	}
}

func TestThreeBecomeFiveAndThreeAgain(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	c.leader().submit(names("a", 50)...)
	c.settle()
	c.knock(false, 4, 5)
	c.wantVoters(1, 2, 3)
	if err := c.reconfigure(servers([]uint16{1, 2, 3, 4, 5})); err != nil {
		t.Fatal(err)
	}
	c.wantVoters(1, 2, 3, 4, 5)
	for _, m := range c.leader().node.State().Members() {
		if m.ServerID > 3 && m.PeerAddr != fmt.Sprint("host", m.ServerID, ":1") || m.Learner {
			t.Errorf("member %+v", m)
		}
	}
	r := c.member(MakeID(5, 7)).submit("from five")
	c.settle()
	if r[0].err != nil || r[0].times != 1 {
		t.Errorf("a new member's command: %+v", r[0])
	}
	was := ServerOf(c.leader().id)
	stay := slices.DeleteFunc([]uint16{1, 2, 3, 4, 5}, func(s uint16) bool { return s == was || s == was%5+1 })
	if err := c.reconfigure(servers(stay)); err != nil { // the leader leaves
		t.Fatal(err)
	}
	c.wantVoters(stay...)
	if now := ServerOf(c.leader().id); now == was {
		t.Error("the leader left and leads")
	}
}

func TestObserversComeAndStay(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	c.knock(true, 4)
	c.tick(2 * guestGoneTicks / 1)
	l := c.leader().node
	m, ok := l.state.member(MakeID(4, 7))
	if !ok || !m.Observer || !m.Learner {
		t.Fatalf("member %+v %v", m, ok)
	}
	c.wantVoters(1, 2, 3)
	o := c.member(m.RaftID)
	r := o.submit("by the observer")
	c.settle()
	if r[0].err != nil || r[0].times != 1 {
		t.Errorf("an observer's command: %+v", r[0])
	}
	if err := c.reconfigure(servers([]uint16{1, 2, 3, 4})); err != nil {
		t.Fatal(err)
	}
	c.wantVoters(1, 2, 3, 4)
	if err := c.reconfigure(servers([]uint16{1, 2, 4}, 3)); err != nil { // and a voter becomes an observer
		t.Fatal(err)
	}
	c.wantVoters(1, 2, 4)
	if m, _ := c.leader().node.state.member(MakeID(3, 7)); !m.Observer || !m.Learner {
		t.Errorf("member %+v, want an observer", m)
	}
}

func TestGuestThatIsGoneIsForgotten(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	c.knock(false, 4)
	c.tick(2 * guestGoneTicks)
	id := MakeID(4, 7)
	if !c.leader().node.isMember(id) {
		t.Fatal("a guest that is there was forgotten")
	}
	c.kill(c.member(id))
	c.tick(2 * guestGoneTicks)
	if c.leader().node.isMember(id) {
		t.Error("a guest that is gone is still a member")
	}
	c.wantVoters(1, 2, 3)
}

func TestReconfigureRefuses(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	l, f := c.leader(), c.follower()
	if err := f.node.Reconfigure(servers([]uint16{1, 2})); !errors.Is(err, ErrNotLeader) {
		t.Errorf("a follower: %v", err)
	}
	var absent *NotSyncedError
	if err := l.node.Reconfigure(servers([]uint16{1, 2, 3, 9})); !errors.As(err, &absent) || !slices.Equal(absent.Servers, []uint16{9}) {
		t.Errorf("a server that is not there: %v", err)
	}
	if err := l.node.Reconfigure(servers(nil, 1, 2, 3)); !errors.Is(err, ErrNoVoters) {
		t.Errorf("nobody votes: %v", err)
	}
	if err := l.node.Reconfigure(servers([]uint16{1, 2, 3}, 3)); !errors.Is(err, ErrTwice) {
		t.Errorf("a server twice: %v", err)
	}
	if err := l.node.Reconfigure(servers([]uint16{1, 2, 3})); err != nil {
		t.Errorf("no change: %v", err)
	}
	stay := slices.DeleteFunc([]uint16{1, 2, 3}, func(s uint16) bool { return s == ServerOf(f.id) })
	if err := l.node.Reconfigure(servers(stay)); err != nil {
		t.Errorf("a member less: %v", err)
	}
	if err := l.node.Reconfigure(servers([]uint16{1, 2, 3})); !errors.Is(err, ErrReconfigInProgress) {
		t.Errorf("during another change: %v", err)
	}
	c.settle()
	c.tick(5)
	c.wantVoters(stay...)
	other := c.member(MakeID(stay[0], 7))
	if other == l {
		other = c.member(MakeID(stay[1], 7))
	}
	c.knock(false, 4, 5)
	c.kill(other)
	c.tick(2 * l.node.cfg.ElectionTicks / 3)
	if err := l.node.Reconfigure(servers(stay)); err != nil {
		t.Errorf("no change with one dead of two: %v", err)
	}
}

// An observer that was removed hears nothing any more, and notices: it must not serve as if it had a leader.
func TestRemovedObserverForgetsItsLeader(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	c.knock(true, 4)
	o := c.member(MakeID(4, 7))
	if o.node.Leadership().Leader == 0 {
		t.Fatal("the observer knows no leader")
	}
	if err := c.reconfigure(servers([]uint16{1, 2, 3})); err != nil {
		t.Fatal(err)
	}
	c.tick(3 * o.node.cfg.ElectionTicks)
	if l := o.node.Leadership().Leader; l != 0 {
		t.Errorf("it still takes %x for the leader", l)
	}
	c.knockAgain(o)
	if o.node.Leadership().Leader == 0 || !c.leader().node.isMember(o.id) {
		t.Error("it asked to join and follows nobody")
	}
}

// knockAgain lets a server ask to join until it knows a leader.
func (c *cluster) knockAgain(m *member) {
	for range 60 {
		if m.node.Leadership().Leader != 0 {
			return
		}
		c.askToJoin(m.id)
		c.tick(1)
	}
}

// A change that names a server whose disk was lost and which is just coming back must not send it away.
func TestReconfigureWhileAServerComesBack(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	lost := c.follower()
	c.kill(lost)
	c.tick(120)
	id := MakeID(ServerOf(lost.id), 8)
	for range 60 { // let in, and not there yet
		c.askToJoin(id)
		c.tick(1)
	}
	if !c.leader().node.isMember(id) {
		t.Fatal("the new incarnation was not let in")
	}
	if err := c.reconfigure(servers([]uint16{1, 2, 3})); err != nil {
		t.Fatal(err)
	}
	if !c.leader().node.isMember(id) {
		t.Error("the new incarnation was removed")
	}
	again := c.start(id, 2, nil)
	c.connect()
	for range 150 {
		c.askToJoin(again.id)
		c.tick(1)
	}
	c.wantVoters(1, 2, 3)
	if conf := c.leader().node.confState; !slices.Contains(conf.GetVoters(), id) {
		t.Errorf("voters %x, want %x among them", conf.GetVoters(), id)
	}
}

func TestAllVotersAreReplaced(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	c.leader().submit(names("a", 20)...)
	c.settle()
	c.knock(false, 4)
	c.knock(true, 5)
	if err := c.reconfigure(servers([]uint16{4, 5})); err != nil {
		t.Fatal(err)
	}
	c.tick(20)
	c.wantVoters(4, 5)
	if err := c.reconfigure(servers([]uint16{1}, 5)); err == nil {
		t.Error("a server that has left became the only voter")
	}
	c.leader().submit(names("b", 20)...)
	c.settle()
	c.wantVoters(4, 5)
}

// The only voter that is left loses power, and with it what it had not written yet: a command that the former voters have, and the knowledge that the
// change of members is committed. It goes by the configuration of before and needs one of their votes, which they refuse.
func TestTheLastVoterForgetsThatItIsOne(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	last := c.leader()
	var observers []uint16
	for _, m := range c.members {
		if m != last {
			observers = append(observers, ServerOf(m.id))
		}
	}
	hard, _, err := last.log.InitialState()
	if err != nil {
		t.Fatal(err)
	}
	before := hard.GetCommit()
	if err := c.reconfigure(servers([]uint16{ServerOf(last.id)}, observers...)); err != nil {
		t.Fatal(err)
	}
	last.submit("lost")
	last.node.Flush() // to the others it goes at once
	c.kill(last)
	c.settle()
	hard, _, err = last.log.InitialState()
	if err != nil {
		t.Fatal(err)
	}
	if err := last.log.SetHardState(&pb.HardState{Term: hard.Term, Vote: hard.Vote, Commit: &before}); err != nil {
		t.Fatal(err)
	}
	again := &member{c: c, id: last.id, sm: &journal{}, log: last.log}
	if again.node, err = New(Config{RaftID: last.id, Origin: MakeID(ServerOf(last.id), 2)}, again.log, nil, again.sm, again); err != nil {
		t.Fatal(err)
	}
	if again.node.onlyVoter() {
		t.Fatal("it knows that it is the only voter: this test shows nothing")
	}
	c.members = append(c.members, again)
	c.connect()
	c.tick(300)
	again.submit("kept")
	c.settle()
	c.tick(10)
	c.wantVoters(ServerOf(last.id))
	c.wantJournals([]string{"kept"})
}

func TestASilentObserverHoldsNobodyUp(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	c.knock(true, 4, 5)
	if err := c.reconfigure(servers([]uint16{1, 2, 3}, 4, 5)); err != nil {
		t.Fatal(err)
	}
	c.kill(c.member(MakeID(4, 7)))
	c.kill(c.member(MakeID(5, 7)))
	c.tick(120)
	if err := c.reconfigure(servers([]uint16{1, 2, 3}, 5)); err != nil {
		t.Errorf("one of two silent observers is removed: %v", err)
	}
}
