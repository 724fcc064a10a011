package sim

import (
	"fmt"
	"regexp"
	"strings"
)

// Shrinking is the shortening of a simulation that ended with a violation to what matters: the same violation with fewer faults, fewer steps of the
// clients, fewer servers and a milder weather. A part that is left out changes when other things happen, so every shorter script is run, and kept
// only if what it breaks is the same but for the numbers in it.
type Shrinking struct {
	// Options are those of the failing run. Its mode, profile and so on are in the script.
	Options Options
	// Runs bounds how many simulations are run. 0: 400.
	Runs int
	// Progress is told of every script that is kept. May be nil.
	Progress func(run int, s *Script, r *Result)

	ran    int
	best   *Script
	result *Result
	wanted string // the violation without its numbers
}

// Shrink returns the shortest script that was found and its result. It is an error if the run does not fail, or not in the same way again.
func (k *Shrinking) Shrink() (*Script, *Result, error) {
	if k.Runs == 0 {
		k.Runs = 400
	}
	if k.best = k.Options.Script; k.best == nil {
		k.best = draw(&k.Options)
	}
	r := k.run(k.best)
	if r.Violation == "" {
		return nil, nil, fmt.Errorf("sim: seed %d breaks nothing: there is nothing to shorten", k.best.seed)
	}
	k.wanted = Kind(r.Violation)
	k.result = r
	k.cut()
	for round := 0; round < 3; round++ {
		before := k.size()
		k.fewerFaults()
		k.simpler()
		k.fewerSteps()
		if k.size() == before || k.ran >= k.Runs {
			break
		}
	}
	k.best.Comment = k.comment()
	return k.best, k.result, nil
}

var numbers = regexp.MustCompile(`[0-9a-f]*[0-9][0-9a-f]*`)

// Kind is a violation's first line without its numbers: two violations of the same kind are taken for the same mistake.
func Kind(violation string) string {
	first, _, _ := strings.Cut(violation, "\n")
	return numbers.ReplaceAllString(first, "#")
}

func (k *Shrinking) size() int {
	n := len(k.best.faults) + k.best.params.servers
	for _, s := range k.best.steps {
		n += int(s.to-s.from) + 1
	}
	return n
}

func (k *Shrinking) run(s *Script) *Result {
	k.ran++
	o := k.Options
	o.Script = s
	return Run(o)
}

// try keeps a script that breaks the same.
func (k *Shrinking) try(s *Script) bool {
	if k.ran >= k.Runs || s.params.validate() != nil {
		return false
	}
	r := k.run(s)
	if r.Violation == "" || Kind(r.Violation) != k.wanted {
		return false
	}
	k.best, k.result = s, r
	if k.Progress != nil {
		k.Progress(k.ran, s, r)
	}
	return true
}

// cut drops what would have come after the violation, which changes nothing, and names the steps that there are.
func (k *Shrinking) cut() {
	s := k.best.clone()
	s.faults = nil
	for _, f := range k.best.faults {
		if f.at <= k.result.SimUs {
			s.faults = append(s.faults, f)
		}
	}
	if s.steps == nil {
		s.steps = spans{}
		if n := k.result.Steps; n > 0 {
			s.steps = spans{{0, n - 1}}
		}
	}
	if !k.try(s) { // the steps of others come in another order only if something else does
		return
	}
	for range 3 {
		last := int64(0)
		if n := len(k.best.faults); n > 0 {
			last = k.best.faults[n-1].at
		}
		s := k.best.clone()
		if s.params.faultPhase = last + (s.params.faultPhase-last)/2; !k.try(s) {
			break
		}
	}
}

// fewerFaults leaves out faults: halves, then quarters, and so on to single ones.
func (k *Shrinking) fewerFaults() {
	for part := len(k.best.faults); part >= 1; part /= 2 {
		for from := 0; from < len(k.best.faults); {
			s := k.best.clone()
			s.faults = append(append([]planned(nil), k.best.faults[:from]...), k.best.faults[min(from+part, len(k.best.faults)):]...)
			if !k.try(s) {
				from += part
			}
		}
	}
}

// fewerSteps leaves out steps of clients, the last ones first, down to parts of a 32nd.
func (k *Shrinking) fewerSteps() {
	for parts := 1; parts <= 32; parts *= 2 {
		all := k.best.steps.list()
		part := max(1, len(all)/parts)
		for to := len(all); to > 0 && k.ran < k.Runs; to -= part {
			s := k.best.clone()
			left := append(append([]uint64(nil), all[:max(0, to-part)]...), all[min(to, len(all)):]...)
			if s.steps = spansOf(left); k.try(s) {
				all = left
			}
		}
	}
}

// simpler tries a smaller ensemble and milder weather.
func (k *Shrinking) simpler() {
	changes := []func(p *params){
		func(p *params) { p.servers = 3; p.observers = 0 },
		func(p *params) { p.servers-- },
		func(p *params) { p.servers-- },
		func(p *params) { p.observers = 0 },
		func(p *params) { p.clients = 1 },
		func(p *params) { p.lossy, p.loss, p.dup = false, 0, 0 },
		func(p *params) { p.loss = 0 },
		func(p *params) { p.dup = 0 },
		func(p *params) { p.refuse = 0 },
		func(p *params) { p.stall = 0 },
		func(p *params) { p.expiryTick = 0 },
		func(p *params) { p.bulk = false },
		func(p *params) { p.gatherUs = 0 },
		func(p *params) { p.inflight = 1 },
		func(p *params) { p.delayUs, p.minUs = 100, 100 },
		func(p *params) { p.syncUs = 300 },
		func(p *params) { p.snapshotBytes = 64 << 20 },
		func(p *params) { p.barrierUs = 1 << 40 },
	}
	for _, change := range changes {
		s := k.best.clone()
		change(&s.params)
		if s.params != k.best.params && (s.params.servers <= k.best.params.servers) {
			k.try(s)
		}
	}
}

// comment says what the script shows.
func (k *Shrinking) comment() []string {
	what, _, _ := strings.Cut(k.result.Violation, "\n")
	lines := []string{
		what,
		fmt.Sprintf("%d faults, %d servers, %.3f simulated seconds; shortened in %d runs", len(k.best.faults), k.best.params.servers, float64(k.result.SimUs)/1e6, k.ran),
	}
	return append(lines, k.best.Comment...)
}
