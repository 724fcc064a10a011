package raftlog

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"gopherwood/internal/vfs"
)

// scripts are small histories of a log. Every place in each of them is crashed.
var scripts = []struct {
	name string
	run  func(h *harness)
}{
	{"append", func(h *harness) {
		h.append(2, 1, 10)
		h.append(3, 2, 700)
		h.append(5, 1, 5000)
	}},
	{"group commit", func(h *harness) {
		h.append(2, 1, 10)
		h.write(&Record{Entries: h.entries(3, 1, 10)}, &Record{Entries: h.entries(4, 2, 10)})
		h.write(&Record{Entries: h.entries(6, 1, 10)})
		h.sync()
		h.write(&Record{Entries: h.entries(7, 1, 10)})
		h.write(&Record{Entries: h.entries(8, 1, 10)})
	}},
	{"next segments", func(h *harness) {
		for i := range uint64(4) {
			h.append(2+i, 1, 600)
			h.prepare()
		}
		h.append(6, 1, 9000) // more than the prepared one has
	}},
	{"replaced suffix", func(h *harness) {
		h.append(2, 5, 10)
		h.hard = hardState{term: 3, vote: 2, commit: 3}
		h.append(5, 1, 10)
		h.hard.term = 4
		h.write(&Record{Entries: h.entries(4, 3, 10), HardState: h.hardState()}, &Record{Entries: h.entries(6, 1, 10)})
		h.sync()
	}},
	{"votes", func(h *harness) {
		h.append(2, 1, 10)
		h.hard = hardState{term: 2, vote: 3, commit: 2}
		h.write(&Record{HardState: h.hardState()})
		h.sync()
		h.hard.term, h.hard.vote = 3, 0
		h.write(&Record{HardState: h.hardState()})
	}},
	{"commit index only", func(h *harness) {
		h.append(2, 3, 10)
		h.hard.commit = 3
		h.write(&Record{HardState: h.hardState()})
		h.append(5, 1, 10)
		h.hard.commit = 5
		h.write(&Record{HardState: h.hardState()})
		h.close()
	}},
	{"snapshots and recycling", func(h *harness) {
		for i := range uint64(4) {
			h.append(2+i, 1, 600)
			h.hard.commit = 2 + i
		}
		h.append(6, 1, 10)
		h.snapshot(3, 3)
		h.prepare()
		h.append(7, 1, 600)
		h.snapshot(5, 4)
		h.prepare()
		h.append(8, 1, 5000)
		h.prepare()
	}},
	{"snapshot installed", func(h *harness) {
		h.append(2, 2, 10)
		h.install(9, 0)
		h.sync()
		h.tell(1)
		h.append(10, 1, 10)
		h.prepare()
		h.install(20, 2)
	}},
	{"watermarks", func(h *harness) {
		for i := range uint64(3) {
			h.append(2+i, 1, 10)
			h.watermark()
		}
	}},
	{"replaced after what is recycled", func(h *harness) {
		h.append(2, 1, 10)
		h.append(3, 4, 10)
		h.hard.commit = 5
		h.write(&Record{HardState: h.hardState()}, &Record{Entries: h.entries(6, 1, 10)}, &Record{Entries: h.entries(7, 1, 5000)})
		h.sync()
		h.tell(3)
		h.snapshot(5, 5)
		h.prepare()
	}},
	{"replaced after a vote that begins the log", func(h *harness) {
		h.append(2, 5, 5000)
		h.hard = hardState{term: 2, vote: 2, commit: 4}
		h.write(&Record{HardState: h.hardState()})
		h.sync()
		h.append(5, 1, 1000)
		h.tell(1)
		h.snapshot(4, 4)
		h.prepare()
	}},
	{"commit index only, then a snapshot", func(h *harness) {
		h.append(2, 3, 10)
		h.hard.commit = 4
		h.write(&Record{HardState: h.hardState()})
		h.sync()
		h.tell(1)
		h.snapshot(3, 3)
	}},
	{"replaced within a batch after what is recycled", func(h *harness) {
		h.append(2, 5, 5000)
		h.hard.commit = 5
		h.write(&Record{Entries: h.entries(7, 1, 10), HardState: h.hardState()}, &Record{Entries: h.entries(6, 2, 10)})
		h.sync()
		h.tell(2)
		h.snapshot(5, 5)
		h.prepare()
	}},
}

var smallSegments = Options{FirstSegmentBytes: 2 * blockSize, SegmentBytes: 4 * blockSize, CacheBytes: 1}

// maxOutcomes is how many outcomes of one crash are looked at one by one; where there are more, so many are drawn.
var maxOutcomes = flag.Int("outcomes", 4, "outcomes of each crash")

// TestEveryCrash cuts the power after every sector and every other step of every script, in all ways in which the unsynced sectors can
// survive, and goes on with what is left. The harness checks that it is an unbroken beginning that has everything durable.
func TestEveryCrash(t *testing.T) {
	for _, s := range scripts {
		for _, direct := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/direct=%v", s.name, direct), func(t *testing.T) {
				t.Parallel()
				crashes, steps := 0, int64(0)
				for cut := int64(0); ; cut += crashEvery {
					mem := vfs.NewMem(uint64(cut))
					mem.SetDirect(direct)
					mem.CutPower(cut)
					h := newHarness(t, mem, smallSegments)
					h.bootstrap()
					s.run(h)
					crashes += crashAll(h, cut)
					if !h.off {
						steps = cut
						break
					}
				}
				t.Logf("%d steps, %d crashes", steps, crashes)
			})
		}
	}
}

// crashAll crashes a harness in every way, or in many, and returns in how many.
func crashAll(h *harness, seed int64) int {
	n := 0
	for o := vfs.NewOutcomes(); n <= *maxOutcomes && o.Next(); n++ {
		goOn(h.crashed(o), n == 0 && seed/crashEvery%4 == 0)
	}
	if n <= *maxOutcomes {
		return n
	}
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	for range *maxOutcomes {
		goOn(h.crashed(rng), false)
	}
	return n + *maxOutcomes
}

// goOn opens a crashed log, writes to it and crashes it once more, before and after a sync. With inRecovery the power also goes off at
// every step of the opening.
func goOn(h *harness, inRecovery bool) {
	h.t.Helper()
	for cut := int64(0); inRecovery; cut++ {
		c := h.crashed(h.choose(cut))
		c.mem.CutPower(cut)
		c.open()
		if !c.off {
			break
		}
		c.crashed(h.choose(cut)).open()
	}
	h.open()
	h.hard.term++
	if h.written().last() == 0 {
		h.hard.commit = 0
	}
	h.write(&Record{Entries: h.entries(h.written().last()+1, 1, 300), HardState: h.hardState()})
	h.crashed(nil).open()
	h.sync()
	h.tell(1)
	h.verify()
	h.crashed(nil).open()
}

func (h *harness) choose(seed int64) vfs.Chooser { return rand.New(rand.NewPCG(uint64(seed), 2)) }
