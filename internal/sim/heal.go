package sim

import (
	"slices"

	"gopherwood/internal/node"
)

// heal ends the fault phase: everything works again, and soon everything has to be done and equal. What is damaged on a disk stays damaged.
func (s *simulation) heal() {
	s.log(0, lineHeals, 0, 0, 0)
	s.calm, s.badUntil, s.troubleAt = true, 0, s.now
	s.each(func(l *link) {
		l.slowUntil = 0
		if l.blocked > 0 {
			l.blocked = 0
			l.release()
		}
	})
	for _, v := range s.servers {
		v.disk.disarm()
		v.disk.readErrorsUntil, v.disk.syncError, v.disk.lie = 0, false, writeTrue
		s.makeSpace(v, v.disk)
		if v.proc != nil {
			v.proc.stalled = 0
			v.proc.resume()
		} else {
			v.restartIn(v.downtime())
		}
	}
	s.after(newRandom(s.script.seed, streamPlan, 1).between(200, 2000)*millisecond, func() {
		s.quietSince = s.now
		s.settleBy = s.now + convergeWithin
		if s.script.mode == Beyond {
			s.settleBy = s.now + beyondPatience
		}
		s.waitForPeace()
	})
}

// quiet says that the clients have had enough.
func (s *simulation) quiet() bool { return s.quietSince > 0 }

// waitForPeace ends the simulation once everything is answered and equal.
func (s *simulation) waitForPeace() {
	if c := s.ghost.conf(); c != nil && s.misplaced() {
		s.everybodyInPlace()
	}
	why := s.unrest()
	if why == "" {
		if s.barriersAsked {
			s.stats.Whole++
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
		if s.script.mode == Beyond {
			s.stats.Halted++
			s.done = true
			return
		}
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

// misplaced says whether somebody votes or observes who did not at first, or is left over from before a disk was lost.
func (s *simulation) misplaced() bool {
	c := s.ghost.conf()
	if len(c.GetVotersOutgoing()) > 0 || len(c.GetVoters())+len(c.GetLearners()) != len(s.servers) {
		return true
	}
	return slices.ContainsFunc(c.GetVoters(), func(id uint64) bool { return s.servers[node.ServerOf(id)-1].observer }) ||
		slices.ContainsFunc(c.GetLearners(), func(id uint64) bool {
			v := s.servers[node.ServerOf(id)-1]
			return !v.observer || v.raftID != id
		})
}
