//go:build planted

package sim

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopherwood/internal/planted"
)

// serverBugSeeds is within how many seeds each of the server's planted bugs has to be found.
const serverBugSeeds = 2000

// TestPlantedServer plants one of the server's bugs after the other and wants the simulated clients to find each: once, or with GOPHERWOOD_SIM_STARTS from so many
// starts, of which the median counts.
func TestPlantedServer(t *testing.T) {
	starts := int(envUint("GOPHERWOOD_SIM_STARTS", 1))
	only := os.Getenv("GOPHERWOOD_SIM_PLANT")
	defer planted.Plant("")
	for _, bug := range planted.Server() {
		if only != "" && !slices.Contains(strings.Split(only, ","), string(bug)) {
			continue
		}
		t.Run(string(bug), func(t *testing.T) {
			if !planted.Plant(string(bug)) {
				t.Fatal("there is no such bug")
			}
			var needed []int
			var what string
			began := time.Now()
			for i := range starts {
				n, first := findServerBug(uint64(1 + i*100_000))
				needed, what = append(needed, n), first
			}
			slices.Sort(needed)
			if needed[len(needed)/2] > serverBugSeeds {
				t.Errorf("not found within %d seeds", serverBugSeeds)
			}
			t.Logf("seeds needed %v, in %.1f s: %s", needed, time.Since(began).Seconds(), what)
		})
	}
}

// findServerBug returns after how many seeds something is broken, and what. One more than serverBugSeeds means never.
func findServerBug(from uint64) (int, string) {
	for n := 1; n <= serverBugSeeds; n++ {
		if r := Run(Options{Seed: from + uint64(n) - 1, Workload: "server"}); r.Violation != "" {
			what, _, _ := strings.Cut(r.Violation, "\n")
			return n, "seed " + strconv.FormatUint(r.Seed, 10) + ": " + what
		}
	}
	return serverBugSeeds + 1, ""
}
