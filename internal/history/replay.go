package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gopherwood/zk"
)

// Replay goes through each path's operations in the order of their zxids and keeps the set of states that the node can be in. Answers
// are points on this line; so are writes without an answer whose data somebody read, for the read tells their zxid. What is left floats:
//
//	           w(7)        r(9)      w(12)
//	────────────●───────────●─────────●──────▶ zxid      position 2·zxid for what changes the node, 2·zxid+1 for a read
//	   ├──── a delete without an answer ────┤            may have happened anywhere between two bounds, or not at all
//	                  ├──── end of a session ─┤          must have happened by its upper bound
//
// An answer that fits no possible state is a violation. The second result counts the paths with too many possibilities to follow.
func Replay(h *History) ([]Violation, int) {
	v := verdicts{check: "replay"}
	of, paths := h.byPath()
	l := newLines(h)
	undecided := 0
	for _, p := range paths {
		if slices.ContainsFunc(of[p], func(o *Op) bool { return o.Answered() && o.Zxid == 0 && o.Kind != Expired }) {
			continue // a client that hides zxids
		}
		r := replay{lines: l, path: p, v: &v}
		if !r.prepare(of[p]) {
			continue
		}
		if !r.run() {
			undecided++
		}
	}
	return v.found, undecided
}

// lines is what Replay has to know of the whole history.
type lines struct {
	shown  []*Op // answered, by time of return; newest[i] is the largest zxid of the first i+1
	newest []int64
	next   map[*Op]int64    // of an operation without an answer: position of its client's next answer
	ends   map[int64]ending // by session
}

// ending is what is known of a session's end, as positions: after < end <= by. exact: it is at by.
type ending struct {
	after, by int64
	exact     bool
}

func newLines(h *History) *lines {
	l := &lines{next: make(map[*Op]int64), ends: make(map[int64]ending)}
	h.all(func(o *Op) {
		if o.Answered() && o.Zxid != 0 {
			l.shown = append(l.shown, o)
		}
	})
	slices.SortStableFunc(l.shown, func(a, b *Op) int { return cmp.Compare(a.Return, b.Return) })
	var newest int64
	for _, o := range l.shown {
		newest = max(newest, o.Zxid)
		l.newest = append(l.newest, newest)
	}
	for i := range h.Clients {
		l.client(h.Clients[i].Ops)
	}
	return l
}

// client goes backwards through one client's operations, to know what comes next.
func (l *lines) client(ops []Op) {
	next := int64(math.MaxInt64)
	for i := len(ops) - 1; i >= 0; i-- {
		o := &ops[i]
		e, known := l.ends[o.Session]
		if !known {
			e.by = math.MaxInt64
		}
		switch {
		case o.Kind == Expired:
			e.by = min(e.by, next)
		case o.Answered() && o.Kind == Close && o.Code == zk.OK && o.Zxid != 0:
			e.by, e.exact = position(o), true
		case o.Answered() && o.Zxid != 0:
			e.after = max(e.after, position(o))
		}
		l.ends[o.Session] = e
		if !o.Answered() {
			l.next[o] = next
		} else if o.Zxid != 0 {
			next = position(o)
		}
	}
}

// position is an answered operation's place on the line.
func position(o *Op) int64 {
	if o.isWrite() {
		return 2 * o.Zxid
	}
	return 2*o.Zxid + 1
}

// seenBefore is the position of the newest zxid that anybody had been shown at a time.
func (l *lines) seenBefore(t int64) int64 {
	n, _ := slices.BinarySearchFunc(l.shown, t, func(e *Op, t int64) int { return cmp.Compare(e.Return, t) })
	if n == 0 {
		return 0
	}
	return 2 * l.newest[n-1]
}

// node is a state of one znode. A zxid of 0 is one that is not known.
type node struct {
	exists       bool
	data         string
	version      int32
	czxid, mzxid int64
	owner        int64
}

// possible is a state that the path can be in, and which floats were needed for it, as bits.
type possible struct {
	node
	used uint64
}

// float is what happened at an unknown zxid, if at all: a write without an answer, or, if op is nil, the end of a session.
type float struct {
	op            *Op
	session       int64
	after, before int64 // positions, both exclusive
}

// point is what happened at a known zxid, or has happened by it.
type point struct {
	at      int64
	op      *Op   // an answered one, or one without an answer that somebody saw the data of
	pinned  int64 // its zxid then
	gone    bool  // op is nil: the session's nodes are gone
	session int64
}

// replay is that of one path.
type replay struct {
	*lines
	path   string
	v      *verdicts
	points []point
	floats []float
}

// prepare sorts the path's operations into points and floats; false if something is wrong already.
func (r *replay) prepare(ops []*Op) bool {
	seen := make(map[string]int64) // by data, the mzxid that reads show
	for _, o := range ops {
		if o.Kind != Read || !o.Answered() || o.Code != zk.OK {
			continue
		}
		if was, ok := seen[o.ReadData]; ok && was != o.Stat.Mzxid {
			r.v.say("%s: %q was written twice, by zxid %d and by zxid %d", r.path, o.ReadData, was, o.Stat.Mzxid)
			return false
		}
		seen[o.ReadData] = o.Stat.Mzxid
	}
	owners := make(map[int64]bool)
	for _, o := range ops {
		if o.Kind == Create && o.Mode == zk.ModeEphemeral {
			owners[o.Session] = true
		}
		zxid, pinned := seen[o.Data]
		switch {
		case o.Answered():
			r.points = append(r.points, point{at: position(o), op: o})
		case o.Kind == Read:
		case pinned && (o.Kind == Create || o.Kind == Set):
			if zxid*2 <= r.seenBefore(o.Call) || zxid*2 >= r.next[o] {
				r.v.say("%s: a write without an answer happened at zxid %d, outside of its bounds (positions %d to %d): %v", r.path, zxid, r.seenBefore(o.Call), r.next[o], o)
				return false
			}
			r.points = append(r.points, point{at: 2 * zxid, op: o, pinned: zxid})
		default:
			r.floats = append(r.floats, float{op: o, after: r.seenBefore(o.Call), before: r.next[o]})
		}
	}
	for s := range owners {
		e := r.ends[s]
		f := float{session: s, after: e.after, before: e.by}
		if e.exact {
			f.after, f.before = e.by-1, e.by+1
			r.points = append(r.points, point{at: e.by + 1, gone: true, session: s})
		} else if e.by != math.MaxInt64 {
			r.points = append(r.points, point{at: (e.by-1)/2*2 + 1, gone: true, session: s}) // where nothing else can happen
		}
		r.floats = append(r.floats, f)
	}
	slices.SortStableFunc(r.points, func(a, b point) int {
		if a.at == b.at && a.gone != b.gone {
			if a.gone {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.at, b.at)
	})
	return true
}

// run follows the possible states; false if there are too many.
func (r *replay) run() bool {
	if len(r.floats) > 64 {
		return false
	}
	states := []possible{{}}
	var closed uint64 // floats whose time is over
	at := int64(0)
	for i := range r.points {
		p := &r.points[i]
		if states = r.drift(states, at, p.at); len(states) > maxStates {
			return false
		}
		for j, f := range r.floats {
			if f.before <= p.at {
				closed |= 1 << j
			}
		}
		next := make(map[possible]bool)
		for _, s := range states {
			if n, ok := p.fits(s.node); ok {
				next[possible{n, s.used | closed}] = true
			}
		}
		if len(next) == 0 {
			r.report(i, states)
			return true
		}
		states = states[:0]
		for s := range next { // a set: the order does not matter
			states = append(states, s)
		}
		at = p.at
	}
	return true
}

// drift adds to the states those that floats can have made of them between two positions.
func (r *replay) drift(states []possible, from, to int64) []possible {
	known := make(map[possible]bool, len(states))
	for _, s := range states {
		known[s] = true
	}
	for i := 0; i < len(states) && len(states) <= maxStates; i++ {
		s := states[i]
		for j, f := range r.floats {
			if s.used&(1<<j) != 0 || !roomBetween(max(from, f.after), min(to, f.before)) {
				continue
			}
			n, changed := f.apply(s.node)
			if next := (possible{n, s.used | 1<<j}); changed && !known[next] {
				known[next] = true
				states = append(states, next)
			}
		}
	}
	return states
}

// roomBetween says whether a write's position, an even number, fits between two.
func roomBetween(after, before int64) bool { return (after/2+1)*2 < before }

// apply is what a float does to a node, if it does anything.
func (f *float) apply(n node) (node, bool) {
	if f.op == nil {
		return node{}, n.exists && n.owner == f.session
	}
	return f.op.apply(n, 0)
}

// apply is what a write does to a node, if it succeeds.
func (o *Op) apply(n node, zxid int64) (node, bool) {
	switch o.Kind {
	case Create:
		made := node{exists: true, data: o.Data, czxid: zxid, mzxid: zxid}
		if o.Mode == zk.ModeEphemeral {
			made.owner = o.Session
		}
		return made, !n.exists
	case Set:
		fits := n.exists && (o.Version < 0 || o.Version == n.version)
		n.data, n.version, n.mzxid = o.Data, n.version+1, zxid
		return n, fits
	case Delete:
		return node{}, n.exists && (o.Version < 0 || o.Version == n.version)
	}
	return n, false
}

// fits says whether what happened at the point agrees with a state, and what the state is then.
func (p *point) fits(n node) (node, bool) {
	o := p.op
	switch {
	case p.gone:
		return n, !n.exists || n.owner != p.session
	case p.pinned != 0:
		return o.apply(n, p.pinned)
	case o.Kind == Read:
		return o.sees(n)
	case o.Code == zk.OK:
		next, ok := o.apply(n, o.Zxid)
		if ok && o.Kind == Set {
			seen, same := merge(next, &o.Stat)
			return seen, same && o.Stat.Mzxid == o.Zxid
		}
		return next, ok
	case o.Code == zk.ErrNodeExists:
		return n, o.Kind == Create && n.exists
	case o.Code == zk.ErrNoNode:
		return n, o.Kind != Create && !n.exists
	case o.Code == zk.ErrBadVersion:
		return n, o.Kind != Create && n.exists && o.Version >= 0 && o.Version != n.version
	}
	return n, false
}

// sees says whether a read shows a state; what was unknown of it is known then.
func (o *Op) sees(n node) (node, bool) {
	switch {
	case o.Code == zk.ErrNoNode:
		return n, !n.exists
	case o.Code != zk.OK || !n.exists || n.data != o.ReadData:
		return n, false
	}
	return merge(n, &o.Stat)
}

// merge compares a state with a stat.
func merge(n node, s *zk.Stat) (node, bool) {
	same := n.version == s.Version && n.owner == s.EphemeralOwner && (n.czxid == 0 || n.czxid == s.Czxid) && (n.mzxid == 0 || n.mzxid == s.Mzxid)
	n.czxid, n.mzxid = s.Czxid, s.Mzxid
	return n, same
}

// report tells what happened on the path up to the point that does not fit.
func (r *replay) report(at int, states []possible) {
	var b strings.Builder
	for i := max(0, at-maxStory); i <= at; i++ {
		p := &r.points[i]
		mark := "   "
		if i == at {
			mark = "-> "
		}
		switch {
		case p.gone:
			fmt.Fprintf(&b, "\n  %sby position %d: session %x has ended", mark, p.at, p.session)
		case p.pinned != 0:
			fmt.Fprintf(&b, "\n  %sat zxid %d, as a read shows: %v", mark, p.pinned, p.op)
		default:
			fmt.Fprintf(&b, "\n  %s%v", mark, p.op)
		}
	}
	for _, s := range states[:min(len(states), maxStory)] {
		fmt.Fprintf(&b, "\n  possible before: %+v", s.node)
	}
	for _, f := range r.floats[:min(len(r.floats), maxStory)] {
		fmt.Fprintf(&b, "\n  between positions %d and %d, perhaps: %v, end of session %x", f.after, f.before, f.op, f.session)
	}
	r.v.say("%s: no state explains the last of these:%s", r.path, b.String())
}
