package server

import (
	"time"

	"gopherwood/replica"
	"gopherwood/zk"
)

// stage is a part of a write's way. Together they are the time from reading it to sending its reply.
type stage int

const (
	stageQueue   stage = iota // from the client's connection to the loop
	stageForward              // from the loop, over the leader, to this server's log: for the leader itself, the wait for the batch before
	stageSync                 // in this server's log: written and synced
	stageCommit               // until a majority has it and it is this server's turn to apply it
	stageApply                // to the state, with the events and the replies
	stageReply                // from there into the client's socket
	stageCount
)

var stageNames = [stageCount]string{"queue", "forward", "sync", "commit", "apply", "reply"}

// stageTimes is what one request spent where.
type stageTimes [stageCount]time.Duration

// observing is what a server measures beyond ZooKeeper's counters. on is constant; without it nothing is measured.
type observing struct {
	on     bool
	stages [stageCount]latency
	ops    [opSlots]*latency // by slotOf; nil for what is no operation
	timer  interface {
		Times(index uint64) replica.Times
	}
}

func (o *observing) start(on bool) {
	if o.on = on; !on {
		return
	}
	for slot := range opTable {
		if opTable[slot].metric != "" {
			o.ops[slot] = new(latency)
		}
	}
}

// latencies is how long reads and writes take, as of now.
func (s *Server) latencies() (reads, writes *latency) {
	if !s.observed.on {
		return &s.stats.reads, &s.stats.writes
	}
	reads, writes = new(latency), new(latency)
	for slot, l := range s.observed.ops {
		switch {
		case l == nil:
		case opTable[slot].class == classWrite:
			writes.merge(l)
		default:
			reads.merge(l)
		}
	}
	return reads, writes
}

func (o *observing) reset() {
	for i := range o.stages {
		o.stages[i].reset()
	}
	for _, l := range o.ops {
		if l != nil {
			l.reset()
		}
	}
}

// Taken implements replica.Observer.
func (s *Server) Taken(count int, wait time.Duration) {
	s.observed.stages[stageQueue].add(int64(count), wait)
}

// Synced implements replica.Observer.
func (s *Server) Synced(d time.Duration) { s.stats.syncs.add(1, d) }

var _ replica.Observer = (*Server)(nil)

// entryStages belongs to the loop goroutine: the entry that is being applied, and what this server's writes in it have in common.
type entryStages struct {
	index  uint64
	asked  bool // measureEntry was called
	known  bool // times is of index
	writes int64
	times  stageTimes
}

// nextEntry is called for each command; it hands in what the entry before it was.
func (s *Server) nextEntry(index uint64) {
	e := &s.loop.entry
	if e.index == index {
		return
	}
	s.settleEntry()
	e.index, e.asked, e.known = index, false, false
}

// settleEntry adds an entry's stages to the histograms, once for all of its writes that came from here.
func (s *Server) settleEntry() {
	e := &s.loop.entry
	if e.writes > 0 && e.known {
		for i := stageForward; i <= stageCommit; i++ {
			s.observed.stages[i].add(e.writes, e.times[i])
		}
	}
	e.writes = 0
}

// observeWrite is called when a write of this server's client was applied, which came at startNs.
func (s *Server) observeWrite(r *request, total time.Duration) {
	e := &s.loop.entry
	if !e.asked {
		e.asked = true
		e.times = stageTimes{}
		if s.observed.timer != nil {
			s.measureEntry(e)
		}
	}
	e.writes++
	if l := s.observed.ops[slotOf(r.op)]; l != nil {
		l.add(1, total)
	}
	if !s.slow.is(total) {
		return
	}
	cmd := &s.loop.cmd
	entry := slowEntry{c: r.c, session: r.c.session, op: r.op, xid: r.xid, total: total, stages: e.times, members: len(cmd.Ops)}
	if len(cmd.Ops) > 0 {
		entry.path = cmd.Ops[0].Path
	}
	known := time.Duration(0)
	for _, d := range e.times {
		known += d
	}
	if e.known { // what is left was before the loop took it
		entry.stages[stageQueue] = max(0, total-known)
	}
	s.slow.add(entry)
}

// measureEntry asks when the entry was where.
func (s *Server) measureEntry(e *entryStages) {
	t := s.observed.timer.Times(e.index)
	if t.Taken.IsZero() || t.Logged.IsZero() || t.Logged.Before(t.Taken) {
		return // it was proposed more than once, or is older than what is kept
	}
	e.known = true
	began := s.start.Add(time.Duration(s.loop.nowNs)) // of the batch, but for its first command: one look at the clock less
	e.times[stageForward] = t.Logged.Sub(t.Taken)
	if t.Synced.IsZero() || t.Synced.After(began) {
		e.times[stageCommit] = max(0, began.Sub(t.Logged)) // by the disks of others
		return
	}
	e.times[stageSync] = t.Synced.Sub(t.Logged)
	e.times[stageCommit] = max(0, began.Sub(t.Synced))
}

// observeBatch is called at the end of a batch, when the lock was let go.
func (s *Server) observeBatch(writes int64) (endNs int64) {
	s.settleEntry()
	endNs = s.now()
	if writes > 0 {
		s.observed.stages[stageApply].add(writes, time.Duration(endNs-s.loop.nowNs))
	}
	return endNs
}

// opCounts are the operations of one burst, so that each is counted once per burst.
type opCounts struct {
	n    int
	last int // where the last request was counted
	list [4]struct {
		slot  int
		seen  int64
		reads int64 // answered at once
	}
}

// count takes a request in. full says that there is no room, and nothing was counted.
func (o *opCounts) count(slot int) (full bool) {
	if o.n > 0 && o.list[o.last].slot == slot {
		o.list[o.last].seen++
		return false
	}
	for i := range o.list[:o.n] {
		if o.list[i].slot == slot {
			o.last = i
			o.list[i].seen++
			return false
		}
	}
	if o.n == len(o.list) {
		return true
	}
	o.last = o.n
	o.list[o.n].slot, o.list[o.n].seen, o.list[o.n].reads = slot, 1, 0
	o.n++
	return false
}

// read says that the last request was a read, and was answered.
func (o *opCounts) read() { o.list[o.last].reads++ }

// settle adds the counts to the server's.
func (o *opCounts) settle(s *Server, lat time.Duration) {
	for i := range o.list[:o.n] {
		c := &o.list[i]
		s.stats.ops[c.slot].Add(c.seen)
		if l := s.observed.ops[c.slot]; l != nil {
			l.add(c.reads, lat)
		} else {
			s.stats.reads.add(c.reads, lat)
		}
	}
	o.n = 0
}

// slowBurst logs a burst of reads that took long, by its last one.
func (r *run) slowBurst(lat time.Duration) {
	path, _ := requestPath(r.lastOp, r.lastBody)
	e := slowEntry{c: r.c, session: r.c.session, op: r.lastOp, xid: r.lastXid, path: string(path[:min(len(path), topPrefixBytes)]), total: lat, members: r.reads}
	r.c.srv.slow.add(e)
}

// observeQueued counts a read that waited behind something. The loop calls it.
func (c *conn) observeQueued(r *request, lat time.Duration) {
	s := c.srv
	if l := s.observed.ops[slotOf(r.op)]; l != nil {
		l.add(1, lat)
	} else {
		s.stats.reads.add(1, lat)
	}
	if !s.slow.is(lat) {
		return
	}
	path, _ := requestPath(r.op, r.body)
	s.slow.add(slowEntry{c: c, session: c.session, op: r.op, xid: r.xid, path: string(path[:min(len(path), topPrefixBytes)]), total: lat})
}

// sample looks at a request for the top talkers, if it is its turn.
func (c *conn) sample(op zk.OpCode, body []byte) {
	t := c.srv.top
	c.random ^= c.random << 13
	c.random ^= c.random >> 7
	c.random ^= c.random << 17
	weight := float64(c.passed + 1)
	c.passed = t.pick(c.random)
	c.untilSample = c.passed
	t.look(c.remote.Addr(), op, body, c.srv.now(), weight)
}
