package raftlog

import (
	"testing"

	"pgregory.net/rapid"

	"gopherwood/internal/vfs"
)

// TestModel does random things to a log, crashes among them, and compares it with a plain slice after each.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := vfs.NewMem(rapid.Uint64().Draw(t, "seed"))
		mem.SetDirect(rapid.Bool().Draw(t, "direct"))
		first := rapid.SampledFrom([]int64{2, 3, 5, 8}).Draw(t, "first segment") * blockSize
		h := newHarness(t, mem, Options{
			CacheBytes:        rapid.SampledFrom([]int64{1, 500, 4000, 1 << 20}).Draw(t, "cache"),
			FirstSegmentBytes: first,
			SegmentBytes:      max(first, 8*blockSize),
			NoDirect:          rapid.Bool().Draw(t, "no direct"),
		})
		h.bootstrap()
		t.Repeat(actions(&h))
	})
}

// actions are what may happen to the log in *hp.
func actions(hp **harness) map[string]func(*rapid.T) {
	do := func(f func(t *rapid.T, h *harness)) func(*rapid.T) {
		return func(t *rapid.T) {
			(*hp).t = t
			f(t, *hp)
		}
	}
	return map[string]func(*rapid.T){
		"write": do(randomWrite),
		"sync":  do(func(t *rapid.T, h *harness) { h.sync() }),
		"stable": do(func(t *rapid.T, h *harness) {
			h.tell(rapid.IntRange(1, 4).Draw(t, "n"))
		}),
		"write, sync, stable": do(func(t *rapid.T, h *harness) {
			randomWrite(t, h)
			h.sync()
			h.tell(len(h.pending))
		}),
		"prepare":   do(func(t *rapid.T, h *harness) { h.prepare() }),
		"watermark": do(func(t *rapid.T, h *harness) { h.watermark() }),
		"snapshot": do(func(t *rapid.T, h *harness) {
			lo, hi := h.log.snapshot.GetIndex(), min(h.stable.hard.commit, h.stable.last())
			if lo < hi && h.stable.base.index <= lo {
				index := rapid.Uint64Range(lo+1, hi).Draw(t, "index")
				h.snapshot(index, rapid.Uint64Range(lo, index).Draw(t, "compact"))
			}
		}),
		"install": do(func(t *rapid.T, h *harness) {
			h.hard.term += rapid.Uint64Range(0, 2).Draw(t, "terms")
			h.install(h.written().last()+rapid.Uint64Range(1, 5).Draw(t, "ahead"), rapid.IntRange(0, 2).Draw(t, "entries"))
		}),
		"crash": do(func(t *rapid.T, h *harness) {
			*hp = h.crashed(nil)
			(*hp).open()
		}),
		"kill": do(func(t *rapid.T, h *harness) { h.open() }),
		"close": do(func(t *rapid.T, h *harness) {
			h.close()
			h.open()
		}),
		"": do(func(t *rapid.T, h *harness) { h.verify() }),
	}
}

// randomWrite writes one to three records that raft could ask for.
func randomWrite(t *rapid.T, h *harness) {
	var recs []*Record
	m := h.written()
	for range rapid.IntRange(1, 3).Draw(t, "records") {
		r := &Record{}
		if rapid.Bool().Draw(t, "election") {
			h.hard.term += rapid.Uint64Range(0, 2).Draw(t, "terms")
			h.hard.vote = rapid.Uint64Range(0, 3).Draw(t, "vote")
		}
		if n := rapid.IntRange(0, 4).Draw(t, "entries"); n > 0 {
			from := m.last() + 1
			if lowest := max(h.hard.commit, m.base.index) + 1; lowest < from && rapid.IntRange(0, 3).Draw(t, "truncate") == 0 {
				from = rapid.Uint64Range(lowest, from).Draw(t, "from")
			}
			r.Entries = h.entries(from, n, rapid.SampledFrom([]int{0, 3, 100, 1000, 5000}).Draw(t, "size"))
		}
		m = m.with(r)
		if rapid.Bool().Draw(t, "commit") && m.last() > h.hard.commit {
			h.hard.commit = rapid.Uint64Range(h.hard.commit, m.last()).Draw(t, "committed")
		}
		if len(r.Entries) > 0 || rapid.Bool().Draw(t, "hard state") {
			r.HardState = h.hardState()
		}
		recs = append(recs, r)
	}
	h.write(recs...)
}
