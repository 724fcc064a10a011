package sim

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestCanary holds what everything here rests on: a seed is a simulation, down to the last byte on the network, in this process, again in
// this process, and in another. A release of Go or of raft that draws chance from somewhere else ends it.
func TestCanary(t *testing.T) {
	if os.Getenv("GOPHERWOOD_SIM_CANARY") != "" {
		fmt.Println(canary())
		return
	}
	first := canary()
	if again := canary(); again != first {
		t.Errorf("the same seeds gave %s, then %s", first, again)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCanary$")
	cmd.Env = append(os.Environ(), "GOPHERWOOD_SIM_CANARY=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), first) {
		t.Errorf("the same seeds gave %s here and in another process %s", first, out)
	}
}

func canary() string {
	text := ""
	for _, o := range []Options{{Seed: 7, Workload: "ledger"}, {Seed: 8, Workload: "tree", Servers: 3}, {Seed: 9, Workload: "server"}, {Seed: 10, Workload: "server", Servers: 3}} {
		r := Run(o)
		text += fmt.Sprintf(" %016x-%d", r.Hash, r.Events)
	}
	return text
}
