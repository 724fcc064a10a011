package sim

// The faults, in the order of faultTable and params.weights.
const (
	faultKill = iota
	faultPower
	faultPowerAll
	faultTornWrite
	faultStop
	faultPause
	faultSlowLoop
	faultPartition
	faultOneWay
	faultFlap
	faultBreakLink
	faultHalfOpen
	faultSlowLink
	faultBadNet
	faultStallDisk
	faultFullDisk
	faultReadErrors
	faultSyncError
	faultWipe
	faultRot
	faultRotLive
	faultLostWrite
	faultMisdirected
	faultDisaster
	faultClock
	faultDrift
	faultSnapshot
	faultTransfer
	faultReshape
	faultKinds
)

// diskLosing are the faults after which a disk may be as good as lost.
var diskLosing = [...]int{faultWipe, faultRot, faultRotLive, faultLostWrite, faultMisdirected}

// fault is a kind of thing that goes wrong. do draws the rest from s.faults, and says whether anything happened: a server may be down, or the ensemble
// may not be able to bear it now.
type fault struct {
	name string
	do   func(s *simulation, v *server) bool
}

var faultTable = [faultKinds]fault{
	faultKill:        {"kill", (*simulation).faultKill},
	faultPower:       {"power", (*simulation).faultPower},
	faultPowerAll:    {"power-all", (*simulation).faultPowerAll},
	faultTornWrite:   {"torn-write", (*simulation).faultTornWrite},
	faultStop:        {"stop", (*simulation).faultStop},
	faultPause:       {"pause", (*simulation).faultPause},
	faultSlowLoop:    {"slow-loop", (*simulation).faultSlowLoop},
	faultPartition:   {"partition", (*simulation).faultPartition},
	faultOneWay:      {"one-way", (*simulation).faultOneWay},
	faultFlap:        {"flap", (*simulation).faultFlap},
	faultBreakLink:   {"break-link", (*simulation).faultBreakLink},
	faultHalfOpen:    {"half-open", (*simulation).faultHalfOpen},
	faultSlowLink:    {"slow-link", (*simulation).faultSlowLink},
	faultBadNet:      {"bad-net", (*simulation).faultBadNet},
	faultStallDisk:   {"stall-disk", (*simulation).faultStallDisk},
	faultFullDisk:    {"full-disk", (*simulation).faultFullDisk},
	faultReadErrors:  {"read-errors", (*simulation).faultReadErrors},
	faultSyncError:   {"sync-error", (*simulation).faultSyncError},
	faultWipe:        {"wipe", (*simulation).faultWipe},
	faultRot:         {"rot", (*simulation).faultRot},
	faultRotLive:     {"rot-live", (*simulation).faultRotLive},
	faultLostWrite:   {"lost-write", (*simulation).faultLostWrite},
	faultMisdirected: {"misdirected", (*simulation).faultMisdirected},
	faultDisaster:    {"disaster", (*simulation).faultDisaster},
	faultClock:       {"clock", (*simulation).faultClock},
	faultDrift:       {"drift", (*simulation).faultDrift},
	faultSnapshot:    {"snapshot", (*simulation).faultSnapshot},
	faultTransfer:    {"transfer", (*simulation).faultTransfer},
	faultReshape:     {"reshape", (*simulation).faultReshape},
}

// scheduleFaults lets things go wrong until the fault phase ends, and then heals.
func (s *simulation) scheduleFaults() {
	s.after(s.p.faultPhase, s.heal)
	for _, f := range s.script.faults {
		s.after(f.at, func() { s.fault(f) })
	}
}

func (s *simulation) fault(f planned) {
	if s.calm {
		return
	}
	s.faults = newRandom(s.script.seed, streamFault, f.rand)
	v := s.servers[s.faults.IntN(len(s.servers))]
	if s.faults.chance(0.3) { // the leader is the most interesting victim
		for _, w := range s.servers {
			if w.proc != nil && w.proc.lead.Mine {
				v = w
			}
		}
	}
	s.trace.add(traceLine{at: s.now, server: v.id, format: lineFault, note: faultTable[f.kind].name})
	if faultTable[f.kind].do(s, v) {
		s.stats.Faults[f.kind]++
	} else {
		s.log(v.id, lineSpared, 0, 0, 0)
	}
}

// downtime is how long a server is down.
func (v *server) downtime() int64 {
	if v.sim.calm {
		return 10 * millisecond
	}
	return v.timeRand.about(v.sim.p.downUs)
}

func (s *simulation) faultKill(v *server) bool {
	was := v.proc != nil
	if was {
		v.kill()
	}
	v.restartIn(v.downtime())
	return was
}

func (s *simulation) faultPower(v *server) bool {
	v.losePower()
	v.restartIn(v.downtime())
	return true
}

// faultPowerAll cuts the power of several servers at the same moment, of all more often than not.
func (s *simulation) faultPowerAll(*server) bool {
	all := s.faults.chance(0.6)
	for _, v := range s.servers {
		if all || s.faults.chance(0.6) {
			s.faultPower(v)
		}
	}
	return true
}

// faultTornWrite cuts the power in the middle of something that the server is about to write, be it the log, a segment, the
// watermark or a snapshot.
func (s *simulation) faultTornWrite(v *server) bool {
	if v.disk.armed {
		return false
	}
	v.disk.cutPower(1 + s.faults.Int64N(1<<s.faults.IntN(12)))
	return true
}

func (s *simulation) faultStop(v *server) bool {
	if v.proc == nil || v.proc.paused || v.disk.armed || v.disk.full || v.disk.failing() {
		return false
	}
	v.proc.stop()
	v.restartIn(v.downtime())
	return true
}

func (s *simulation) faultPause(v *server) bool {
	if v.proc == nil || v.proc.paused {
		return false
	}
	v.proc.pause(s.faults.between(1, 1<<s.faults.IntN(13)) * millisecond)
	return true
}

// faultSlowLoop lets a process come to do something only now and then, as one does that has no processor to itself.
func (s *simulation) faultSlowLoop(v *server) bool {
	p := v.proc
	if p == nil || p.paused {
		return false
	}
	r, until := s.faults, s.now+s.faults.between(100, 4000)*millisecond
	nap := s.faults.between(1, 100) * millisecond
	s.log(v.id, "is slow for %d ms", uint64((until-s.now)/millisecond), 0, 0)
	var again func()
	again = func() {
		if p.dead || s.calm || s.now > until {
			return
		}
		if !p.paused {
			p.pause(1 + r.about(nap))
		}
		s.after(1+r.about(2*nap), again)
	}
	again()
	return true
}

func (s *simulation) faultClock(v *server) bool {
	v.offsetMs += s.faults.between(-5000, 5000)
	s.log(v.id, "has its clock set to %d", uint64(v.clockMs()), 0, 0)
	return true
}

// faultDrift lets a clock run up to a tenth too fast or too slow: the one that gives the time, and the one that ticks.
func (s *simulation) faultDrift(v *server) bool {
	before := v.clockMs()
	v.driftPpm = s.faults.between(-100_000, 100_000)
	v.offsetMs += before - v.clockMs()
	s.log(v.id, "has a clock that goes %d thousandths of its speed", uint64(1000+v.driftPpm/1000), 0, 0)
	return true
}

func (s *simulation) faultSnapshot(v *server) bool {
	p := v.proc
	if p == nil || p.node == nil || p.paused {
		return false
	}
	p.run(func() {
		if err := p.node.TakeSnapshot(); err != nil {
			s.fail("server %d: take a snapshot: %v", v.id, err)
		}
	})
	return true
}
