//go:build planted

package sim

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"gopherwood/internal/node"
)

// plantedSeeds is within how many seeds a planted bug must be found.
const plantedSeeds = 500

// TestPlanted plants one bug after another and wants each to be found. Each has a process of its own: the node's bugs cannot be
// taken out again.
func TestPlanted(t *testing.T) {
	if bug := os.Getenv("GOPHERWOOD_SIM_PLANT"); bug != "" {
		plant(bug)
		return
	}
	for _, bug := range []string{"sync-left-out", "sync-left-out-blind", "late-expiry", "origin-duplicate", "origin-gap", "snapshot-short"} {
		t.Run(bug, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestPlanted$")
			cmd.Env = append(os.Environ(), "GOPHERWOOD_SIM_PLANT="+bug)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			found, _, _ := strings.Cut(string(out), "\n")
			if !strings.HasPrefix(found, "seed ") {
				t.Fatalf("not found within %d seeds", plantedSeeds)
			}
			t.Log(found)
		})
	}
}

// plant runs seeds until the bug is found and prints what was broken.
func plant(bug string) {
	o := Options{Profile: Profile(os.Getenv("GOPHERWOOD_SIM_PROFILE"))}
	switch bug {
	case "sync-left-out":
		o.Bugs.SkipSync = true
	case "sync-left-out-blind": // it is found by what is lost, too
		o.Bugs.SkipSync, o.Bugs.Blind = true, true
	case "late-expiry":
		o.Bugs.LateExpiry = true
	default:
		if !node.PlantBug(bug) {
			panic("the node has no bug " + bug)
		}
	}
	for o.Seed = 1; o.Seed <= plantedSeeds; o.Seed++ {
		if r := Run(o); r.Violation != "" {
			what, _, _ := strings.Cut(r.Violation, "\n")
			fmt.Printf("seed %d: %s\n", o.Seed, what)
			return
		}
	}
}
