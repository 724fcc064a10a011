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

const (
	// plantedSeeds is within how many seeds every planted bug has to be found.
	plantedSeeds = 2000
	// startsApart is how far the starts of several searches are from each other.
	startsApart = 100_000
)

// search is how a bug is looked for: by every seed that there is, unless it needs something that is rare.
type search struct {
	bug  planted.Bug
	name string
	o    Options
}

// searches are one for each bug, and another one for what is found in two ways.
func searches() []search {
	var all []search
	for _, b := range planted.All() {
		all = append(all, search{bug: b, name: string(b)})
	}
	// A log that is not synced is found by counting durable copies. It has to be found, too, by what is lost.
	return append(all, search{bug: planted.SyncLeftOut, name: string(planted.SyncLeftOut) + ", by what is lost", o: Options{Blind: true}})
}

// TestPlanted plants one bug after the other and wants each to be found: once, or with GOPHERWOOD_SIM_STARTS from so many starts. Of these the median counts.
func TestPlanted(t *testing.T) {
	starts := int(envUint("GOPHERWOOD_SIM_STARTS", 1))
	only := os.Getenv("GOPHERWOOD_SIM_PLANT")
	defer planted.Plant("")
	for _, s := range searches() {
		if only != "" && !slices.Contains(strings.Split(only, ","), string(s.bug)) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			if !planted.Plant(string(s.bug)) {
				t.Fatal("there is no such bug")
			}
			var needed []int
			var what string
			began := time.Now()
			for i := range starts {
				n, first := s.find(uint64(1 + i*startsApart))
				needed, what = append(needed, n), first
			}
			slices.Sort(needed)
			median := needed[len(needed)/2]
			if median > plantedSeeds {
				t.Errorf("not found within %d seeds", plantedSeeds)
			}
			t.Logf("seeds needed %v, median %d, in %.1f s: %s", needed, median, time.Since(began).Seconds(), what)
		})
	}
}

// find returns after how many seeds something is broken, and what. One more than plantedSeeds means never.
func (s *search) find(from uint64) (int, string) {
	o := s.o
	for n := 1; n <= plantedSeeds; n++ {
		o.Seed = from + uint64(n) - 1
		if r := Run(o); r.Violation != "" {
			what, _, _ := strings.Cut(r.Violation, "\n")
			return n, "seed " + strconv.FormatUint(o.Seed, 10) + ": " + what
		}
	}
	return plantedSeeds + 1, ""
}

// TestShrink shortens what a planted bug does, and holds that the script shows the same mistake when it is read from text, and none without the bug.
func TestShrink(t *testing.T) {
	defer planted.Plant("")
	for _, bug := range []planted.Bug{planted.StaleRead, planted.LateExpiry} {
		planted.Plant(string(bug))
		s := search{bug: bug}
		n, what := s.find(1)
		k := Shrinking{Options: Options{Seed: uint64(n)}, Runs: 150}
		script, r, err := k.Shrink()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s\nshortened from %s\n%s", bug, what, draw(&k.Options).Size(), script)
		if before := draw(&k.Options); len(script.faults) > len(before.faults)/2 && len(before.faults) > 3 {
			t.Errorf("%s: %d faults are left of %d", bug, len(script.faults), len(before.faults))
		}
		again, err := ReadScript(strings.NewReader(script.String()))
		if err != nil {
			t.Fatal(err)
		}
		if got := Run(Options{Script: again}); got.Violation != r.Violation || got.Hash != r.Hash {
			t.Errorf("%s: read from text, the script breaks %q (%x), not %q (%x)", bug, got.Violation, got.Hash, r.Violation, r.Hash)
		}
		planted.Plant("")
		if got := Run(Options{Script: again}); got.Violation != "" {
			t.Errorf("without the bug: %s", got)
		}
	}
}
