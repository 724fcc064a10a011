// Package replicatest checks a state machine for package replica: that it is deterministic, that what it restores is what it wrote, and that
// replicas of it converge whatever happens to them. One test of yours runs all of it:
//
//	func TestConforms(t *testing.T) {
//		replicatest.Test(t, replicatest.Kit{
//			New:     func() replica.StateMachine { return &counter{} },
//			Command: func(r *rand.Rand) []byte { return binary.AppendVarint(nil, r.Int64N(100)) },
//		})
//	}
//
// # What it does
//
//	determinism    the same commands to two instances, one of them in a world whose clock stands in the year 2000
//	elsewhere      and to one in another process: with another time zone, locale, directory for temporary files, process number and one processor
//	snapshots      views written while applying goes on, read back into empty and into used instances, which then go on alike; writers and
//	               readers that fail
//	convergence    an ensemble of one to five servers in a simulation (internal/sim), drawn from a seed: they crash, lose power and disks, are paused,
//	               cut off and restarted, get snapshots from each other, and must have the same results and states all along
//
// Results are compared command by command, deeply, through pointers and unexported fields. States are compared by Digest if the machine
// has one, otherwise by the bytes of its snapshots, which then have to be the same for the same state.
//
// What it finds so: a range over a map that shows, in a result, in a sum of floats or in the order of a snapshot; a clock; random numbers; a counter or a
// cache that instances share; addresses and process numbers; settings of the machine; views that change while they are written; state that a snapshot
// leaves out or that Restore does not clear; errors of a writer or reader that are swallowed.
//
// What it can't find: a difference between processors, as in the rounding of fused floating point operations, since it runs on one; what the
// commands that it is given do not touch. Make Command as mean as clients are: malformed commands, too.
//
// A panic in the state machine is reported with its name and the command; nothing that it does can be taken for a success.
package replicatest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"testing"

	"gopherwood/replica"
)

// Kit says what is tested. New and Command are required.
type Kit struct {
	// New makes an empty instance. It is called often.
	New func() replica.StateMachine
	// Command makes a command as clients would send it, by r alone.
	Command func(r *rand.Rand) []byte
	// Commands is how many are applied outside of the simulation. Default 2000.
	Commands int
	// Seeds is how many simulations there are. Default 20.
	Seeds int
	// Seed is the first seed. Default 1.
	Seed uint64
}

const (
	defaultCommands = 2000
	defaultSeeds    = 20
)

func (k *Kit) validate() error {
	if k.New == nil || k.Command == nil {
		return errors.New("replicatest: New and Command are required")
	}
	if k.Commands < 0 || k.Seeds < 0 {
		return errors.New("replicatest: Commands and Seeds must not be negative")
	}
	if k.Commands == 0 {
		k.Commands = defaultCommands
	}
	if k.Seeds == 0 {
		k.Seeds = defaultSeeds
	}
	if k.Seed == 0 {
		k.Seed = 1
	}
	return nil
}

// Test runs the kit as subtests of t.
func Test(t *testing.T, k Kit) {
	if err := k.validate(); err != nil {
		t.Fatal(err)
	}
	if out := os.Getenv(childVariable); out != "" { // this is the other process
		if err := k.writeTrace(out); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(t, &k); err != nil {
				t.Error(err)
			}
		})
	}
}

// checks are the parts of the kit.
var checks = []struct {
	name string
	run  func(*testing.T, *Kit) error
}{{"determinism", determinism}, {"elsewhere", elsewhere}, {"snapshots", snapshots}, {"convergence", convergence}}

// name is the state machine's, for errors.
func (k *Kit) name() string { return fmt.Sprintf("%T", k.New()) }

// failure is a mistake that was found.
func (k *Kit) failure(format string, args ...any) error {
	return fmt.Errorf("replicatest: the state machine %s "+format, append([]any{k.name()}, args...)...)
}

// guard makes a panic of the state machine an error.
func (k *Kit) guard(doing string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = k.failure("panicked in %s: %v\n%s", doing, v, debug.Stack())
		}
	}()
	return f()
}

// commands are those of the kit's seed, the same at each call.
func (k *Kit) commands() []replica.Command {
	r := rand.New(rand.NewPCG(k.Seed, 1))
	commands := make([]replica.Command, k.Commands)
	index, term, ms := uint64(2), uint64(2), int64(1_700_000_000_000)
	for i := range commands {
		if r.IntN(4) == 0 { // the next entry
			index++
			ms += r.Int64N(2000)
		}
		if r.IntN(200) == 0 { // an election
			index++
			term += 1 + r.Uint64N(3)
		}
		commands[i] = replica.Command{Index: index, Term: term, TimeMs: ms, Origin: (1+r.Uint64N(3))<<48 | 7, Data: k.Command(r)}
	}
	return commands
}

// apply applies a command within a batch of its own. Its bytes are overwritten afterwards, as they may be in production.
func (k *Kit) apply(sm replica.StateMachine, i int, c replica.Command) (p print, err error) {
	err = k.guard(fmt.Sprintf("Apply, at command %d of seed %d (%d bytes: %.40q)", i, k.Seed, len(c.Data), c.Data), func() error {
		c.Data = append([]byte(nil), c.Data...)
		if b, ok := sm.(replica.Batcher); ok {
			b.BeginBatch()
			defer b.EndBatch()
		}
		p = printOf(sm.Apply(c))
		fill := byte(rand.Uint32()) // another one for each instance: who looks at it later gives itself away
		for i := range c.Data {
			c.Data[i] = fill
		}
		return nil
	})
	return p, err
}
