package sim

import "fmt"

// Profile narrows what a seed may draw.
type Profile string

// The profiles.
const (
	// Mixed draws everything: the default.
	Mixed Profile = ""
	// PowerLoss is about power cuts at any sector, of one server, some or all, one after the other.
	PowerLoss Profile = "power"
	// Calm has no faults at all: to measure, and to see that nothing goes wrong by itself.
	Calm Profile = "calm"
)

// The faults, in the order of params.weights.
const (
	faultKill = iota
	faultPower
	faultPowerAll
	faultTornWrite
	faultStop
	faultPause
	faultPartition
	faultBreakLink
	faultStallDisk
	faultTransfer
	faultWipe
	faultClock
	faultSnapshot
	faultLoss
	faultRot
	faultReshape
	faultKinds
)

// params are what a seed draws: the ensemble and the weather.
type params struct {
	servers  int
	workload string // "ledger" or "tree"

	tickUs         int64
	electionTicks  int
	heartbeatTicks int
	inflight       int // batches
	snapshotBytes  int64
	keepBytes      int64
	segmentBytes   int64
	cacheBytes     int64
	direct         bool  // the disks can write past the page cache
	gatherUs       int64 // events of so long a time go into one Flush

	lossy     bool // messages are lost, doubled and overtaken; otherwise links are streams
	loss, dup float64
	refuse    float64 // a Send that finds a full queue
	delayUs   int64   // mean
	minUs     int64
	syncUs    int64 // mean
	stall     float64

	clients    int
	submitUs   int64 // mean time between two chunks of one server
	barrierUs  int64
	bulk       bool // now and then a command of many kilobytes
	expiryTick float64

	faultPhase int64 // microseconds
	faultUs    int64 // mean time between two faults
	downUs     int64 // mean time that a server is down
	weights    [faultKinds]int
}

func drawParams(r random, o *Options) params {
	p := params{
		servers: 1 + r.pick([]int{1, 1, 6, 1, 3}),
		tickUs:  r.between(5, 20) * millisecond, electionTicks: int(r.between(10, 50)),
		inflight:      1 + r.IntN(4),
		snapshotBytes: r.between(1, 8) << 10 << r.IntN(6), keepBytes: r.between(0, 64) << 10,
		segmentBytes: 32 << 10 << r.IntN(4), cacheBytes: 1 << 10 << r.IntN(10), direct: r.chance(0.5),
		gatherUs: r.between(0, 1) * r.between(0, 2000),
		lossy:    r.chance(0.5), refuse: r.Float64() * 0.01,
		minUs: r.between(20, 500), delayUs: r.between(50, 10_000), syncUs: r.between(50, 20_000), stall: r.Float64() * 0.02,
		clients: int(r.between(1, 8)), submitUs: r.between(5, 60) * millisecond, barrierUs: r.between(20, 200) * millisecond,
		bulk: r.chance(0.1), expiryTick: r.Float64() * 0.2,
		faultPhase: r.between(2, 10) * second, faultUs: r.between(50, 1000) * millisecond, downUs: r.between(10, 1500) * millisecond,
	}
	p.heartbeatTicks = max(1, p.electionTicks/int(r.between(5, 10)))
	if p.lossy {
		p.loss, p.dup = r.Float64()*r.Float64()*0.2, r.Float64()*0.1
	}
	p.workload = []string{"ledger", "tree"}[r.IntN(2)]
	for i := range p.weights { // a swarm: each seed leaves out some kinds of fault
		if r.chance(0.7) {
			p.weights[i] = int(r.between(1, 10))
		}
	}
	// How many disks may be lost depends on who votes, and a change of that under way can't be seen from outside: not both in one seed.
	if r.chance(0.5) {
		p.weights[faultReshape] = 0
	} else {
		p.weights[faultWipe], p.weights[faultRot] = 0, 0
	}
	p.narrow(o)
	return p
}

// narrow applies what the caller asked for.
func (p *params) narrow(o *Options) {
	if o.Servers != 0 {
		p.servers = min(o.Servers, maxServers)
	}
	if o.Workload != "" {
		p.workload = o.Workload
	}
	switch o.Profile {
	case PowerLoss:
		p.weights = [faultKinds]int{faultKill: 2, faultPower: 6, faultPowerAll: 6, faultTornWrite: 8, faultStop: 1, faultSnapshot: 2, faultBreakLink: 1, faultRot: 1}
		p.faultUs, p.downUs = min(p.faultUs, 400*millisecond), min(p.downUs, 300*millisecond)
		p.faultPhase = min(p.faultPhase, 8*second)
	case Calm:
		p.weights = [faultKinds]int{}
		p.lossy, p.loss, p.dup, p.refuse, p.stall = false, 0, 0, 0, 0
	}
}

// String tells what was drawn, for the head of a report.
func (p *params) String() string {
	return fmt.Sprintf("%d servers, %s, tick %d ms, election %d ticks, heartbeat %d; %d batches in flight, snapshot %d B, keep %d B, segment %d B, cache %d B, direct %v; "+
		"lossy %v (%.3f lost, %.3f doubled), delay %d µs, sync %d µs, gather %d µs; %d clients, a chunk each %d ms; faults for %d s, each %d ms, %v",
		p.servers, p.workload, p.tickUs/millisecond, p.electionTicks, p.heartbeatTicks, p.inflight, p.snapshotBytes, p.keepBytes, p.segmentBytes, p.cacheBytes, p.direct,
		p.lossy, p.loss, p.dup, p.delayUs, p.syncUs, p.gatherUs, p.clients, p.submitUs/millisecond, p.faultPhase/second, p.faultUs/millisecond, p.weights)
}
