package history

import "time"

// Report is what Check found.
type Report struct {
	Violations []Violation
	Paths      int // that were judged
	// Undecided counts the paths that took a check too many states or too much time: neither right nor wrong.
	Undecided int
}

// Check runs all checks. Linearizable may take the given time for each path.
func Check(h *History, perPath time.Duration) Report {
	var r Report
	for _, f := range []func(*History) []Violation{Unique, Sessions, RealTime, Holders, Sequences, Watches} {
		r.Violations = append(r.Violations, f(h)...)
	}
	_, paths := h.byPath()
	r.Paths = len(paths)
	v, undecided := Replay(h)
	r.Violations, r.Undecided = append(r.Violations, v...), undecided
	v, undecided = Linearizable(h, perPath)
	r.Violations, r.Undecided = append(r.Violations, v...), r.Undecided+undecided
	return r
}
