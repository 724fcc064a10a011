package sim

import (
	crand "crypto/rand"
	"fmt"
	"log/slog"
	"runtime/debug"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/node"
	"gopherwood/internal/raftlog"
)

// process is one run of the program on a server, from start to death. It is the node's owner and what package replica is in production.
type process struct {
	sim    *simulation
	srv    *server
	raftID uint64
	origin uint64
	disk   *disk
	dead   bool
	paused bool
	held   []func() // what happened meanwhile

	log    *raftlog.Log
	writer *raftlog.Writer
	node   *node.Node // nil while it asks to join
	audit  *auditor
	up     map[uint64]bool // raft ids with a connection to here; looked up, and walked in the order of servers

	// The writer.
	queue     []*raftlog.Record
	writing   bool
	writes    uint64 // carried out
	durable   uint64 // of those
	noSpace   bool   // the disk is full: what is to be written waits
	writeFrom int64  // since when
	stalled   int64  // until when nothing gets durable
	reportAt  int64  // when the last report of durable records arrives
	appends   int    // handed over and not yet reported

	// The clients.
	clients     []*client
	seq         uint64 // last number of the stream
	done        uint64 // last number that a waiter was told of
	pending     int    // commands submitted and not given back
	chunks      int
	barriers    int
	deferred    [][]byte // commands of the state machine itself, to be submitted after the event
	busyFlush   bool
	inBatch     bool
	checked     uint64 // index up to which check has compared
	lead        node.Leadership
	restoring   bool
	expectError bool // the simulator broke something on purpose
}

// at schedules something that happens to the process; it waits while the process is paused and is gone when it dies.
func (p *process) at(us int64, do func()) {
	p.sim.after(us, func() { p.run(do) })
}

func (p *process) run(do func()) {
	switch {
	case p.dead:
	case p.paused:
		p.held = append(p.held, do)
	default:
		p.guarded(func() {
			if p.node != nil {
				p.node.Now(p.srv.clockMs())
			}
			do()
			p.after()
		})
	}
}

// guarded runs code of the process. A panic ends the process if its disk is to blame: what it has to have and cannot read. Any other ends the simulation.
func (p *process) guarded(do func()) {
	crand.Reader = p.srv.jitter
	defer func() {
		switch e := recover().(type) {
		case nil:
		case violation, crash:
			panic(e)
		default:
			if !p.diskToBlame() {
				panic(crash{e, debug.Stack()})
			}
			p.crash(fmt.Sprint(e))
		}
	}()
	do()
}

// crash is a panic on its way up, with the place where it came from.
type crash struct {
	what  any
	stack []byte
}

// diskToBlame says whether the disk has given the process an error, or something else than was written.
func (p *process) diskToBlame() bool { return p.disk.troubled || p.srv.rotten }

// crash ends the process by its own doing. It is started again, as by a service manager.
func (p *process) crash(why string) {
	if p.dead {
		return
	}
	p.sim.stats.Crashes++
	p.note(lineGivesUp, why)
	p.srv.end(false)
	p.srv.restartIn(max(p.srv.downtime(), 20*millisecond))
}

// after follows every event of the process.
func (p *process) after() {
	if !p.dead && p.disk.off() {
		p.srv.powerWasCut()
	}
	if p.dead || p.node == nil {
		return
	}
	for len(p.deferred) > 0 {
		commands := p.deferred
		p.deferred = nil
		p.submit(commands, nil)
	}
	p.scheduleFlush()
	p.check()
}

// scheduleFlush lets the events of a short while share a Flush, as a loop does that drains its queues.
func (p *process) scheduleFlush() {
	if p.busyFlush {
		return
	}
	p.busyFlush = true
	p.sim.after(p.srv.timeRand.between(0, p.sim.p.gatherUs), func() {
		p.busyFlush = false
		if !p.dead && p.paused {
			p.held = append(p.held, func() {})
		}
		if p.dead || p.paused {
			return
		}
		p.guarded(func() {
			p.node.Now(p.srv.clockMs())
			p.node.Flush()
			p.check()
		})
	})
}

// note adds a line to the trace.
func (p *process) note(format, text string) {
	p.sim.trace.add(traceLine{at: p.sim.now, server: p.srv.id, format: format, note: text})
}

// open recovers the log and, unless the server has to join first, makes the node.
func (p *process) open() error {
	s := p.sim
	var id raftlog.Identity
	copy(id[:], fmt.Sprintf("%016x", p.srv.raftID))
	log, err := raftlog.Open(p.disk, dataDir, raftlog.Options{
		Identity: id, CacheBytes: s.p.cacheBytes, SegmentBytes: s.p.segmentBytes, FirstSegmentBytes: min(32<<10, s.p.segmentBytes),
	})
	if err != nil {
		return err
	}
	p.log, p.writer = log, log.Writer()
	if v := p.srv; v.rotten && log.Recovered().Batches+1 == v.batches {
		return errDoubt
	}
	if err := p.srv.mirror.recovered(log); err != nil {
		return fmt.Errorf("the recovered log is not what was written: %w", err)
	}
	s.log(p.srv.id, "finds entries up to %d on its disk, in term %d", p.srv.mirror.durable.last(), p.srv.mirror.durable.term, 0)
	if !p.disk.clean() && !s.o.Blind {
		p.sim.fail("server %d: the recovered log is taken for durable and wants a sync", p.srv.id)
	}
	if log.Empty() && p.srv.founder {
		if err := p.found(); err != nil {
			return err
		}
	}
	p.background(50*millisecond, p.tidy)
	p.askToJoin()
	if log.Empty() {
		return nil
	}
	return p.boot()
}

// found writes the record with which every founder's log begins.
func (p *process) found() error {
	r := &raftlog.Record{
		Snapshot:  &pb.SnapshotMetadata{Index: new(uint64(1)), Term: new(uint64(1)), ConfState: &pb.ConfState{Voters: p.sim.founders()}},
		HardState: &pb.HardState{Term: new(uint64(1)), Vote: new(uint64(0)), Commit: new(uint64(1))},
	}
	if err := p.writer.Write([]*raftlog.Record{r}); err != nil {
		return err
	}
	p.wrote([]*raftlog.Record{r})
	if err := p.writer.Sync(); err != nil {
		return err
	}
	p.noteDurable()
	p.log.Stable(r)
	return nil
}

// boot makes the node of what the log holds.
func (p *process) boot() error {
	snap, err := p.log.Snapshot()
	if err != nil {
		return err
	}
	var state *node.State
	if index := snap.GetMetadata().GetIndex(); index > 1 {
		if state, err = p.load(index); err != nil {
			return err
		}
		p.sim.stats.Replays++
	}
	cfg := node.Config{
		RaftID: p.srv.raftID, Origin: p.origin, ElectionTicks: p.sim.p.electionTicks, HeartbeatTicks: p.sim.p.heartbeatTicks,
		Inflight: p.sim.p.inflight, SnapshotBytes: p.sim.p.snapshotBytes, KeepBytes: max(1, p.sim.p.keepBytes), Logger: slog.New(logHandler{p}),
	}
	if p.node, err = node.New(cfg, p.log, state, p.audit, host{p}); err != nil {
		return err
	}
	p.node.Now(p.srv.clockMs())
	for _, v := range p.sim.servers {
		if p.up[v.raftID] {
			p.node.PeerUp(v.raftID)
		}
	}
	p.tick()
	if sv := p.audit.service(); sv != nil {
		sv.booted()
	} else {
		p.startClients()
	}
	p.after()
	return nil
}

// tick is the driver's ticker: one that was late is not made up for.
func (p *process) tick() {
	interval := p.sim.p.tickUs - p.sim.p.tickUs*p.srv.driftPpm/1_000_000
	p.sim.after(interval, func() {
		if p.dead {
			return
		}
		if !p.paused {
			p.run(func() {
				p.watchdog()
				p.node.Tick()
			})
		}
		p.tick()
	})
}

// watchdog hands leadership over when the disk hangs or is full, as the driver does.
func (p *process) watchdog() {
	hangs := p.writing && p.sim.now-p.writeFrom > int64(p.sim.p.electionTicks)*p.sim.p.tickUs
	if (hangs || p.noSpace) && p.lead.Leader == p.srv.raftID {
		p.node.Transfer()
	}
}

// pause stops the process for a while, as SIGSTOP or a machine that hangs does.
func (p *process) pause(us int64) {
	p.paused = true
	p.sim.stats.Pauses++
	p.sim.log(p.srv.id, linePaused, uint64(us/millisecond), 0, 0)
	p.sim.after(us, p.resume)
}

func (p *process) resume() {
	if p.dead || !p.paused {
		return
	}
	p.sim.log(p.srv.id, lineGoesOn, 0, 0, 0)
	p.paused = false
	held := p.held
	p.held = nil
	for _, do := range held {
		p.run(do)
	}
}

// stop ends the process in good order.
func (p *process) stop() {
	p.sim.stats.Stops++
	p.sim.log(p.srv.id, "is stopped", 0, 0, 0)
	if p.node != nil {
		p.node.Stop()
		if p.done != p.seq {
			p.sim.fail("server %d was stopped and its waiters up to %d of %d were told", p.srv.id, p.done, p.seq)
		}
	}
	if !p.writing && len(p.queue) == 0 {
		if err := p.log.Close(); err != nil {
			p.sim.fail("server %d: close the log: %v", p.srv.id, err)
		}
	}
	p.srv.kill()
	p.srv.batches = 0
}
