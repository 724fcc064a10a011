package main

import (
	"runtime"
	"testing"
)

// looks feeds n looks of the same use and returns how many changes it made.
func (g *procsGovernor) looks(n int, used float64) (changes int) {
	for range n {
		if g.look(used) {
			changes++
		}
	}
	return changes
}

func TestOneProcessorIsEnoughWhenCalm(t *testing.T) {
	g := procsGovernor{needed: procsCalmLooks}
	if g.looks(1000, 0.6); g.narrow {
		t.Error("narrow at more than half of a processor")
	}
	if g.looks(procsCalmLooks-1, 0.1); g.narrow {
		t.Error("narrow too soon")
	}
	if !g.look(0.1) || !g.narrow {
		t.Error("not narrow after a calm second")
	}
	if g.looks(1000, 0.7) != 0 {
		t.Error("wide again although one processor was enough")
	}
	if !g.look(0.8) || g.narrow {
		t.Error("still narrow when one processor was not enough")
	}
}

func TestALoadThatComesAndGoesChangesItLessAndLess(t *testing.T) {
	g := procsGovernor{needed: procsCalmLooks}
	changes := 0
	for range 500 {
		changes += g.looks(30, 0.1) + g.looks(2, 1)
	}
	if changes > 4 {
		t.Errorf("%d changes", changes)
	}
	g.looks(procsMostLooks, 0.1)
	if !g.narrow {
		t.Fatal("never narrow again")
	}
	g.looks(procsSoonLooks, 0.1)
	g.look(1)
	if g.needed != procsCalmLooks {
		t.Errorf("%d calm looks are needed after it had been calm for long", g.needed)
	}
}

func TestTheGovernorGivesTheProcessorsBack(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	before := runtime.GOMAXPROCS(0)
	stop := governProcs()
	stop()
	if after := runtime.GOMAXPROCS(0); after != before {
		t.Errorf("%d processors, %d before", after, before)
	}
}
