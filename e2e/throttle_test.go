package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gopherwood/e2e/internal/ensemble"
)

// TestThrottles: kazoo at a server that lets in few connections at a time and executes few requests at a time. Clients come back until they are let in, and
// everything that they ask for is done; what is too large is refused.
func TestThrottles(t *testing.T) {
	need(t)
	if target() == ensemble.ZooKeeper {
		t.Skip("ZooKeeper's counters have other values")
	}
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 1, Config: []string{
		"connection_throttle_tokens=3", "connection_throttle_fill_time=100", "connection_throttle_fill_count=1",
		"request_throttle_max_requests=5", "largeRequestThreshold=10000", "largeRequestMaxBytes=50000",
	}})
	const clients, writes = 20, 100
	root, err := ensemble.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(suiteContext(t), cached(t, "venv", "bin", "python"), filepath.Join(root, "e2e", "python", "throttle.py"),
		e.Servers[0].Addr(), strconv.Itoa(clients), strconv.Itoa(writes), "60000")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	want := fmt.Sprintf("children %d\nconnected %d\ncreated %d\nlarge: ConnectionLoss 1\n", clients*writes, clients, clients*writes)
	if err != nil || string(out) != want {
		t.Errorf("%v\n%swant\n%s", err, out, want)
	}
	mntr, err := ensemble.Word(e.Servers[0].Addr(), "mntr")
	if err != nil {
		t.Fatal(err)
	}
	for _, counter := range []string{"connection_rejected", "request_throttle_wait_count", "large_requests_rejected"} {
		m := regexp.MustCompile(`(?m)^zk_` + counter + `\s+([1-9]\d*)`).FindString(mntr)
		if m == "" {
			t.Errorf("%s is not counted:\n%s", counter, strings.Join(regexp.MustCompile(`(?m)^zk_.*(?:throttl|reject).*$`).FindAllString(mntr, -1), "\n"))
		}
	}
}
