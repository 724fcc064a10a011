package sim

import (
	crand "crypto/rand"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
)

// Options say which simulation to run. The zero value, with a seed, works.
type Options struct {
	Seed     uint64
	Mode     Mode    // "": Safe
	Script   *Script // what to run; nil: what the seed and the next three draw
	Profile  Profile
	Servers  int       // 0: drawn
	Workload string    // "ledger", "tree" or "server"; "": one of the first two is drawn
	Blind    bool      // does not count durable copies, so that a loss has to show in what comes of it: for a test of the other checks
	Own      *Own      // a state machine from outside; nil: that of Workload
	Trace    io.Writer // every event as it happens; nil: only the tail of a failure

	tune  func(*params)                    // changes what was drawn, for a story
	story func(*simulation)                // schedules what happens in it
	onAck func(s *simulation, term uint64) // is told of every command answered, with its entry's term
	watch func(*traceLine)                 // is told of every event as it happens
}

// Workloads are the state machines under test.
func Workloads() []string { return []string{"ledger", "tree", "server"} }

// Validate refuses what there is not.
func (o *Options) Validate() error {
	switch {
	case o.Mode != "" && o.Mode != Safe && o.Mode != Beyond:
		return fmt.Errorf("sim: mode %q; there are %s and %s", o.Mode, Safe, Beyond)
	case o.Profile != Mixed && o.Profile != PowerLoss && o.Profile != Calm:
		return fmt.Errorf("sim: profile %q; there are %s, %s and none", o.Profile, PowerLoss, Calm)
	case o.Workload != "" && !slices.Contains(Workloads(), o.Workload):
		return fmt.Errorf("sim: workload %q; there are %s", o.Workload, strings.Join(Workloads(), " and "))
	case o.Servers < 0 || o.Servers > maxServers:
		return fmt.Errorf("sim: %d servers; 1 to %d, or 0 to draw it", o.Servers, maxServers)
	}
	return nil
}

// Result is what came of a simulation.
type Result struct {
	Seed      uint64
	Mode      Mode
	Params    string
	Violation string   // what was broken, empty if nothing
	Trace     []string // the last events before it
	Hash      uint64   // of all events
	Events    int
	Steps     uint64 // that clients took
	SimUs     int64  // simulated time, microseconds
	Stats     Stats
}

// Stats count what happened, so that a test can see that the weather was bad enough.
type Stats struct {
	Commands, Acked, Unknown, Barriers, Expiries, LateExpiries int
	Torn, Stops, Promotions, Pauses                            int
	Breaks, Snapshots, Installs, Leaders                       int
	Replays                                                    int
	Rots, Lies, Condemned                                      int
	ReadErrors, SyncErrors, NoSpace                            int
	SnapshotFailures, StartFailures, Crashes                   int
	Frames, Lost, Doubled, Overtaken                           int
	Whole, Halted                                              int // runs that ended with everything done, and, beyond the fault budget, without
	Faults                                                     [faultKinds]int
	Swarm                                                      SwarmStats
}

// Add adds up the figures of several runs.
func (s *Stats) Add(o *Stats) {
	a, b := s.fields(), o.fields()
	for i := range a {
		*a[i].n += *b[i].n
	}
	s.Swarm.Add(&o.Swarm)
}

type statField struct {
	name string
	n    *int
}

func (s *Stats) fields() []statField {
	fields := []statField{
		{"commands", &s.Commands}, {"acked", &s.Acked}, {"unknown", &s.Unknown}, {"barriers", &s.Barriers}, {"expiries", &s.Expiries},
		{"late expiries", &s.LateExpiries}, {"torn writes", &s.Torn}, {"stops", &s.Stops},
		{"promotions", &s.Promotions}, {"pauses", &s.Pauses}, {"breaks", &s.Breaks},
		{"snapshots", &s.Snapshots}, {"installs", &s.Installs}, {"leaders", &s.Leaders}, {"replays", &s.Replays},
		{"rots", &s.Rots}, {"lies", &s.Lies}, {"condemned", &s.Condemned},
		{"read errors", &s.ReadErrors}, {"sync errors", &s.SyncErrors}, {"writes without space", &s.NoSpace},
		{"failed snapshots", &s.SnapshotFailures}, {"failed starts", &s.StartFailures}, {"crashes", &s.Crashes},
		{"frames", &s.Frames}, {"lost", &s.Lost}, {"doubled", &s.Doubled}, {"overtaken", &s.Overtaken}, {"whole at the end", &s.Whole}, {"halted", &s.Halted},
	}
	for i := range s.Faults {
		fields = append(fields, statField{"fault " + faultTable[i].name, &s.Faults[i]})
	}
	return fields
}

// String lists the figures.
func (s *Stats) String() string {
	var b strings.Builder
	for i, f := range s.fields() {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d %s", *f.n, f.name)
	}
	return b.String()
}

// String is a report for people: the seed first.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: ", r.Seed)
	if r.Violation == "" {
		fmt.Fprintf(&b, "ok, %d events in %.1f simulated seconds, trace hash %016x\n%s\n%s", r.Events, float64(r.SimUs)/1e6, r.Hash, r.Params, &r.Stats)
		return b.String()
	}
	fmt.Fprintf(&b, "VIOLATION: %s\n%s\n%s\n", r.Violation, r.Params, &r.Stats)
	if len(r.Trace) > 0 {
		b.WriteString("the last events:\n")
	}
	for _, l := range r.Trace {
		b.WriteString(l)
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "seed %d: VIOLATION: %s", r.Seed, r.Violation)
	return b.String()
}

// violation is what fail panics with.
type violation string

// simulation is one run. Everything in it happens in one goroutine.
type simulation struct {
	o     Options
	p     params
	now   int64 // microseconds
	heap  eventHeap
	trace *trace
	stats Stats
	done  bool
	calm  bool // the faults are over

	badUntil      int64 // the network is bad
	quietSince    int64 // the clients have stopped
	settleBy      int64
	barriersAsked bool

	script     *Script
	faults     random // of the fault that is happening
	clientRand random
	steps      uint64 // that clients have taken

	// Of the workload "server".
	sp                         serviceParams
	swarm                      *swarm
	running                    *task // that runs now; nil: the loop, or none
	taskRand, lineRand, zkRand random
	troubleAt                  int64 // when something changed last: a leader, a process

	servers   []*server // server id i+1 at i
	ghost     *ghost
	processes uint64
	clients   uint64
}

// Run runs one simulation. Raft draws its election jitter from crypto/rand.Reader, which Run replaces while it runs: nothing
// else in the process may need it meanwhile, and only one Run at a time is possible.
func Run(o Options) *Result {
	old := crand.Reader
	defer func() { crand.Reader = old }()
	if o.Own != nil {
		o.Workload = workloadOwn
	}
	s := &simulation{o: o, trace: newTrace(o.Trace), script: o.Script}
	if s.script == nil {
		s.script = draw(&o)
	}
	s.trace.watch = o.watch
	s.p = s.script.params
	s.faults, s.clientRand = newRandom(s.script.seed, streamFault, 0), newRandom(s.script.seed, streamClients, 0)
	s.ghost = newGhost(s)
	r := &Result{Seed: s.script.seed, Mode: s.script.mode, Params: s.p.String()}
	if s.p.workload == "server" {
		s.drawService()
		r.Params += "\n" + s.sp.String()
	}
	r.Violation = s.run(&r.Events)
	if r.Violation != "" {
		r.Trace = s.trace.tail()
	}
	r.Hash, r.SimUs, r.Stats, r.Steps = s.trace.sum.Sum64(), s.now, s.stats, s.steps
	return r
}

// run returns the violation that ended the simulation, or nothing.
func (s *simulation) run(events *int) (bad string) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case violation:
			bad = string(v)
		case crash:
			bad = fmt.Sprintf("panic: %v\n%s", v.what, v.stack)
		default:
			bad = fmt.Sprintf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	s.build()
	for !s.done {
		e, ok := s.heap.pop()
		if !ok {
			s.fail("nothing is left to happen")
		}
		s.now = e.at
		e.do()
		if *events++; *events > maxEvents {
			s.fail("the simulation does not end: %d events", maxEvents)
		}
	}
	return ""
}

// build founds the ensemble and schedules the faults and their end.
func (s *simulation) build() {
	for i := range s.p.servers {
		s.servers = append(s.servers, newServer(s, uint16(i+1)))
	}
	s.connectAll()
	for _, v := range s.servers {
		s.after(v.timeRand.between(0, 100*millisecond), v.start)
	}
	if s.p.workload == "server" {
		newSwarm(s)
	}
	s.scheduleFaults()
	if s.o.story != nil {
		s.o.story(s)
	}
}

// after schedules something that no process owns.
func (s *simulation) after(us int64, do func()) { s.heap.push(s.now+us, do) }

// fail ends the simulation with a violation.
func (s *simulation) fail(format string, args ...any) {
	panic(violation(fmt.Sprintf(format, args...)))
}

// log adds a line to the trace.
func (s *simulation) log(server uint16, format string, a, b, c uint64) {
	s.trace.add(traceLine{at: s.now, server: server, format: format, a: a, b: b, c: c})
}

// founders are the raft ids of the first members.
func (s *simulation) founders() []uint64 {
	var ids []uint64
	for _, v := range s.servers {
		if !v.observer {
			ids = append(ids, v.founderID)
		}
	}
	return ids
}
