package node

import (
	"fmt"
	"slices"
	"testing"
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
