package chaos

import (
	"os"
	"testing"
	"time"

	"gopherwood/e2e/internal/baddisk"
	"gopherwood/internal/history"
)

// TestLyingDisks is the test's own test. All disks say that all is durable when nothing is, and then all lose power: acknowledged writes are lost, and
// no server can help it. The history must show it.
func TestLyingDisks(t *testing.T) {
	if os.Getenv("GOPHERWOOD_E2E") == "" {
		t.Skip("end-to-end tests run with `make e2e` (GOPHERWOOD_E2E=1)")
	}
	if noSandbox != nil {
		t.Skip(noSandbox)
	}
	b := newBottle(t, 1, 3)
	if len(b.d.disks) == 0 {
		t.Skip("there are no disks that lie")
	}
	b.round = 1
	s := b.newStage()
	for _, disk := range b.d.disks {
		disk.Settle()
		disk.Set(baddisk.Trouble{Lie: true})
	}
	c := b.embark(s)
	time.Sleep(2 * time.Second) // the load, not synchronisation
	if err := b.d.cutPower(0, b.e.Servers...); err != nil {
		t.Fatal(err)
	}
	if err := b.d.heal(); err != nil {
		t.Fatal(err)
	}
	// The clients have seen more than there is, so no server takes them: whoever comes anew shows what is left.
	s.closing.Store(true)
	s.over.Store(true)
	c.work.Wait()
	var h history.History
	for _, one := range c.clients {
		h.Clients = append(h.Clients, one.log)
	}
	h.Clients = append(h.Clients, *b.anyReader(s))
	r := history.Check(&h, perPath)
	found := make(map[string]int)
	for _, v := range r.Violations {
		found[v.Check]++
	}
	t.Logf("found: %v", found)
	if found["real time"] == 0 || found["linearizable"] == 0 { // for Replay it is a server that lags behind
		t.Errorf("three disks lost what was acknowledged, and the checks found %v", found)
	}
}

// anyReader reads all nodes through the first server that lets it: some may never come back from such a loss.
func (b *bottle) anyReader(s *stage) *history.Client {
	b.Helper()
	var err error
	for end := time.Now().Add(healLimit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for _, server := range b.e.Servers {
			var log *history.Client
			if log, err = s.reader(server.Addr(), here{}); err == nil {
				return log
			}
		}
	}
	b.Fatalf("no server can be read: %v", err)
	return nil
}
