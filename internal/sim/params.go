package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

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

// Mode says how much may go wrong at a time.
type Mode string

// The modes.
const (
	// Safe keeps to the fault budget: at most a minority of the voters' disks is lost or damaged at a time. After the healing everything has to be
	// answered, equal and whole. The default.
	Safe Mode = "safe"
	// Beyond knows no budget: any number of disks is lost or damaged, at any time. The ensemble may stop for good; what it says has to be true as ever.
	Beyond Mode = "beyond"
)

// params are what a seed draws: the ensemble and the weather.
type params struct {
	servers   int
	observers int    // of the servers, the last ones
	workload  string // "ledger" or "tree"

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

	faultPhase int64           // microseconds
	downUs     int64           // mean time that a server is down
	faultUs    int64           // mean time between two faults
	weights    [faultKinds]int // of the faults; with faultUs they are drawn from and not part of a script
}

func drawParams(r random, o *Options) params {
	p := params{
		servers: 1 + r.pick([]int{2, 2, 10, 2, 5, 1, 2}),
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
	if p.servers > 1 && r.chance(0.2) {
		p.observers = 1 + r.IntN(min(p.servers-1, 2))
	}
	p.heartbeatTicks = max(1, p.electionTicks/int(r.between(5, 10)))
	if p.lossy {
		p.loss, p.dup = r.Float64()*r.Float64()*0.2, r.Float64()*0.1
	}
	p.workload = Workloads()[r.IntN(2)] // the third is asked for
	for i := range p.weights {          // a swarm: each seed leaves out some kinds of fault
		if r.chance(0.6) {
			p.weights[i] = int(r.between(1, 10))
		}
	}
	p.budget(r, o.Mode)
	p.narrow(o)
	return p
}

// budget takes faults out that would be more than what the mode allows.
func (p *params) budget(r random, mode Mode) {
	if mode == Beyond {
		for _, k := range diskLosing {
			p.weights[k] += int(r.between(0, 5))
		}
		p.weights[faultDisaster] = int(r.between(0, 2)) // after one there is not much left to go wrong
		return
	}
	p.weights[faultDisaster] = 0
	// How many disks may be lost depends on who votes, and a change of that under way can't be seen from outside: not both in one seed.
	if r.chance(0.5) {
		p.weights[faultReshape] *= 3
	} else {
		p.weights[faultReshape] = 0
		return
	}
	for _, k := range diskLosing {
		p.weights[k] = 0
	}
}

// narrow applies what the caller asked for.
func (p *params) narrow(o *Options) {
	if o.Servers != 0 {
		p.servers = min(o.Servers, maxServers)
		p.observers = min(p.observers, p.servers-1)
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

// paramField is a parameter as a script names it.
type paramField struct {
	name string
	at   any
}

// fields are the parameters that a script spells out.
func (p *params) fields() []paramField {
	return []paramField{
		{"servers", &p.servers}, {"observers", &p.observers}, {"workload", &p.workload},
		{"tick-us", &p.tickUs}, {"election-ticks", &p.electionTicks}, {"heartbeat-ticks", &p.heartbeatTicks}, {"inflight", &p.inflight},
		{"snapshot-bytes", &p.snapshotBytes}, {"keep-bytes", &p.keepBytes}, {"segment-bytes", &p.segmentBytes}, {"cache-bytes", &p.cacheBytes},
		{"direct", &p.direct}, {"gather-us", &p.gatherUs},
		{"lossy", &p.lossy}, {"loss", &p.loss}, {"dup", &p.dup}, {"refuse", &p.refuse}, {"delay-us", &p.delayUs}, {"min-us", &p.minUs},
		{"sync-us", &p.syncUs}, {"stall", &p.stall},
		{"clients", &p.clients}, {"submit-us", &p.submitUs}, {"barrier-us", &p.barrierUs}, {"bulk", &p.bulk}, {"expiry-tick", &p.expiryTick},
		{"fault-phase", &p.faultPhase}, {"down-us", &p.downUs},
	}
}

func (f *paramField) parse(text string) (err error) {
	switch v := f.at.(type) {
	case *int:
		*v, err = strconv.Atoi(text)
	case *int64:
		*v, err = strconv.ParseInt(text, 10, 64)
	case *bool:
		*v, err = strconv.ParseBool(text)
	case *float64:
		*v, err = strconv.ParseFloat(text, 64)
	case *string:
		*v = text
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}

// validate refuses what the simulation can't be built of.
func (p *params) validate() error {
	switch {
	case p.servers < 1 || p.servers > maxServers:
		return fmt.Errorf("sim: servers %d is not between 1 and %d", p.servers, maxServers)
	case p.observers < 0 || p.observers >= p.servers:
		return fmt.Errorf("sim: observers %d of %d servers: somebody has to vote", p.observers, p.servers)
	case !slices.Contains(Workloads(), p.workload):
		return fmt.Errorf("sim: workload %q; there are %s", p.workload, strings.Join(Workloads(), " and "))
	case p.tickUs <= 0 || p.electionTicks < 2 || p.heartbeatTicks < 1 || p.heartbeatTicks >= p.electionTicks || p.inflight < 1:
		return fmt.Errorf("sim: tick-us %d, election-ticks %d, heartbeat-ticks %d, inflight %d: no node can be made of these", p.tickUs, p.electionTicks, p.heartbeatTicks, p.inflight)
	case p.segmentBytes < 32<<10 || p.submitUs <= 0 || p.barrierUs <= 0 || p.faultPhase < 0 || p.faultPhase > maxFaultPhase || p.clients < 1 || p.clients > maxClients:
		return fmt.Errorf("sim: segment-bytes %d (at least %d), submit-us %d, barrier-us %d, fault-phase %d (at most %d), clients %d (1 to %d)",
			p.segmentBytes, 32<<10, p.submitUs, p.barrierUs, p.faultPhase, maxFaultPhase, p.clients, maxClients)
	}
	return nil
}

// String tells what was drawn, for the head of a report.
func (p *params) String() string {
	return fmt.Sprintf("%d servers (%d observers), %s, tick %d ms, election %d ticks, heartbeat %d; %d batches in flight, snapshot %d B, keep %d B, segment %d B, cache %d B, direct %v; "+
		"lossy %v (%.3f lost, %.3f doubled), delay %d µs, sync %d µs, gather %d µs; %d clients, a chunk each %d ms; faults for %d s",
		p.servers, p.observers, p.workload, p.tickUs/millisecond, p.electionTicks, p.heartbeatTicks, p.inflight, p.snapshotBytes, p.keepBytes, p.segmentBytes, p.cacheBytes, p.direct,
		p.lossy, p.loss, p.dup, p.delayUs, p.syncUs, p.gatherUs, p.clients, p.submitUs/millisecond, p.faultPhase/second)
}
