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
