package sim

import (
	"slices"

	"gopherwood/internal/node"
	"gopherwood/internal/peer"
	"gopherwood/internal/vfs"
)

// scheduleFaults lets things go wrong until the fault phase ends, and then heals.
func (s *simulation) scheduleFaults() {
	s.after(s.p.faultPhase, s.heal)
	any := false
	for _, w := range s.p.weights {
		any = any || w > 0
	}
	if any {
		s.after(500*millisecond+s.faults.about(s.p.faultUs), s.nextFault)
	}
}

func (s *simulation) nextFault() {
	if s.calm {
		return
	}
	kind := s.faults.pick(s.p.weights[:])
	v := s.servers[s.faults.IntN(len(s.servers))]
	if s.faults.chance(0.3) { // the leader is the most interesting victim
		for _, w := range s.servers {
			if w.proc != nil && w.proc.lead.Mine {
				v = w
			}
		}
	}
	s.stats.Faults[kind]++
	faultTable[kind](s, v)
	s.after(s.faults.about(s.p.faultUs), s.nextFault)
}

var faultTable = [faultKinds]func(s *simulation, v *server){
	faultKill:      (*simulation).faultKill,
	faultPower:     (*simulation).faultPower,
	faultPowerAll:  (*simulation).faultPowerAll,
	faultTornWrite: (*simulation).faultTornWrite,
	faultStop:      (*simulation).faultStop,
	faultPause:     (*simulation).faultPause,
	faultPartition: (*simulation).faultPartition,
	faultBreakLink: (*simulation).faultBreakLink,
	faultStallDisk: (*simulation).faultStallDisk,
	faultTransfer:  (*simulation).faultTransfer,
	faultWipe:      (*simulation).faultWipe,
	faultClock:     (*simulation).faultClock,
	faultSnapshot:  (*simulation).faultSnapshot,
	faultLoss:      (*simulation).faultLoss,
	faultRot:       (*simulation).faultRot,
	faultReshape:   (*simulation).faultReshape,
}

// downtime is how long a server is down.
func (s *simulation) downtime() int64 {
	if s.calm {
		return 10 * millisecond
	}
	return s.faults.about(s.p.downUs)
}

func (s *simulation) faultKill(v *server) {
	if v.proc != nil {
		s.stats.Kills++
		v.kill()
	}
	v.restartIn(s.downtime())
}

func (s *simulation) faultPower(v *server) {
	s.stats.Powers++
	v.losePower()
	v.restartIn(s.downtime())
}

// faultPowerAll cuts the power of several servers at the same moment, of all more often than not.
func (s *simulation) faultPowerAll(*server) {
	all := s.faults.chance(0.6)
	for _, v := range s.servers {
		if all || s.faults.chance(0.6) {
			s.faultPower(v)
		}
	}
}

// faultTornWrite cuts the power in the middle of something that the server is about to write, be it the log, a segment, the
// watermark or a snapshot.
func (s *simulation) faultTornWrite(v *server) {
	if !v.disk.armed {
		v.disk.cutPower(1 + s.faults.Int64N(1<<s.faults.IntN(12)))
	}
}

func (s *simulation) faultStop(v *server) {
	if v.proc != nil && !v.proc.paused && !v.disk.armed {
		s.stats.Stops++
		v.proc.stop()
		v.restartIn(s.downtime())
	}
}

func (s *simulation) faultPause(v *server) {
	if v.proc != nil && !v.proc.paused {
		s.stats.Pauses++
		v.proc.pause(s.faults.between(1, 1<<s.faults.IntN(13)) * millisecond)
	}
}

// faultPartition cuts the servers into two groups, or one direction only.
func (s *simulation) faultPartition(v *server) {
	if len(s.servers) < 2 {
		return
	}
	s.stats.Partitions++
	side := make([]bool, len(s.servers)+1)
	side[v.id] = true
	if s.faults.chance(0.5) {
		for i := range side {
			side[i] = s.faults.chance(0.5)
		}
	}
	way := s.faults.IntN(3) // 0 and 1: one direction only
	var blocked []*link
	s.each(func(l *link) {
		if a, b := side[l.from.id], side[l.to.id]; a != b && (way == 2 || a == (way == 1)) {
			l.blocked++
			blocked = append(blocked, l)
			s.log(0, "nothing gets from server %d to %d", uint64(l.from.id), uint64(l.to.id), 0)
		}
	})
	d := s.faults.between(10, 1<<s.faults.IntN(14)) * millisecond
	timeout := s.faults.between(2000, 8000) * millisecond
	if d > timeout { // the connections do not live through it
		s.after(timeout, func() {
			for _, l := range blocked {
				if l.blocked > 0 {
					l.breakUp()
					s.servers[l.to.id-1].links[l.from.id-1].breakUp()
				}
			}
		})
	}
	s.after(d, func() { s.unblock(blocked) })
}

func (s *simulation) unblock(links []*link) {
	for _, l := range links {
		if l.blocked == 0 {
			continue // healed
		}
		if l.blocked--; l.blocked == 0 {
			s.log(0, "messages get from server %d to %d again", uint64(l.from.id), uint64(l.to.id), 0)
			l.release()
		}
	}
}

// release sends on what a partition held up.
func (l *link) release() {
	held := l.held
	l.held = nil
	for _, frame := range held {
		l.transmit(frame)
	}
}

func (s *simulation) faultBreakLink(v *server) {
	for _, l := range v.links {
		if l != nil && s.faults.chance(0.5) {
			s.stats.Breaks++
			l.breakUp()
		}
	}
}

func (s *simulation) faultStallDisk(v *server) {
	if v.proc != nil {
		v.proc.stalled = s.now + s.faults.between(10, 1<<s.faults.IntN(13))*millisecond
		s.log(v.id, "has a disk that hangs for %d ms", uint64((v.proc.stalled-s.now)/millisecond), 0, 0)
	}
}

// syncDelay is how long a sync takes.
func (s *simulation) syncDelay() int64 {
	d := s.diskRand.about(s.p.syncUs)
	if !s.calm && s.diskRand.chance(s.p.stall) {
		d += s.diskRand.between(10, 500) * millisecond
	}
	return d
}

func (s *simulation) faultTransfer(*server) {
	for _, v := range s.servers {
		if p := v.proc; p != nil && p.node != nil {
			p.run(func() {
				if p.node.Transfer() {
					s.stats.Transfers++
					s.log(v.id, "hands leadership over", 0, 0, 0)
				}
			})
		}
	}
}

// faultReshape makes some of the servers voters and the others observers.
func (s *simulation) faultReshape(*server) {
	var target []peer.Member
	for _, v := range s.servers {
		target = append(target, peer.Member{ServerID: v.id, Observer: s.faults.chance(0.3)})
	}
	target[s.faults.IntN(len(target))].Observer = false
	s.reshape(target)
}

// reshape has whoever leads change the ensemble. That it is refused is no mistake: a server may be down or behind.
func (s *simulation) reshape(target []peer.Member) {
	for _, v := range s.servers {
		if p := v.proc; p != nil && p.node != nil && p.lead.Mine {
			p.run(func() {
				if err := p.node.Reconfigure(target); err == nil {
					s.stats.Reshapes++
					s.log(v.id, "changes the ensemble", 0, 0, 0)
				}
			})
		}
	}
}

// everybodyVotes brings the ensemble back to what it was at first.
func (s *simulation) everybodyVotes() {
	var target []peer.Member
	for _, v := range s.servers {
		target = append(target, peer.Member{ServerID: v.id})
	}
	s.reshape(target)
}

// faultWipe takes a disk away, if the ensemble can bear it.
func (s *simulation) faultWipe(v *server) {
	if v.incarnations >= maxIncarnations || !s.canLose(v) {
		return
	}
	s.stats.Wipes++
	s.log(v.id, "loses its disk", 0, 0, 0)
	v.wipe()
	v.restartIn(s.downtime())
}

// canLose says whether the ensemble can do without a server's disk. At most a minority of the voters may be without theirs, and a
// voter counts until a new incarnation of its server has taken its place, to the knowledge of every disk that is left: a
// member acts on the configuration that it has applied, and after a restart it has applied what its disk says is committed.
func (s *simulation) canLose(v *server) bool {
	if len(s.ghost.configs) == 0 {
		return false
	}
	now := s.ghost.configs[len(s.ghost.configs)-1]
	if len(now.conf.GetVotersOutgoing()) > 0 {
		return false
	}
	lost := 1
	for _, id := range now.conf.GetVoters() {
		w := s.servers[node.ServerOf(id)-1]
		switch {
		case w == v && w.raftID != id:
			return true // its voter's disk is gone already
		case w != v && (w.raftID != id || w.rotten):
			lost++
		}
	}
	for _, w := range s.servers {
		if w != v && max(w.mirror.durable.commit, w.mirror.durable.base) < now.index {
			return false
		}
	}
	return lost <= (len(now.conf.GetVoters())-1)/2
}

// faultRot damages a few bytes on the disk of a server that is down. If the log notices when it is opened, the disk is as good as lost.
// It must notice if it had to: see mirror.recovered. The last write before a crash is open to doubt until the watermark has caught
// up with it (errDoubt); after an orderly stop there is no doubt.
func (s *simulation) faultRot(v *server) {
	if v.incarnations >= maxIncarnations || !s.canLose(v) || v.proc == nil || v.proc.paused || v.proc.writing || v.disk.armed {
		return
	}
	if p := v.proc; s.faults.chance(0.5) {
		p.stop()
		v.batches = 0
	} else {
		v.batches = p.log.Recovered().Batches + p.writes
		v.kill()
	}
	names, err := v.disk.List(dataDir)
	if err != nil || len(names) == 0 {
		s.fail("server %d: list the disk: %d files, %v", v.id, len(names), err)
	}
	name := dataDir + "/" + names[s.faults.IntN(len(names))]
	size, err := v.disk.Stat(name)
	if err != nil {
		s.fail("server %d: size of %s: %v", v.id, name, err)
	}
	if size > 0 {
		s.stats.Rots++
		off := s.faults.Int64N(size)
		if s.faults.chance(0.8) { // where something is: batches begin at blocks, and the rest of a log file is mostly zero
			off = min(off, s.faults.Int64N(64<<10)) / vfs.BlockSize * vfs.BlockSize
			off += s.faults.Int64N(min(256, size-off))
		}
		switch s.faults.IntN(3) {
		case 0:
			err = v.disk.mem.FlipBit(name, off, uint(s.faults.IntN(8)))
		case 1:
			err = v.disk.mem.Zero(name, off, int(min(512, size-off)))
		case 2:
			err = v.disk.mem.Scribble(name, off, []byte{byte(s.faults.IntN(256))})
		}
		if err != nil {
			s.fail("server %d: damage %s: %v", v.id, name, err)
		}
		s.trace.add(traceLine{at: s.now, server: v.id, format: "has a damaged disk: offset %d of %s", a: uint64(off), note: name})
	}
	v.rotten = true
	v.restartIn(s.downtime())
}

func (s *simulation) faultClock(v *server) {
	v.offsetMs += s.faults.between(-5000, 5000)
	s.log(v.id, "has its clock set to %d", uint64(v.clockMs()), 0, 0)
}

func (s *simulation) faultSnapshot(v *server) {
	if p := v.proc; p != nil && p.node != nil {
		p.run(func() {
			if err := p.node.TakeSnapshot(); err != nil {
				s.fail("server %d: take a snapshot: %v", v.id, err)
			}
		})
	}
}

func (s *simulation) faultLoss(*server) {
	s.badUntil = s.now + s.faults.between(10, 1<<s.faults.IntN(12))*millisecond
	s.log(0, "the network is bad for %d ms", uint64((s.badUntil-s.now)/millisecond), 0, 0)
}

// heal ends the fault phase: everything works again, and soon everything has to be done and equal.
func (s *simulation) heal() {
	s.log(0, "heals", 0, 0, 0)
	s.calm, s.badUntil = true, 0
	s.each(func(l *link) {
		if l.blocked > 0 {
			l.blocked = 0
			l.release()
		}
	})
	for _, v := range s.servers {
		if p := v.proc; p != nil {
			p.stalled = 0
			p.resume()
		}
		v.disk.disarm()
		if v.proc == nil {
			v.restartIn(s.faults.about(100 * millisecond))
		}
	}
	s.after(s.faults.between(200, 2000)*millisecond, func() {
		s.quietSince = s.now
		s.settleBy = s.now + convergeWithin
		s.waitForPeace()
	})
}

// quiet says that the clients have had enough.
func (s *simulation) quiet() bool { return s.quietSince > 0 }

// waitForPeace ends the simulation once everything is answered and equal.
func (s *simulation) waitForPeace() {
	if c := s.ghost.conf(); c != nil && len(c.GetLearners()) > 0 {
		s.everybodyVotes()
	}
	why := s.unrest()
	if why == "" {
		if s.barriersAsked {
			s.done = true
			return
		}
		s.barriersAsked = true
		for _, v := range s.servers {
			p := v.proc
			p.run(p.barrier)
		}
	}
	if s.now > s.settleBy {
		s.fail("%d s after the last fault: %s\n%s", (s.now-s.quietSince)/second, why, s.accounts())
	}
	s.after(50*millisecond, s.waitForPeace)
}

// voterLost says whether some voter's disk is gone and its successor has not taken over.
func (s *simulation) voterLost() bool {
	return slices.ContainsFunc(s.ghost.conf().GetVoters(), func(id uint64) bool {
		return s.servers[node.ServerOf(id)-1].raftID != id
	})
}
