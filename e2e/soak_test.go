package e2e

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/internal/load"
	"gopherwood/e2e/internal/raw"
)

// TestSoak works on an ensemble for a while with writes, watches, connections that break off, and faults: two of its servers are killed in
// turn, the third only stands still now and then, so that a leak of it would show. Memory and goroutines have to stay flat and every
// write accounted for.
func TestSoak(t *testing.T) {
	need(t)
	if target() == ensemble.ZooKeeper {
		t.Skip("ZooKeeper hangs up on every client when its leader changes")
	}
	seconds := setting(t, "GOPHERWOOD_E2E_SECONDS", 20)
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 3})
	steady := e.Servers[0]
	var memory, goroutines []int64
	acked, events := 0, 0
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	for cycle := 0; time.Now().Before(end) && !t.Failed(); cycle++ {
		a, v := soakCycle(t, e, cycle)
		acked, events = acked+a, events+v
		memory = append(memory, settled(t, steady))
		goroutines = append(goroutines, int64(metric(t, steady, "go_goroutines")))
	}
	t.Logf("FIGURE soak: %d cycles in %d s, %d writes acknowledged, %d watch events; server 1 resident %v MiB, goroutines %v",
		len(memory), seconds, acked, events, mib(memory), goroutines)
	flat(t, "resident memory", memory, 32<<20)
	flat(t, "goroutines", goroutines, 50)
}

func mib(bytes []int64) []int64 {
	out := make([]int64, len(bytes))
	for i, b := range bytes {
		out[i] = b >> 20
	}
	return out
}

// flat compares the end of a series with its beginning, leaving out the first value, which is of a server that still warms up.
func flat(t *testing.T, what string, values []int64, slack int64) {
	t.Helper()
	if len(values) < 6 {
		return // too short to tell
	}
	values = values[1:]
	third := len(values) / 3
	before, after := slices.Max(values[:third]), slices.Max(values[len(values)-third:])
	if after > before+before/5+slack {
		t.Errorf("%s rose from %d to %d", what, before, after)
	}
}

// soakCycle runs load through one fault and cleans up after itself.
func soakCycle(t *testing.T, e *ensemble.Ensemble, cycle int) (acked, events int) {
	t.Helper()
	folder := fmt.Sprintf("/soak%d", cycle)
	addrs := []string{e.Servers[0].Addr(), e.Servers[1].Addr(), e.Servers[2].Addr()}
	r := startLoad(t, folder, addrs)
	watchers, counted := watchFolder(t, folder, addrs)
	time.Sleep(500 * time.Millisecond)
	victim := e.Servers[1+cycle%2]
	switch cycle % 3 {
	case 0:
		victim.Kill()
	case 1:
		if err := victim.Terminate(); err != nil {
			t.Error(err)
		}
		if code := victim.ExitCode(); code != 0 {
			t.Errorf("cycle %d: server %d ended with code %d", cycle, victim.ID, code)
		}
	default:
		victim = e.Servers[0]
		if err := victim.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		if err := victim.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Second)
	r.stop.Store(true)
	waitLoad(t, r)
	lost := 0
	for i, err := range r.errs {
		switch {
		case err == nil:
		case r.clients[i].Addr == victim.Addr() && brokenConnection(err):
			lost++
		default:
			t.Errorf("cycle %d: client %d of %s: %v", cycle, i, r.clients[i].Addr, err)
		}
	}
	if lost > 0 && victim == e.Servers[0] {
		// Allowed, but not wished: so far behind that it took over a snapshot, a server does not know what became of its clients' writes.
		t.Logf("cycle %d: %d clients of the server that stood still lost their connection", cycle, lost)
	}
	if err := e.StartAll(); err != nil {
		t.Fatal(err)
	}
	for _, addr := range addrs {
		r.verify(t, addr)
	}
	for _, w := range watchers {
		w.Close() // breaks off; its session expires
	}
	for n := range counted {
		events += n
	}
	for _, c := range r.clients {
		c.Conn.Close()
	}
	empty(t, addrs[0], folder)
	return r.acked(), events
}

// watchFolder opens connections that watch the folder and all below and count their events; each count comes when its connection ends.
func watchFolder(t *testing.T, folder string, addrs []string) (watchers []*raw.Conn, counted <-chan int) {
	t.Helper()
	counts := make(chan int)
	var all sync.WaitGroup
	for i := range 6 {
		c, err := raw.Dial(addrs[i%len(addrs)], raw.Session{TimeoutMs: faultTimeoutMs})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := c.Call(raw.AddWatch(nil, 1, folder, 1)); err != nil || r.Err != 0 {
			t.Fatalf("addWatch: error %d, %v", r.Err, err)
		}
		watchers = append(watchers, c)
		all.Go(func() {
			n := 0
			for {
				if _, err := c.Receive(); err != nil {
					counts <- n
					return
				}
				n++
			}
		})
	}
	go func() {
		all.Wait()
		close(counts)
	}()
	return watchers, counts
}

// empty deletes what a cycle left, except what sessions that are still to expire will take along.
func empty(t *testing.T, addr, folder string) {
	t.Helper()
	c, err := raw.Dial(addr, raw.Session{TimeoutMs: faultTimeoutMs})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	names, err := load.Names(c, folder)
	if err != nil {
		t.Fatal(err)
	}
	for batch := range slices.Chunk(names, 64) {
		for i, name := range batch {
			if err := c.Send(raw.Delete(nil, int32(i+1), folder+"/"+name, -1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
		for range batch {
			if _, err := c.Receive(); err != nil { // an ephemeral may have gone already
				t.Fatal(err)
			}
		}
	}
}
