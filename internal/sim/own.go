package sim

import (
	"io"
	"math/rand/v2"

	"github.com/cespare/xxhash/v2"

	"gopherwood/internal/node"
)

// Own is a state machine from outside as the machine under test, in place of the ledger and the tree. What is checked of it is that all replicas
// have the same results and states, after crashes and snapshots, too; that those are right only its owner can know.
type Own struct {
	// New makes an empty one.
	New func() node.StateMachine
	// Command is a client's next command.
	Command func(r *rand.Rand) []byte
	// Result says in a number all that a client would see of a result.
	Result func(result any) uint64
}

// workloadOwn is the workload's name in reports.
const workloadOwn = "own"

// foreign is an Own at work.
type foreign struct {
	sim *simulation
	own *Own
	sm  node.StateMachine
}

func newForeign(s *simulation) *foreign { return &foreign{sim: s, own: s.o.Own, sm: s.o.Own.New()} }

func (f *foreign) apply(c *node.Command, body []byte) outcome {
	own := *c
	own.Data = body
	b, batches := f.sm.(node.Batcher)
	if batches {
		b.BeginBatch()
		defer b.EndBatch()
	}
	return outcome{hash: f.own.Result(f.sm.Apply(own))}
}

// digest is the machine's own, or a hash of its snapshot.
func (f *foreign) digest() uint64 {
	if d, ok := f.sm.(node.Digester); ok {
		return d.Digest()
	}
	v, err := f.view()
	if err != nil {
		f.sim.fail("View: %v", err)
	}
	defer v.close()
	h := xxhash.New()
	if err := v.writeTo(h); err != nil {
		f.sim.fail("View.WriteTo: %v", err)
	}
	return h.Sum64()
}

func (f *foreign) view() (machineView, error) {
	v, err := f.sm.View()
	return foreignView{v}, err
}

func (f *foreign) restore(r io.Reader) error {
	if err := f.sm.Restore(r); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, r) // a decoder may leave the last byte
	return err
}

// expiry: what a leader decides is the matter of the ledger and the tree.
func (f *foreign) expiry(uint64, random) []byte { return nil }

type foreignView struct{ v node.View }

func (v foreignView) writeTo(w io.Writer) error {
	_, err := v.v.WriteTo(w)
	return err
}

func (v foreignView) close() { v.v.Close() }
