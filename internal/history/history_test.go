package history

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"gopherwood/zk"
)

const (
	genSeeds = 150
	patience = 10 * time.Second
)

// What a correct ensemble does is accepted, lost answers, lagging reads and expired sessions included.
func TestCorrectHistories(t *testing.T) {
	ops, unanswered, failed := 0, 0, 0
	for seed := range uint64(genSeeds) {
		h, _ := generate(seed, "")
		r := Check(h, patience)
		for _, v := range r.Violations {
			t.Errorf("seed %d: %v", seed, v)
		}
		if r.Undecided > 0 {
			t.Errorf("seed %d: %d of %d paths undecided", seed, r.Undecided, r.Paths)
		}
		if t.Failed() {
			return
		}
		h.all(func(o *Op) {
			ops++
			if !o.Answered() {
				unanswered++
			} else if o.Code != zk.OK {
				failed++
			}
		})
	}
	if unanswered < ops/50 || failed < ops/20 {
		t.Errorf("of %d operations %d have no answer and %d failed: too few to prove anything", ops, unanswered, failed)
	}
}

// What each planted bug is found by, at least.
var planted = map[string]string{
	"stale read after sync":      "real time linearizable",
	"session goes back":          "sessions",
	"torn read":                  "replay linearizable",
	"zxid twice":                 "real time",
	"change skipped":             "replay linearizable watches",
	"applied twice":              "replay linearizable",
	"sequence reused":            "sequences",
	"ephemeral left behind":      "replay",
	"ephemeral gone early":       "replay",
	"two holders":                "holders replay",
	"write after its connection": "replay",
	"event lost":                 "watches",
	"event late":                 "watches",
	"event twice":                "watches",
}

// An ensemble with a bug is found out, by each check that should see it, within a few histories.
func TestPlantedBugs(t *testing.T) {
	for _, bug := range slices.Sorted(maps.Keys(planted)) {
		t.Run(strings.ReplaceAll(bug, " ", "_"), func(t *testing.T) {
			missing := strings.NewReplacer("real time", "real-time").Replace(planted[bug])
			want := make(map[string]bool)
			for name := range strings.FieldsSeq(missing) {
				want[strings.ReplaceAll(name, "-", " ")] = true
			}
			seeds, found := 0, 0
			for seed := uint64(0); len(want) > 0 && seed < genSeeds; seed++ {
				h, done := generate(seed, bug)
				if done == 0 {
					continue
				}
				seeds++
				violations := Check(h, patience).Violations
				if len(violations) > 0 {
					found++
				}
				for _, v := range violations {
					delete(want, v.Check)
				}
			}
			t.Logf("found in %d of %d histories", found, seeds)
			if len(want) > 0 {
				t.Errorf("not found by %v in %d histories with the bug", slices.Sorted(maps.Keys(want)), seeds)
			}
		})
	}
}

// What is written twice can't be told apart, so the recorder is told off.
func TestUnique(t *testing.T) {
	h := &History{Clients: []Client{{Ops: []Op{
		{Session: 1, Kind: Create, Path: "/a", Data: "x", Call: 1, Return: 2, Zxid: 1},
		{Session: 1, Kind: Set, Path: "/a", Data: "x", Version: -1, Call: 3, Return: 4, Zxid: 2},
	}}}}
	if v := Unique(h); len(v) != 1 {
		t.Errorf("got %v", v)
	}
}

// A client that hides its zxids is judged by porcupine alone, but it is judged.
func TestHiddenZxids(t *testing.T) {
	h := &History{Clients: []Client{{Ops: []Op{
		{Session: 1, Kind: Create, Path: "/a", Data: "1", Call: 1, Return: 2},
		{Session: 1, Kind: Set, Path: "/a", Data: "2", Version: -1, Call: 3, Return: 4, Stat: zk.Stat{Version: 1}},
		{Session: 1, Kind: Read, Path: "/a", Synced: true, Call: 5, Return: 6, ReadData: "1"},
	}}}}
	r := Check(h, patience)
	if len(r.Violations) != 1 || r.Violations[0].Check != "linearizable" {
		t.Errorf("got %v", r.Violations)
	}
	if _, undecided := Linearizable(h, time.Nanosecond); undecided > 1 {
		t.Errorf("%d paths undecided of one", undecided)
	}
}

// Too many possibilities are admitted, not judged.
func TestUndecided(t *testing.T) {
	var ops []Op
	for i := range int64(65) {
		ops = append(ops, Op{Session: i + 1, Kind: Delete, Path: "/a", Version: -1, Call: i, Return: Never})
	}
	if v, undecided := Replay(&History{Clients: []Client{{Ops: ops}}}); len(v) != 0 || undecided != 1 {
		t.Errorf("got %v, %d undecided", v, undecided)
	}
}
