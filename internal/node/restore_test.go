package node

import (
	"fmt"
	"slices"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/raftlog"
)

// follower returns some member that does not lead.
func (c *cluster) follower() *member {
	c.t.Helper()
	l := c.leader()
	return c.members[slices.IndexFunc(c.members, func(m *member) bool { return m != l })]
}

// lag makes f miss so much that it needs a snapshot.
func (c *cluster) lag(f *member) {
	l := c.leader()
	f.dead = true
	for i := range 40 {
		l.submit(fmt.Sprint("n", i))
		c.settle()
		c.tick(1)
	}
	f.dead = false
}

// While a snapshot is loaded the state machine is busy, for seconds if it is large. The loop must not wait for it: it would miss its
// ticks and the heartbeats.
func TestStateMachineIsLeftAloneWhileItIsRestored(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	f := c.follower()
	f.submit("a")
	c.settle()
	if err := f.node.TakeSnapshot(); err != nil {
		t.Fatal(err)
	}
	own := f.snapshot
	f.snapshot = nil // being written
	c.lag(f)
	f.slow = true
	c.tick(80)
	if len(f.restore) != 1 {
		t.Fatal("the member got no snapshot")
	}
	var b result
	if err := f.node.Barrier(&b); err != nil {
		t.Fatal(err)
	}
	f.node.SnapshotTaken(own[0], 1, nil)
	c.tick(30)
	if len(f.sm.disturbed) > 0 || b.times != 0 {
		t.Errorf("calls of the state machine while it is restored: %q; barrier %+v", f.sm.disturbed, b)
	}
	f.slow = false
	c.tick(5)
	if b.times != 1 || b.err != nil {
		t.Errorf("barrier after the restore: %+v", b)
	}
	c.wantJournals(c.leader().sm.commands)
}

// The log that a member needs after a snapshot is kept while it loads it, although a newer snapshot is there. Otherwise a member that
// loads slower than snapshots are made would never catch up.
func TestLogAfterAPendingSnapshotIsKept(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	l, f := c.leader(), c.follower()
	c.lag(f)
	f.slow = true
	c.tick(80)
	if len(f.restore) != 1 {
		t.Fatal("the member got no snapshot")
	}
	loading, before := f.restore[0], l.node.snap.index
	for i := range 14 { // more than a snapshot is worth
		l.submit(fmt.Sprint("more", i))
		c.settle()
		c.tick(1)
	}
	if l.node.snap.index == before {
		t.Fatal("the leader made no newer snapshot")
	}
	f.slow = false
	c.tick(20)
	if !slices.Equal(f.restored, []uint64{loading}) {
		t.Errorf("the member needed the snapshots at %d, want that at %d alone", f.restored, loading)
	}
	c.wantJournals(l.sm.commands)
}

// A member that was stopped for a while, so that the leader does not take it for active any more, goes on from the log and not from a snapshot, as long
// as the log is worth keeping. Its clients would have to reconnect otherwise.
func TestLogForAMemberThatWasAwayIsKept(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	l, f := c.leader(), c.follower()
	for _, m := range c.members {
		m.node.cfg.KeepBytes = 1 << 20
	}
	f.dead = true
	c.tick(3 * l.node.cfg.ElectionTicks)
	before := l.node.snap.index
	for i := range 40 {
		l.submit(fmt.Sprint("meanwhile", i))
		c.settle()
		c.tick(1)
	}
	if l.node.snap.index == before {
		t.Fatal("the leader made no snapshot meanwhile")
	}
	f.dead = false
	c.tick(20)
	if len(f.restored) > 0 {
		t.Errorf("the member needed the snapshots at %d", f.restored)
	}
	c.wantJournals(l.sm.commands)
}

// Barriers are bounded however far they have come: those that are confirmed wait as long as a snapshot is loaded.
func TestBarriersAreBounded(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	f := c.follower()
	c.lag(f)
	f.slow = true
	c.tick(80)
	taken := 0
	for ; taken <= maxBarrierWaiters; taken++ {
		if f.node.Barrier(&result{}) == ErrBusy {
			break
		}
		if taken%(maxBarrierWaiters/8) == 0 {
			c.tick(1)
		}
	}
	if taken != maxBarrierWaiters {
		t.Errorf("%d barriers wait, want a bound of %d", taken, maxBarrierWaiters)
	}
	f.slow = false
	c.tick(5)
	if err := f.node.Barrier(&result{}); err != nil {
		t.Errorf("a barrier after the others were released: %v", err)
	}
}

// A leader whose disk is full tries again now and then, not whenever a member asks for a snapshot.
func TestFailedSnapshotIsNotTakenAgainAtOnce(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	l := c.leader()
	l.submit("a")
	c.settle()
	if err := l.node.TakeSnapshot(); err != nil {
		t.Fatal(err)
	}
	s := l.snapshot[0]
	l.snapshot = nil
	l.node.SnapshotTaken(s, 0, raftlog.ErrNoSpace)
	to := c.follower().id
	l.node.sendSnapshot(&pb.Message{To: &to, Snapshot: &pb.Snapshot{Metadata: &pb.SnapshotMetadata{Index: new(uint64(BootstrapIndex))}}})
	if len(l.snapshot) > 0 {
		t.Error("another snapshot is taken right after one failed")
	}
}
