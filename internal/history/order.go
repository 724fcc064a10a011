package history

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"gopherwood/zk"
)

// Unique says whether the recorder kept to its side: what is written is unique.
func Unique(h *History) []Violation {
	v := verdicts{check: "unique"}
	seen := make(map[string]*Op)
	h.all(func(o *Op) {
		if o.Kind != Create && o.Kind != Set {
			return
		}
		if was := seen[o.Data]; was != nil {
			v.say("the test wrote the same data twice: %v; %v", was, o)
		}
		seen[o.Data] = o
	})
	return v.found
}

// Sessions checks each session by itself: FIFO, rising zxids, its own writes seen by its reads, no step back when it moves to another
// server, no life after its end.
func Sessions(h *History) []Violation {
	v := verdicts{check: "sessions"}
	for i := range h.Clients {
		var session int64
		var last, lastWrite, end *Op // of the session
		for j := range h.Clients[i].Ops {
			o := &h.Clients[i].Ops[j]
			if o.Session != session {
				session, last, lastWrite, end = o.Session, nil, nil, nil
			}
			if o.Kind == Expired {
				end = o
				continue
			}
			if !o.Answered() || o.Zxid == 0 {
				continue
			}
			if end != nil {
				v.say("a session goes on after its end: %v; %v", end, o)
			}
			if last != nil && o.Return < last.Return {
				v.say("answered before an earlier request: %v; %v", last, o)
			}
			if last != nil && o.Zxid < last.Zxid {
				v.say("a session goes back: %v; %v", last, o)
			}
			if o.isWrite() && lastWrite != nil && o.Zxid <= lastWrite.Zxid {
				v.say("a session's writes are not in their order: %v; %v", lastWrite, o)
			}
			last = o
			if o.isWrite() {
				lastWrite = o
			}
			if o.Kind == Close && o.Code == zk.OK {
				end = o
			}
		}
	}
	return v.found
}

// RealTime checks the order of the zxids against the clock. Whatever zxid somebody has been shown is committed, so a write that is asked for after
// that gets a larger one, and a read after a sync sees at least that.
func RealTime(h *History) []Violation {
	v := verdicts{check: "real time"}
	var shown []*Op
	h.all(func(o *Op) {
		if o.Answered() && o.Zxid != 0 {
			shown = append(shown, o)
		}
	})
	slices.SortStableFunc(shown, func(a, b *Op) int { return cmp.Compare(a.Return, b.Return) })
	newest := make([]*Op, len(shown)) // newest[i] has the largest zxid of shown[:i+1]
	for i, o := range shown {
		newest[i] = o
		if i > 0 && newest[i-1].Zxid > o.Zxid {
			newest[i] = newest[i-1]
		}
	}
	for _, o := range shown {
		if !o.isWrite() && !o.Synced {
			continue
		}
		n, _ := slices.BinarySearchFunc(shown, o.Call, func(e *Op, t int64) int { return cmp.Compare(e.Return, t) })
		if n == 0 {
			continue
		}
		before := newest[n-1] // had returned before the call
		switch {
		case o.isWrite() && o.Zxid <= before.Zxid:
			v.say("a write is ordered before what had been seen when it was asked for: seen was %v; the write is %v", before, o)
		case !o.isWrite() && o.Zxid < before.Zxid:
			v.say("a read after a sync is older than what had been seen when the sync was asked for: seen was %v; the read is %v", before, o)
		}
	}
	writes := h.writesByZxid()
	for i := 1; i < len(writes); i++ {
		if writes[i].Zxid == writes[i-1].Zxid {
			v.say("two writes have one zxid: %v; %v", writes[i-1], writes[i])
		}
	}
	return v.found
}

// sequenceDigits is how long the number behind a sequential name is.
const sequenceDigits = 10

// Sequences checks the names of sequential nodes: given once, with numbers that rise in the order of the zxids, by parent.
func Sequences(h *History) []Violation {
	v := verdicts{check: "sequences"}
	last := make(map[string]*Op) // by parent
	given := make(map[string]*Op)
	number := func(o *Op) int64 {
		n, err := strconv.ParseInt(o.Made[max(0, len(o.Made)-sequenceDigits):], 10, 64)
		if err != nil || !strings.HasPrefix(o.Made, o.Path) {
			v.say("no sequential name: %v", o)
		}
		return n
	}
	for _, o := range h.writesByZxid() {
		if o.Kind != Create || o.Code != zk.OK || !o.Mode.IsSequential() {
			continue
		}
		if was := given[o.Made]; was != nil {
			v.say("one name twice: %v; %v", was, o)
		}
		given[o.Made] = o
		parent := path.Dir(o.Path)
		if was := last[parent]; was != nil && number(was) >= number(o) {
			v.say("numbers do not rise: %v; %v", was, o)
		}
		last[parent] = o
	}
	return v.found
}

// Holders checks that an ephemeral node is one session's at a time. A session certainly holds it from the zxid of its create on up to that of its
// last answer, or to a delete, be it one without an answer.
func Holders(h *History) []Violation {
	v := verdicts{check: "holders"}
	alive := make(map[int64]int64)    // by session, the zxid of its last answer
	perhaps := make(map[string][]*Op) // by path, deletes without an answer
	h.all(func(o *Op) {
		switch {
		case o.Answered() && o.Kind != Expired:
			alive[o.Session] = max(alive[o.Session], o.Zxid)
		case o.Kind == Delete:
			perhaps[o.Path] = append(perhaps[o.Path], o)
		}
	})
	holder, next := make(map[string]*Op), newLines(h).next
	for _, o := range h.writesByZxid() {
		switch {
		case o.Code != zk.OK:
		case o.Kind == Create && o.Mode == zk.ModeEphemeral:
			was := holder[o.Path]
			if was != nil && alive[was.Session] > o.Zxid && !slices.ContainsFunc(perhaps[o.Path], func(d *Op) bool {
				return next[d] > position(was) && d.Call < o.Return // may have come between them
			}) {
				v.say("two sessions hold a node, the first is alive up to zxid %d: %v; %v", alive[was.Session], was, o)
			}
			holder[o.Path] = o
		case o.Kind == Delete:
			delete(holder, o.Path)
		}
	}
	return v.found
}
