package replicatest

import (
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"gopherwood/internal/node"
	"gopherwood/internal/sim"
	"gopherwood/replica"
)

// oneSim: the simulator replaces crypto/rand.Reader, so that one simulation runs at a time.
var oneSim sync.Mutex

// convergence runs simulations.
func convergence(t *testing.T, k *Kit) error {
	oneSim.Lock()
	defer oneSim.Unlock()
	own := &sim.Own{
		New:     func() node.StateMachine { return adapter{k.New()} },
		Command: func(r *rand.Rand) []byte { return k.Command(r) },
		Result:  func(result any) uint64 { return uint64(printOf(result)) },
	}
	if _, ok := k.New().(replica.Digester); ok {
		own.New = func() node.StateMachine {
			sm := k.New()
			return digesting{adapter{sm}, sm.(replica.Digester)}
		}
	}
	var sum sim.Stats
	for seed := k.Seed; seed < k.Seed+uint64(k.Seeds); seed++ {
		r := sim.Run(sim.Options{Seed: seed, Own: own})
		if r.Violation != "" {
			return k.failure("does not converge: seed %d: %s\n%s", seed, r.Violation, r)
		}
		sum.Add(&r.Stats)
	}
	t.Logf("%d seeds: %s", k.Seeds, &sum)
	return nil
}

// adapter is a state machine as the simulator knows one.
type adapter struct{ sm replica.StateMachine }

func (a adapter) Apply(c node.Command) any { return a.sm.Apply(replica.Command(c)) }

func (a adapter) View() (node.View, error) { return a.sm.View() }

func (a adapter) Restore(r io.Reader) error { return a.sm.Restore(r) }

func (a adapter) BeginBatch() {
	if b, ok := a.sm.(replica.Batcher); ok {
		b.BeginBatch()
	}
}

func (a adapter) EndBatch() {
	if b, ok := a.sm.(replica.Batcher); ok {
		b.EndBatch()
	}
}

type digesting struct {
	adapter
	replica.Digester
}
