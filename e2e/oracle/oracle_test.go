package oracle_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/oracle"
)

// need skips the test unless end-to-end tests were asked for.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv("GOPHERWOOD_E2E") == "" {
		t.Skip("end-to-end tests run with `make e2e` (GOPHERWOOD_E2E=1)")
	}
}

// environment is a number from the environment.
func environment(t *testing.T, name string, otherwise int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// start runs servers for the oracle. ZooKeeper may leave its log in the page cache: that is not what is compared.
func start(t *testing.T, kind ensemble.Target, servers int) *oracle.Target {
	t.Helper()
	const never = 3600_000
	return startReaping(t, kind, servers, never)
}

// startReaping is start with servers that look for containers and TTL nodes to remove so often.
func startReaping(t *testing.T, kind ensemble.Target, servers, reapMs int) *oracle.Target {
	t.Helper()
	config := []string{"minSessionTimeout=200", "maxSessionTimeout=90000", "DigestAuthenticationProvider.superDigest=" + oracle.SuperDigest}
	if kind == ensemble.ZooKeeper {
		config = append(config, "forceSync=no",
			"authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider") // Gopherwood takes it in ACLs without being told to
	}
	e := ensemble.Start(t, ensemble.Options{Target: kind, Servers: servers, TickMs: 100, ReapMs: reapMs, Config: config})
	var addrs []string
	for _, s := range e.Servers {
		addrs = append(addrs, s.Addr())
	}
	target, err := oracle.NewTarget(addrs...)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// compare runs a script against both and returns the difference.
func compare(zookeeper, gopherwood *oracle.Target, steps []oracle.Step) (diff string, err error) {
	_, diff, err = answers(zookeeper, gopherwood, steps)
	return diff, err
}

// answers is compare that returns what ZooKeeper answered, too.
func answers(zookeeper, gopherwood *oracle.Target, steps []oracle.Step) (want oracle.Transcript, diff string, err error) {
	var got oracle.Transcript
	var err1, err2 error
	var both sync.WaitGroup
	both.Go(func() { want, err1 = zookeeper.Run(steps) })
	both.Go(func() { got, err2 = gopherwood.Run(steps) })
	both.Wait()
	if err := errors.Join(err1, err2); err != nil {
		return nil, "", err
	}
	return want, oracle.Diff(steps, want, got), nil
}

// seeds runs random scripts against both, several at a time, and returns the first script that differs.
func seeds(t *testing.T, zookeeper, gopherwood *oracle.Target, first, count, ops int) (seed int, diff string) {
	t.Helper()
	var next, done atomic.Int64
	next.Store(int64(first))
	var mu sync.Mutex
	var seen tally
	broken := false
	var workers sync.WaitGroup
	began := time.Now()
	for range environment(t, "GOPHERWOOD_ORACLE_WORKERS", 4) {
		workers.Go(func() {
			for {
				n := int(next.Add(1) - 1)
				mu.Lock()
				stop := n >= first+count || diff != "" || broken
				mu.Unlock()
				if stop {
					return
				}
				steps := oracle.Draw(uint64(n), ops)
				want, d, err := answers(zookeeper, gopherwood, steps)
				seen.add(steps, want)
				mu.Lock()
				if err != nil {
					t.Errorf("seed %d: %v", n, err)
					broken = true
				} else if d != "" && diff == "" {
					seed, diff = n, d
				}
				mu.Unlock()
				if k := done.Add(1); k%100 == 0 {
					t.Logf("%d seeds after %v", k, time.Since(began).Round(time.Second))
				}
			}
		})
	}
	workers.Wait()
	t.Logf("%d seeds of %d steps in %v. What ZooKeeper answered:\n%s", done.Load(), ops, time.Since(began).Round(time.Second/10), &seen)
	return seed, diff
}

// shrink makes a script that differs as short as it can.
func shrink(zookeeper, gopherwood *oracle.Target, steps []oracle.Step) []oracle.Step {
	return oracle.Shrink(steps, func(s []oracle.Step) bool {
		d, err := compare(zookeeper, gopherwood, s)
		return err == nil && d != ""
	})
}

// report shrinks a difference and fails the test with it.
func report(t *testing.T, zookeeper, gopherwood *oracle.Target, seed, ops int, diff string) {
	t.Helper()
	script := shrink(zookeeper, gopherwood, oracle.Draw(uint64(seed), ops))
	last, err := compare(zookeeper, gopherwood, script)
	if err != nil || last == "" {
		t.Errorf("seed %d differs, but its shrunk script does not (%v); as first seen:\n%s", seed, err, diff)
		return
	}
	t.Errorf("seed %d differs. Shrunk, for testdata:\n\n%s\n%s", seed, oracle.Format(script), last)
}

// TestSeeds runs random scripts against ZooKeeper and against Gopherwood, alone and as three servers. See doc.go of package e2e for how many.
func TestSeeds(t *testing.T) {
	need(t)
	count, ops := environment(t, "GOPHERWOOD_ORACLE_SEEDS", 40), environment(t, "GOPHERWOOD_ORACLE_OPS", 100)
	first := environment(t, "GOPHERWOOD_ORACLE_FIRST", 1)
	zookeeper := start(t, ensemble.ZooKeeper, 1)
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprintf("servers=%d", servers), func(t *testing.T) {
			against(t, zookeeper, start(t, ensemble.Gopherwood, servers), first, count, ops)
		})
	}
}

// against compares two targets with count seeds, and reports the first few that differ.
func against(t *testing.T, zookeeper, gopherwood *oracle.Target, first, count, ops int) {
	t.Helper()
	for range environment(t, "GOPHERWOOD_ORACLE_FAILURES", 1) {
		seed, diff := seeds(t, zookeeper, gopherwood, first, count, ops)
		if diff == "" {
			return
		}
		report(t, zookeeper, gopherwood, seed, ops, diff)
		count -= seed + 1 - first
		first = seed + 1
	}
}
