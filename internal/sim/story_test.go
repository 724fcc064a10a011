package sim

import (
	"slices"
	"testing"
)

// quietly is a small, healthy ensemble of three.
func quietly(p *params) {
	p.workload, p.observers = "ledger", 0
	p.tickUs, p.electionTicks, p.heartbeatTicks = 10*millisecond, 50, 5
	p.minUs, p.delayUs, p.syncUs, p.gatherUs = 100, 100, 300, 0
	p.clients, p.submitUs, p.bulk = 4, 20*millisecond, false
	p.snapshotBytes, p.segmentBytes = 256<<10, 256<<10
	p.faultPhase = 12 * second
}

// leader is the server that leads and may take commands, nil if there is none.
func (s *simulation) leader() *server {
	for _, v := range s.servers {
		if v.proc != nil && v.proc.lead.Mine {
			return v
		}
	}
	return nil
}

// gapsAfter runs healthy ensembles in which something happens to the leader again and again, and returns how long it took each
// time, in simulated microseconds, until a command was answered in a later term. Ascending.
func gapsAfter(t *testing.T, happens func(*server)) []int64 {
	t.Helper()
	var gaps []int64
	for seed := range uint64(4) {
		var from int64
		var term uint64
		o := Options{Seed: seed + 1, Profile: Calm, Servers: 3, tune: quietly}
		o.onAck = func(s *simulation, of uint64) {
			if from > 0 && of > term {
				gaps = append(gaps, s.now-from)
				from = 0
			}
		}
		o.story = func(s *simulation) {
			for i := range int64(5) {
				s.after((2*i+2)*second, func() {
					v := s.leader()
					if v == nil {
						s.fail("nobody leads a healthy ensemble")
					}
					from, term = s.now, v.proc.lead.Term
					happens(v)
					v.restartIn(1000 * millisecond)
				})
			}
		}
		if r := Run(o); r.Violation != "" {
			t.Fatal(r)
		}
	}
	if len(gaps) != 20 {
		t.Fatalf("%d leaders were lost and %d times another one went on", 20, len(gaps))
	}
	slices.Sort(gaps)
	t.Logf("median %d ms, worst %d ms", gaps[len(gaps)/2]/millisecond, gaps[len(gaps)-1]/millisecond)
	return gaps
}

// TestLeaderDies holds that an ensemble goes on at once when its leader's process dies: the others see its connections close and do not
// wait for an election timeout, which is 500 to 1,000 ms here.
func TestLeaderDies(t *testing.T) {
	gaps := gapsAfter(t, (*server).kill)
	if median, worst := gaps[len(gaps)/2], gaps[len(gaps)-1]; median > 100*millisecond || worst > 400*millisecond {
		t.Errorf("median %d ms, worst %d ms", median/millisecond, worst/millisecond)
	}
}

// TestLeaderLosesPower holds that an election timeout is enough where nobody says goodbye.
func TestLeaderLosesPower(t *testing.T) {
	gaps := gapsAfter(t, (*server).losePower)
	if worst := gaps[len(gaps)-1]; worst > 2500*millisecond {
		t.Errorf("worst %d ms", worst/millisecond)
	}
}
