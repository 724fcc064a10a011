package sim

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Script is a simulation spelled out: what a seed draws before it runs. A seed is a script that nobody has written down, so a shortened
// one (Shrink) can be kept in testdata and run for ever, whatever seeds come to mean.
//
//	# anything
//	seed 4711                     of all the chance that is left: delays, bytes, what survives a loss of power
//	mode safe                     or beyond
//	servers 3                     then each of the other params by name
//	steps 0-15 18                 the steps of clients that are taken, counted over all servers; "all" is all
//	fault 1234567 power 99        at a time in microseconds, a kind, and the source of what it draws
type Script struct {
	Comment []string // lines of explanation
	seed    uint64
	mode    Mode
	params  params
	faults  []planned
	steps   spans // nil: all
}

// planned is a fault to come. rand is where it draws from whom it hits and how.
type planned struct {
	at   int64 // microseconds
	kind int
	rand uint64
}

// draw spells a seed out.
func draw(o *Options) *Script {
	s := &Script{seed: o.Seed, mode: o.Mode}
	if s.mode == "" {
		s.mode = Safe
	}
	s.params = drawParams(newRandom(o.Seed, streamParams, 0), o)
	if o.tune != nil {
		o.tune(&s.params)
	}
	r := newRandom(o.Seed, streamPlan, 0)
	any := false
	for _, w := range s.params.weights {
		any = any || w > 0
	}
	for at := 500*millisecond + r.about(s.params.faultUs); any && at < s.params.faultPhase; at += 1 + r.about(s.params.faultUs) {
		s.faults = append(s.faults, planned{at: at, kind: r.pick(s.params.weights[:]), rand: r.Uint64()})
	}
	return s
}

// Size says in short how much there is left to happen.
func (s *Script) Size() string {
	return fmt.Sprintf("%d servers, %d faults, client steps %s", s.params.servers, len(s.faults), short(s.steps.String(), 60))
}

// clone is a copy whose parts can be replaced, not changed in place.
func (s *Script) clone() *Script {
	c := *s
	return &c
}

// WriteTo writes the script as text.
func (s *Script) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, s.String())
	return int64(n), err
}

// String is the script as text.
func (s *Script) String() string {
	var b strings.Builder
	for _, c := range s.Comment {
		fmt.Fprintf(&b, "# %s\n", c)
	}
	fmt.Fprintf(&b, "seed %d\nmode %s\n", s.seed, s.mode)
	for _, f := range s.params.fields() {
		switch v := f.at.(type) {
		case *int:
			fmt.Fprintf(&b, "%s %d\n", f.name, *v)
		case *int64:
			fmt.Fprintf(&b, "%s %d\n", f.name, *v)
		case *uint64:
			fmt.Fprintf(&b, "%s %d\n", f.name, *v)
		case *bool:
			fmt.Fprintf(&b, "%s %t\n", f.name, *v)
		case *float64:
			fmt.Fprintf(&b, "%s %s\n", f.name, strconv.FormatFloat(*v, 'g', -1, 64))
		case *string:
			fmt.Fprintf(&b, "%s %s\n", f.name, *v)
		}
	}
	fmt.Fprintf(&b, "steps %s\n", s.steps)
	for _, f := range s.faults {
		fmt.Fprintf(&b, "fault %d %s %d\n", f.at, faultTable[f.kind].name, f.rand)
	}
	return b.String()
}

// ReadScript reads what WriteTo wrote. A parameter that is not named is 0, false or empty.
func ReadScript(r io.Reader) (*Script, error) {
	s := &Script{mode: Safe}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		if c, ok := strings.CutPrefix(text, "#"); ok {
			s.Comment = append(s.Comment, strings.TrimSpace(c))
			continue
		}
		if err := s.line(strings.Fields(text)); err != nil {
			return nil, fmt.Errorf("sim: script line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("sim: read script: %w", err)
	}
	return s, s.params.validate()
}

func (s *Script) line(words []string) (err error) {
	word, args := words[0], words[1:]
	if len(args) == 0 && word != "workload" {
		return fmt.Errorf("%q needs a value", word)
	}
	switch word {
	case "seed":
		s.seed, err = strconv.ParseUint(args[0], 10, 64)
		return err
	case "mode":
		if s.mode = Mode(args[0]); s.mode != Safe && s.mode != Beyond {
			return fmt.Errorf("mode %q; there are %s and %s", args[0], Safe, Beyond)
		}
		return nil
	case "steps":
		s.steps, err = parseSpans(args)
		return err
	case "fault":
		return s.faultLine(args)
	}
	for _, f := range s.params.fields() {
		if f.name == word {
			return f.parse(strings.Join(args, " "))
		}
	}
	return fmt.Errorf("%q is not known", word)
}

func (s *Script) faultLine(args []string) (err error) {
	if len(args) != 3 {
		return fmt.Errorf("a fault has a time in microseconds, a name and a number")
	}
	var f planned
	if f.at, err = strconv.ParseInt(args[0], 10, 64); err != nil {
		return err
	}
	if f.rand, err = strconv.ParseUint(args[2], 10, 64); err != nil {
		return err
	}
	for f.kind = range faultTable {
		if faultTable[f.kind].name == args[1] {
			s.faults = append(s.faults, f)
			return nil
		}
	}
	return fmt.Errorf("there is no fault %q", args[1])
}

// spans is a set of numbers, as ascending ranges. nil is all numbers, an empty one none.
type spans []span

type span struct{ from, to uint64 } // both included

func (s spans) has(n uint64) bool {
	if s == nil {
		return true
	}
	for _, p := range s {
		if n >= p.from && n <= p.to {
			return true
		}
	}
	return false
}

// list is all the numbers.
func (s spans) list() []uint64 {
	var out []uint64
	for _, p := range s {
		for n := p.from; n <= p.to; n++ {
			out = append(out, n)
		}
	}
	return out
}

// spansOf makes ranges of ascending numbers.
func spansOf(numbers []uint64) spans {
	s := spans{}
	for _, n := range numbers {
		if k := len(s); k > 0 && s[k-1].to+1 == n {
			s[k-1].to = n
		} else {
			s = append(s, span{n, n})
		}
	}
	return s
}

// String is "all", "none", or the ranges.
func (s spans) String() string {
	switch {
	case s == nil:
		return "all"
	case len(s) == 0:
		return "none"
	}
	var words []string
	for _, p := range s {
		if p.from == p.to {
			words = append(words, fmt.Sprint(p.from))
		} else {
			words = append(words, fmt.Sprintf("%d-%d", p.from, p.to))
		}
	}
	return strings.Join(words, " ")
}

func parseSpans(words []string) (spans, error) {
	if len(words) == 1 && words[0] == "all" {
		return nil, nil
	}
	s := spans{}
	if len(words) == 1 && words[0] == "none" {
		return s, nil
	}
	for _, w := range words {
		from, to, two := strings.Cut(w, "-")
		if !two {
			to = from
		}
		a, err1 := strconv.ParseUint(from, 10, 64)
		b, err2 := strconv.ParseUint(to, 10, 64)
		if err1 != nil || err2 != nil || b < a || b-a > maxSteps {
			return nil, fmt.Errorf("%q is no range of steps", w)
		}
		s = append(s, span{a, b})
	}
	return s, nil
}
