package main

import (
	"os"
	"runtime"
	"syscall"
	"time"
)

// Go's scheduler wakes a second thread whenever a goroutine becomes ready and a processor idles; it looks for work, finds that the first has done it, and
// sleeps again. A coordination server that is not busy passes one request from goroutine to goroutine, so it does that several times a request: with one
// processor a client alone got its writes answered in 109 µs, with two in 125, and three servers on one machine took a tenth less processor time.
// Hence this governor: while less than half of one processor is used, one is enough.
//
// The environment variable GOMAXPROCS, if it is set, switches it off.
const (
	// procsLook is how often the governor looks: a load that comes suddenly has one processor for no longer.
	procsLook = 50 * time.Millisecond
	// procsCalm and procsBusy are shares of one processor: below the first for long enough, one is enough; above the second, it is not.
	procsCalm = 0.5
	procsBusy = 0.75
	// procsCalmLooks is how many looks in a row must be calm. It doubles each time that one processor turned out too few within
	// procsSoonLooks, up to procsMostLooks: every change stops the world for some tens of microseconds.
	procsCalmLooks = 20
	procsSoonLooks = 200
	procsMostLooks = 1200
)

// procsGovernor decides between one processor and all. It belongs to the goroutine of govern.
type procsGovernor struct {
	narrow    bool
	calm      int // looks in a row that were calm
	needed    int // calm looks before narrow
	sinceLast int // looks since it became narrow
}

// look takes the share of one processor that was used since the last look, and says whether to change.
func (g *procsGovernor) look(used float64) (change bool) {
	g.sinceLast++
	if g.narrow {
		if used < procsBusy {
			return false
		}
		if g.sinceLast < procsSoonLooks {
			g.needed = min(2*g.needed, procsMostLooks)
		} else {
			g.needed = procsCalmLooks
		}
		g.narrow, g.calm = false, 0
		return true
	}
	if used >= procsCalm {
		g.calm = 0
		return false
	}
	if g.calm++; g.calm < g.needed {
		return false
	}
	g.narrow, g.sinceLast = true, 0
	return true
}

// governProcs runs the governor until stop is called, which gives the runtime all processors again.
func governProcs() (stop func()) {
	if os.Getenv("GOMAXPROCS") != "" || runtime.GOMAXPROCS(0) == 1 {
		return func() {}
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		govern(quit)
	}()
	return func() {
		close(quit)
		<-ended
	}
}

func govern(quit <-chan struct{}) {
	defer runtime.SetDefaultGOMAXPROCS()
	tick := time.NewTicker(procsLook)
	defer tick.Stop()
	g := procsGovernor{needed: procsCalmLooks}
	at, used := time.Now(), processorTime()
	for {
		select {
		case <-tick.C:
		case <-quit:
			return
		}
		now, total := time.Now(), processorTime()
		if !g.look(float64(total-used) / float64(max(1, now.Sub(at)))) {
			at, used = now, total
			continue
		}
		at, used = now, total
		if g.narrow {
			runtime.GOMAXPROCS(1)
		} else {
			runtime.SetDefaultGOMAXPROCS()
		}
	}
}

// processorTime is what this process has used so far; it does not fail for oneself.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
