package vfs

// Outcomes is a Chooser that goes through all outcomes of a crash, one Crash after the other:
//
//	for o := NewOutcomes(); o.Next(); {
//		after := mem.Crash(o)
//		…
//	}
//
// It is a depth-first walk of the tree of choices: whoever asks must ask the same question after the same answers.
type Outcomes struct {
	path  []choice
	at    int // in path, of the next question
	begun bool
}

type choice struct{ picked, of int }

// NewOutcomes returns a walk that stands before the first outcome.
func NewOutcomes() *Outcomes { return &Outcomes{} }

// Next goes to the next outcome; false if there is none left.
func (o *Outcomes) Next() bool {
	if !o.begun {
		o.begun = true
		return true
	}
	n := len(o.path)
	for n > 0 && o.path[n-1].picked+1 == o.path[n-1].of {
		n--
	}
	o.path, o.at = o.path[:n], 0
	if n == 0 {
		return false
	}
	o.path[n-1].picked++
	return true
}

// IntN implements Chooser.
func (o *Outcomes) IntN(n int) int {
	if o.at == len(o.path) {
		o.path = append(o.path, choice{of: n})
	}
	c := o.path[o.at]
	if c.of != n {
		panic("vfs: a different question after the same answers")
	}
	o.at++
	return c.picked
}
