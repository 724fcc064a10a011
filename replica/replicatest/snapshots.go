package replicatest

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"gopherwood/replica"
)

const (
	// checkpoints is how many snapshots are taken on the way.
	checkpoints = 8
	// goOn is how many commands a restored instance has to go on with as the others do.
	goOn = 300
)

// slowWriter lets others run between two writes.
type slowWriter struct{ b []byte }

func (w *slowWriter) Write(b []byte) (int, error) {
	runtime.Gosched()
	w.b = append(w.b, b...)
	return len(b), nil
}

// snapshots checks that what is restored is what was when the view was taken, and goes on like it.
func snapshots(_ *testing.T, k *Kit) error {
	commands := k.commands()
	ref, err := k.reference(commands)
	if err != nil {
		return err
	}
	used := k.New() // restored into again and again, with another state in it each time: at first it has seen everything
	for i, c := range commands {
		if _, err := k.apply(used, i, c); err != nil {
			return err
		}
	}
	sm := k.New()
	for i := 0; i < len(commands); {
		v, err := k.view(sm)
		if err != nil {
			return err
		}
		type written struct {
			b   []byte
			err error
		}
		done := make(chan written, 1)
		go func() {
			b, err := k.writeView(v)
			done <- written{b, err}
		}()
		next := min(len(commands), i+max(1, len(commands)/checkpoints))
		for j := i; j < next; j++ { // while it is written
			if _, err := k.apply(sm, j, commands[j]); err != nil {
				<-done
				return err
			}
		}
		snap := <-done
		v.Close()
		if snap.err != nil {
			return snap.err
		}
		for _, into := range []struct {
			sm   replica.StateMachine
			what string
		}{{k.New(), "an empty instance"}, {used, "an instance that held another state"}} {
			if err := k.restoreAndGoOn(into.sm, into.what, snap.b, i, commands, ref); err != nil {
				return err
			}
		}
		if err := k.failing(sm, snap.b); err != nil {
			return err
		}
		i = next
	}
	return nil
}

// reference is what comes of the commands without any snapshots: the results, and the state at each checkpoint and goOn commands after.
type reference struct {
	results []print
	states  map[int]uint64
}

func (k *Kit) reference(commands []replica.Command) (*reference, error) {
	ref := &reference{states: map[int]uint64{}}
	want := map[int]bool{}
	for i := 0; i < len(commands); i += max(1, len(commands)/checkpoints) {
		want[i], want[min(len(commands), i+goOn)] = true, true
	}
	sm := k.New()
	for i := 0; ; i++ {
		if want[i] {
			s, err := k.state(sm)
			if err != nil {
				return nil, err
			}
			ref.states[i] = s
		}
		if i == len(commands) {
			return ref, nil
		}
		p, err := k.apply(sm, i, commands[i])
		if err != nil {
			return nil, err
		}
		ref.results = append(ref.results, p)
	}
}

// restoreAndGoOn restores the snapshot that was taken after the first i commands, and applies the next ones.
func (k *Kit) restoreAndGoOn(sm replica.StateMachine, what string, snap []byte, i int, commands []replica.Command, ref *reference) error {
	if err := k.restore(sm, iotest.OneByteReader(bytes.NewReader(snap))); err != nil {
		return k.failure("can't restore into %s what it has written after %d commands of seed %d: %v", what, i, k.Seed, err)
	}
	check := func(at int, when string) error {
		s, err := k.state(sm)
		if err == nil && s != ref.states[at] {
			err = k.failure("is not what was written: %s, after %d commands of seed %d, %s, its %s is another one. "+
				"Does the view change while commands are applied? Is something left out of the snapshot, or not cleared by Restore?", what, at, k.Seed, when, describeState(sm))
		}
		return err
	}
	if err := check(i, "restored"); err != nil {
		return err
	}
	end := min(len(commands), i+goOn)
	for j := i; j < end; j++ {
		p, err := k.apply(sm, j, commands[j])
		if err != nil {
			return err
		}
		if p != ref.results[j] {
			return k.failure("does not go on like the others when it was restored: %s, from a snapshot after %d commands of seed %d, gives command %d (%.40q) another result",
				what, i, k.Seed, j, commands[j].Data)
		}
	}
	return check(end, "going on from there")
}

func (k *Kit) restore(sm replica.StateMachine, r io.Reader) error {
	return k.guard("Restore", func() error { return sm.Restore(r) })
}

var errPlanted = errors.New("replicatest: this is as far as it goes")

// failing gives the machine a writer and a reader that fail half way: it has to say so, or half a state is taken for a whole one.
func (k *Kit) failing(sm replica.StateMachine, snap []byte) error {
	v, err := k.view(sm)
	if err != nil {
		return err
	}
	defer v.Close()
	err = k.guard("View.WriteTo", func() error {
		_, err := v.WriteTo(&brokenWriter{left: len(snap) / 2})
		return err
	})
	if len(snap) > 0 && err == nil {
		return k.failure("swallows the error of the writer that its view is written to: half a snapshot would be taken for a whole one")
	}
	half := io.MultiReader(bytes.NewReader(snap[:len(snap)/2]), iotest.ErrReader(errPlanted))
	if err := k.restore(k.New(), half); len(snap) > 0 && err == nil {
		return k.failure("swallows the error of the reader that it is restored from: half a state would be taken for a whole one")
	}
	return nil
}

// brokenWriter takes so many bytes.
type brokenWriter struct{ left int }

func (w *brokenWriter) Write(b []byte) (int, error) {
	n := min(w.left, len(b))
	w.left -= n
	if n < len(b) {
		return n, errPlanted
	}
	return n, nil
}
