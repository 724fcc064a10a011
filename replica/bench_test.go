package replica

import (
	"testing"

	"gopherwood/internal/node"
)

// nothing is the smallest state machine.
type nothing struct{ sum }

func (n *nothing) Apply(c Command) any {
	n.count += c.Index
	return nil
}

type bare struct{ count uint64 }

func (b *bare) Apply(c node.Command) any {
	b.count += c.Index
	return nil
}

// What the adapter between the public contract and the core's costs per command: the difference of the two.
func BenchmarkApplyThroughAdapter(b *testing.B) {
	r := &Replica{}
	sm := r.adapt(&nothing{})
	c := node.Command{Index: 1, Data: make([]byte, 100)}
	b.ReportAllocs()
	for b.Loop() {
		sm.Apply(c)
	}
}

func BenchmarkApplyDirectly(b *testing.B) {
	var sm interface{ Apply(node.Command) any } = &bare{}
	c := node.Command{Index: 1, Data: make([]byte, 100)}
	b.ReportAllocs()
	for b.Loop() {
		sm.Apply(c)
	}
}
