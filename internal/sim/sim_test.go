package sim

import (
	"flag"
	"os"
	"runtime/debug"
	"strconv"
	"testing"
	"time"
)

var (
	seeds    = flag.Uint64("sim.seeds", envUint("GOPHERWOOD_SIM_SEEDS", defaultSeeds), "how many seeds to run")
	start    = flag.Uint64("sim.start", envUint("GOPHERWOOD_SIM_START", 1), "the first seed")
	profile  = flag.String("sim.profile", os.Getenv("GOPHERWOOD_SIM_PROFILE"), "what may go wrong: empty (everything), power or calm")
	mode     = flag.String("sim.mode", os.Getenv("GOPHERWOOD_SIM_MODE"), "safe (within the fault budget; the default) or beyond")
	workload = flag.String("sim.workload", "", "ledger, tree or server; empty: ledger or tree, drawn from the seed")
	keep     = flag.Bool("sim.keep", false, "go on after a failure")
	traceTo  = flag.String("sim.trace", "", "write every event of the runs to this file")
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // a simulation is garbage, mostly
	os.Exit(m.Run())
}

func envUint(name string, def uint64) uint64 {
	if v, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return v
	}
	return def
}

// TestServerSeeds is TestSeeds with the real server and its clients.
func TestServerSeeds(t *testing.T) {
	if *workload != "" || *traceTo != "" || *seeds != defaultSeeds {
		t.Skip("TestSeeds is meant")
	}
	var sum Stats
	for seed := range uint64(serverSeeds) {
		r := Run(Options{Seed: seed + 1, Workload: "server"})
		sum.Add(&r.Stats)
		if r.Violation != "" {
			t.Fatalf("%s\nrun it again: go test ./internal/sim -run TestSeeds -sim.workload server -sim.start %d -sim.seeds 1 -sim.trace trace.txt", r, r.Seed)
		}
	}
	for _, f := range sum.Swarm.fields() {
		if *f.n == 0 && serverSeeds >= 40 {
			t.Errorf("in %d seeds there are no %s", serverSeeds, f.name)
		}
	}
	t.Logf("clients: %s", &sum.Swarm)
}

func TestSeeds(t *testing.T) {
	var sum Stats
	var events int
	var simUs int64
	began := time.Now()
	o := Options{Mode: Mode(*mode), Profile: Profile(*profile), Workload: *workload}
	if *traceTo != "" {
		f, err := os.Create(*traceTo)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		o.Trace = f
	}
	ran := 0
	for seed := *start; seed < *start+*seeds; seed++ {
		o.Seed = seed
		r := Run(o)
		ran++
		events += r.Events
		simUs += r.SimUs
		sum.Add(&r.Stats)
		if r.Violation != "" {
			t.Errorf("%s\nrun it again, and shorten it: go run ./cmd/gopherwood-sim -seed %d -mode %q -profile %q -workload %q -shrink", r, seed, r.Mode, *profile, *workload)
			if !*keep {
				break
			}
		}
	}
	took := time.Since(began)
	if *seeds == defaultSeeds && ran == defaultSeeds && !raceEnabled && *profile == "" && *workload == "" && *mode == "" {
		badWeather(t, &sum)
	}
	t.Logf("%d seeds in %.1f s (%.1f a second), %.0f simulated seconds (%.0f a second), %d events\n%s",
		ran, took.Seconds(), float64(ran)/took.Seconds(), float64(simUs)/1e6, float64(simUs)/1e6/took.Seconds(), events, &sum)
	if sum.Swarm.Requests > 0 {
		t.Logf("clients: %s", &sum.Swarm)
	}
}

// badWeather fails if something hardly happens any more in the seeds that everybody runs: then they prove less than they seem to.
func badWeather(t *testing.T, sum *Stats) {
	for _, f := range sum.fields() {
		if *f.n == 0 && f.n != &sum.Halted && f.n != &sum.Faults[faultDisaster] { // those two are for the other mode
			t.Errorf("in %d seeds there are no %s", *seeds, f.name)
		}
	}
}
