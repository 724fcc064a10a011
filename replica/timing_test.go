package replica

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// indexed is sum that notes the entry that is being applied.
type indexed struct {
	sum
	index uint64 // of the loop
}

func (s *indexed) Apply(c Command) any {
	s.index = c.Index
	return s.sum.Apply(c)
}

// watcher counts what an Observer is told.
type watcher struct {
	taken, synced atomic.Int64
	negative      atomic.Bool
}

func (w *watcher) Taken(count int, wait time.Duration) {
	w.taken.Add(int64(count))
	if wait < 0 {
		w.negative.Store(true)
	}
}

func (w *watcher) Synced(d time.Duration) {
	w.synced.Add(1)
	if d < 0 {
		w.negative.Store(true)
	}
}

// TestObserver: every command is taken once, and each knows when it was taken, logged and synced, in this order.
func TestObserver(t *testing.T) {
	const commands = 3000 // more than one chunk, and more than keptEntries if they go one by one
	var sm indexed
	var seen watcher
	r, err := Start(Config{Dir: t.TempDir(), ServerID: 1, Observer: &seen}, &sm)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var done sync.WaitGroup
	var unknown, disorder int // of the loop
	for range commands {
		done.Add(1)
		err := r.Propose(number(1), waiterFunc(func(any, error) {
			defer done.Done()
			at := r.Times(sm.index)
			switch {
			case at.Taken.IsZero() || at.Logged.IsZero() || at.Synced.IsZero():
				unknown++
			case at.Logged.Before(at.Taken) || at.Synced.Before(at.Logged) || time.Now().Before(at.Synced):
				disorder++
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	done.Wait()
	if unknown > 0 || disorder > 0 {
		t.Errorf("of %d commands %d have no times and %d have them in no order", commands, unknown, disorder)
	}
	if seen.taken.Load() != commands || seen.synced.Load() == 0 || seen.negative.Load() {
		t.Errorf("taken %d, synced %d", seen.taken.Load(), seen.synced.Load())
	}
}

// TestNoObserver: nothing is kept for nobody.
func TestNoObserver(t *testing.T) {
	r, err := Start(Config{Dir: t.TempDir(), ServerID: 1}, &sum{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Do(within(t), number(1)); err != nil {
		t.Fatal(err)
	}
	if at := r.Times(r.Status().Applied); at != (Times{}) || len(r.timing.taken) > 0 {
		t.Errorf("%+v", at)
	}
}

func TestTimingStaysSmall(t *testing.T) {
	tm := timing{now: time.Now()}
	for range 10 * maxTakenHead {
		tm.submitted()
		tm.submitted()
		tm.acked()
		tm.acked()
		tm.acked() // one too many, as after a snapshot
	}
	tm.submitted()
	if len(tm.taken)-tm.head != 1 || cap(tm.taken) > 4*maxTakenHead {
		t.Errorf("%d chunks, %d kept", len(tm.taken)-tm.head, cap(tm.taken))
	}
}
