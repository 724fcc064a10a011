package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/internal/raw"
)

// folderNodes is how many of the restart test's nodes share a parent.
const folderNodes = 1000

// fill makes n nodes of 100 B below /z through several connections, and returns how long it took.
func fill(t *testing.T, addrs []string, n int) time.Duration {
	t.Helper()
	start := time.Now()
	const connections, depth = 16, 64
	conns := make([]*raw.Conn, connections)
	for i := range conns {
		var err error
		if conns[i], err = raw.Dial(addrs[i%len(addrs)], raw.Session{TimeoutMs: faultTimeoutMs}); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
	}
	if r, err := conns[0].Call(raw.Create(nil, 1, "/z", nil, raw.Persistent)); err != nil || r.Err != 0 {
		t.Fatalf("create /z: error %d, %v", r.Err, err)
	}
	data := make([]byte, 100)
	var workers sync.WaitGroup
	for w, c := range conns {
		workers.Go(func() {
			for folder := w; folder*folderNodes < n; folder += connections {
				parent := fmt.Sprintf("/z/d%d", folder)
				if r, err := c.Call(raw.Create(nil, 1, parent, nil, raw.Persistent)); err != nil || r.Err != 0 {
					t.Errorf("create %s: error %d, %v", parent, r.Err, err)
					return
				}
				count := min(folderNodes, n-folder*folderNodes)
				for done := 0; done < count; done += depth {
					err := pipeline(c, min(depth, count-done), func(b []byte, xid int32) []byte {
						return raw.Create(b, xid, fmt.Sprintf("%s/n%010d", parent, done+int(xid)), data, raw.Persistent)
					})
					if err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	workers.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return time.Since(start)
}

// TestRestart fills servers, looks at their memory, kills them and measures how soon they serve again with all of it.
func TestRestart(t *testing.T) {
	need(t)
	n := setting(t, "GOPHERWOOD_E2E_ZNODES", 100_000)
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprintf("servers=%d", servers), func(t *testing.T) {
			e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: servers})
			addrs := make([]string, servers)
			for i, s := range e.Servers {
				addrs[i] = s.Addr()
			}
			took := fill(t, addrs, n)
			var most int64
			for _, s := range e.Servers {
				most = max(most, settled(t, s))
			}
			for _, s := range e.Servers { // as an operator would, not as a fault
				if err := s.Terminate(); err != nil {
					t.Fatal(err)
				}
			}
			start := time.Now()
			for _, s := range e.Servers {
				if err := s.Start(); err != nil {
					t.Fatal(err)
				}
			}
			writes := firstServed(t, e.Servers[0])
			if err := e.StartAll(); err != nil {
				t.Fatal(err)
			}
			all := time.Since(start)
			count(t, e.Servers[len(e.Servers)-1], n)
			t.Logf("FIGURE restart: %d servers, %d znodes written in %v, %d MiB resident at most; the first write is taken %v after the start, all serve after %v",
				servers, n, took.Round(time.Millisecond), most>>20, writes.Sub(start).Round(time.Millisecond), all.Round(time.Millisecond))
			if strict() && target() == ensemble.Gopherwood {
				held(t, servers, n, most, writes.Sub(start))
			}
		})
	}
}

// held compares the figures of a million znodes with what was promised.
func held(t *testing.T, servers, n int, resident int64, restart time.Duration) {
	t.Helper()
	if n < 1_000_000 {
		return
	}
	limit := time.Second
	if servers > 1 {
		limit = 2 * time.Second
	}
	if resident > 320<<20 {
		t.Errorf("%d MiB resident, promised are 320", resident>>20)
	}
	if restart > limit {
		t.Errorf("writes after %v, promised are %v", restart, limit)
	}
}

// firstServed returns when a write through the server is answered first.
func firstServed(t *testing.T, s *ensemble.Server) time.Time {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		c, err := raw.Dial(s.Addr(), raw.Session{TimeoutMs: faultTimeoutMs})
		if err != nil {
			continue
		}
		r, err := c.Call(raw.Create(nil, 1, "/after-", nil, raw.PersistentSequential))
		c.Close()
		if err == nil && r.Err == 0 {
			return time.Now()
		}
	}
	t.Fatalf("no write was taken within a minute\n%s", s.LogTail())
	return time.Time{}
}

// count fails the test unless all nodes of fill are there.
func count(t *testing.T, s *ensemble.Server, n int) {
	t.Helper()
	c, err := raw.Dial(s.Addr(), raw.Session{TimeoutMs: faultTimeoutMs})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	found := 0
	for folder := 0; folder*folderNodes < n; folder++ {
		r, err := c.Call(raw.Read(nil, int32(folder), raw.OpGetChildren, fmt.Sprintf("/z/d%d", folder)))
		if err != nil || r.Err != 0 {
			t.Fatalf("children of folder %d: error %d, %v", folder, r.Err, err)
		}
		names, err := raw.Strings(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		found += len(names)
	}
	if found != n {
		t.Errorf("%d nodes are there, want %d", found, n)
	}
}
