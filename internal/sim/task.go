package sim

import (
	"iter"
	"time"
)

// tasks are the goroutines of one process's server: its connections' readers and writers, its flushers and its housekeeper. Each is a coroutine that the
// event heap resumes; it runs until it parks, and nothing else runs meanwhile. So which of them goes on when is drawn from the seed, and nothing depends on
// Go's scheduler.
//
//	event heap ──resume──▶ task: the server's code ──▶ Park (cond, timer, connection, back-pressure)
//	     ▲                                                 │ back to the heap
//	     └── Wake, or the time is up: an event ◀───────────┘
//
// tasks is the server.Runtime of its process.
type tasks struct {
	p       *process
	base    time.Time // what Now says at since
	since   int64
	all     []*task       // that have not ended, oldest first
	parked  map[any]*task // looked up only
	closing bool          // the process is over: nobody is left waiting
	parks   int           // since then
}

// task is one of them.
type task struct {
	of      *tasks
	next    func() (struct{}, bool)
	yield   func(struct{}) bool
	key     any    // it waits for; nil: nothing
	number  uint64 // of parks: a timer that is late wakes nobody
	pending bool   // an event that resumes it is under way
}

func newTasks(p *process) *tasks {
	return &tasks{p: p, base: time.UnixMilli(p.srv.clockMs()), since: p.sim.now, parked: map[any]*task{}}
}

// Now implements server.Runtime. A clock that is set anew does not move it, as Go's monotonic readings are not.
func (ts *tasks) Now() time.Time {
	return ts.base.Add(time.Duration(ts.p.sim.now-ts.since) * time.Microsecond)
}

// Go implements server.Runtime.
func (ts *tasks) Go(f func()) {
	t := &task{of: ts}
	t.next, _ = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		f()
	})
	ts.all = append(ts.all, t)
	if len(ts.all) > maxTasks {
		ts.p.sim.fail("server %d: %d goroutines", ts.p.srv.id, len(ts.all))
	}
	t.schedule()
}

// Park implements server.Runtime.
func (ts *tasks) Park(key any, d time.Duration) {
	t := ts.p.sim.running
	if t == nil || t.of != ts {
		ts.p.sim.fail("server %d: its loop would wait for %T", ts.p.srv.id, key)
	}
	if ts.parked[key] != nil {
		ts.p.sim.fail("server %d: two goroutines wait at the same %T", ts.p.srv.id, key)
	}
	if ts.closing {
		if ts.parks++; ts.parks > maxLastParks {
			ts.p.sim.fail("server %d: after Close a goroutine waits for %T and does not end", ts.p.srv.id, key)
		}
		return
	}
	t.number++
	t.key = key
	ts.parked[key] = t
	if number := t.number; d > 0 {
		ts.p.sim.after(max(1, d.Microseconds()), func() {
			if t.key != nil && t.number == number {
				ts.Wake(key)
			}
		})
	}
	t.yield(struct{}{})
}

// Wake implements server.Runtime.
func (ts *tasks) Wake(key any) {
	if t := ts.parked[key]; t != nil {
		delete(ts.parked, key)
		t.key = nil
		t.schedule()
	}
}

// schedule lets the task go on soon.
func (t *task) schedule() {
	s := t.of.p.sim
	if t.of.closing {
		return // close resumes it
	}
	t.pending = true
	t.of.p.background(s.taskRand.between(0, s.sp.wakeUs), func() {
		if t.pending {
			t.resume()
		}
	})
}

func (t *task) resume() {
	s := t.of.p.sim
	t.pending = false
	s.running = t
	_, more := t.next()
	s.running = nil
	if !more {
		t.of.forget(t)
	}
}

func (ts *tasks) forget(t *task) {
	for i, u := range ts.all {
		if u == t {
			ts.all = append(ts.all[:i], ts.all[i+1:]...)
			return
		}
	}
}

// close ends every task: the server is closed, so each finds out as soon as it goes on. One that does not is a server that Close waits for in vain.
func (ts *tasks) close() {
	ts.closing = true
	clear(ts.parked)
	for len(ts.all) > 0 {
		t := ts.all[0]
		t.key = nil
		t.resume()
	}
}
