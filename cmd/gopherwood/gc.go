package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// The garbage collector's default lets a heap grow to twice what is alive. Nearly all of a large heap here is the tree, whose pages
// hold no pointers: collecting costs next to nothing however large it is, while headroom in proportion to it would cost hundreds of
// megabytes. So after each collection the governor sets the collector's percentage such that the headroom is a
// tenth of what is alive, at least 16 MiB: a million znodes of 100 B take some 270 MiB resident, not 500.
//
// The environment variable GOGC, if it is set, switches the governor off.
const (
	gcMinHeadroom = 16 << 20
	gcShare       = 10 // headroom is a gcShare-th of the live heap
	gcMaxPercent  = 800
)

// liveHeap is the metric of what the last collection found alive.
const liveHeap = "/gc/heap/live:bytes"

// gcPercent is the collector's percentage for so many bytes alive.
func gcPercent(live uint64) int {
	headroom := max(gcMinHeadroom, live/gcShare)
	return int(min(gcMaxPercent, max(1, headroom*100/max(1, live))))
}

// governor adjusts the collector after each collection. It has no goroutine: an object that nobody keeps is found dead by
// every collection, and the runtime then calls adjust, which leaves the next one.
type governor struct {
	percent int // as last set; only adjust uses it
	stopped atomic.Bool
}

// startGovernor begins; nil if the operator has decided otherwise.
func startGovernor() *governor {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	g := &governor{percent: gcPercent(0)}
	debug.SetGCPercent(g.percent)
	g.arm()
	return g
}

func (g *governor) arm() {
	canary := new([16]byte)
	runtime.AddCleanup(canary, (*governor).adjust, g)
}

func (g *governor) adjust() {
	if g.stopped.Load() {
		return
	}
	sample := []metrics.Sample{{Name: liveHeap}}
	metrics.Read(sample)
	if sample[0].Value.Kind() == metrics.KindUint64 {
		// Setting it stops the world for a moment: small steps are not worth that.
		if p := gcPercent(sample[0].Value.Uint64()); p*10 < g.percent*9 || p*9 > g.percent*10 {
			g.percent = p
			debug.SetGCPercent(p)
		}
	}
	g.arm()
}

// stop ends it and gives the collector its default back.
func (g *governor) stop() {
	if g != nil {
		g.stopped.Store(true)
		debug.SetGCPercent(100)
	}
}
