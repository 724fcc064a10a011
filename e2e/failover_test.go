package e2e

import (
	"io"
	"strings"
	"testing"

	"gopherwood/e2e/internal/ensemble"
)

// TestFaultRealClients kills the leader under ZooKeeper's own Java client and Curator, connected to the followers: they notice nothing.
func TestFaultRealClients(t *testing.T) {
	need(t)
	if target() == ensemble.ZooKeeper {
		t.Skip("ZooKeeper hangs up on every client when its leader dies")
	}
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 3})
	leader, err := e.Leader()
	if err != nil {
		t.Fatal(err)
	}
	var followers []string
	for _, s := range e.Servers {
		if s != leader {
			followers = append(followers, s.Addr())
		}
	}
	cmd := javaCommand(t, "gopherwood.FailoverSuite", strings.Join(followers, ","))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	runSuiteWith(t, cmd, func() {
		leader.Kill()
		if _, err := io.WriteString(in, "killed\n"); err != nil {
			t.Error(err)
		}
	})
}
