package session

import (
	"iter"
	"slices"
)

// Options are a Liveness's units of time.
type Options struct {
	TickMs  int64 // length of a bucket (tickTime); 0: DefaultTickMs
	PauseMs int64 // a longer gap between Ticks is a pause of the leader itself; 0: half a tick
}

// none ends a list; index 0 of sessions is not used.
const none = 0

// entry is a session in its bucket. A free entry links by next.
type entry struct {
	id         int64
	dueMs      int64
	timeoutMs  int64
	next, prev uint32
}

// Liveness knows when each session is due. It follows everything that happens only while this server leads.
//
// Invariants: a session is in the bucket of its dueMs; dueMs is a multiple of the tick and >= nextMs.
type Liveness struct {
	opts Options

	leading bool
	nowMs   int64
	nextMs  int64 // the bucket that is due next

	byID     map[int64]uint32
	sessions []entry
	free     uint32
	buckets  map[int64]uint32 // dueMs ─▶ first session
}

// New is a Liveness that does not lead.
func New(o Options) *Liveness {
	if o.TickMs == 0 {
		o.TickMs = DefaultTickMs
	}
	if o.PauseMs == 0 {
		o.PauseMs = o.TickMs / 2
	}
	return &Liveness{opts: o}
}

// Lead begins: sessions are all that exist, as (id, timeout in ms), and each of them has its full timeout from now on.
func (l *Liveness) Lead(nowMs int64, sessions iter.Seq2[int64, int32]) {
	l.Follow()
	l.leading = true
	l.byID = make(map[int64]uint32)
	l.sessions = make([]entry, 1)
	l.start(nowMs)
	for id, timeoutMs := range sessions {
		l.Add(id, timeoutMs)
	}
}

// Follow ends: another server leads, or none. Everything is forgotten.
func (l *Liveness) Follow() { *l = Liveness{opts: l.opts} }

// Leading says whether Lead was the last of Lead and Follow.
func (l *Liveness) Leading() bool { return l.leading }

// Len is how many sessions are watched over.
func (l *Liveness) Len() int { return len(l.byID) }

// start empties the buckets and puts the clock to nowMs.
func (l *Liveness) start(nowMs int64) {
	l.nowMs = nowMs
	l.nextMs = l.roundUp(nowMs)
	l.buckets = make(map[int64]uint32)
}

// roundUp is the first tick after ms.
func (l *Liveness) roundUp(ms int64) int64 { return (ms/l.opts.TickMs + 1) * l.opts.TickMs }

// Add watches over a session that was created; one that is known already gets the new timeout. Nothing happens on a follower.
func (l *Liveness) Add(id int64, timeoutMs int32) {
	if !l.leading {
		return
	}
	i, known := l.byID[id]
	if known {
		l.unlink(i)
	} else {
		i = l.alloc()
		l.byID[id] = i
	}
	e := entry{id: id, timeoutMs: max(1, int64(timeoutMs))} // 0 marks a free entry
	l.sessions[i] = e
	l.link(i, l.roundUp(l.nowMs+e.timeoutMs))
}

// Touch is a sign of life: the session has its full timeout again. An unknown one is ignored.
func (l *Liveness) Touch(id int64) {
	i, ok := l.byID[id]
	if !ok {
		return
	}
	if due := l.roundUp(l.nowMs + l.sessions[i].timeoutMs); due != l.sessions[i].dueMs {
		l.unlink(i)
		l.link(i, due)
	}
}

// Walk yields every session and when it is due, in no particular order, until yield returns false.
func (l *Liveness) Walk(yield func(id, dueMs int64) bool) {
	for i := range l.sessions {
		if e := &l.sessions[i]; e.timeoutMs > 0 && !yield(e.id, e.dueMs) {
			return
		}
	}
}

// Remove forgets a session that was closed or has expired.
func (l *Liveness) Remove(id int64) {
	i, ok := l.byID[id]
	if !ok {
		return
	}
	l.unlink(i)
	delete(l.byID, id)
	l.sessions[i] = entry{next: l.free}
	l.free = i
}

// Tick says that it is nowMs and appends to dst the sessions that are due, in the order of their ids. They stay known until
// Remove, and are due again some ticks later. It should be called several times per tick.
func (l *Liveness) Tick(nowMs int64, dst []int64) []int64 {
	if !l.leading {
		return dst
	}
	gap := nowMs - l.nowMs
	if gap < 0 || gap > l.opts.PauseMs {
		l.forgive(nowMs)
		return dst
	}
	l.nowMs = nowMs
	before := len(dst)
	for ; l.nextMs <= nowMs; l.nextMs += l.opts.TickMs {
		dst = l.expire(l.nextMs, dst)
	}
	slices.Sort(dst[before:])
	return dst
}

// expire empties a bucket into dst and puts its sessions into a later one.
func (l *Liveness) expire(bucket int64, dst []int64) []int64 {
	i := l.buckets[bucket]
	delete(l.buckets, bucket)
	for i != none {
		next := l.sessions[i].next
		dst = append(dst, l.sessions[i].id)
		l.link(i, bucket+retryTicks*l.opts.TickMs)
		i = next
	}
	return dst
}

// forgive gives everyone the full timeout from nowMs on. Nobody was heard while the leader stood still.
func (l *Liveness) forgive(nowMs int64) {
	l.start(nowMs)
	for i := range l.sessions {
		if e := &l.sessions[i]; e.timeoutMs > 0 {
			l.link(uint32(i), l.roundUp(nowMs+e.timeoutMs))
		}
	}
}

func (l *Liveness) alloc() uint32 {
	i := l.free
	if i == none {
		l.sessions = append(l.sessions, entry{})
		return uint32(len(l.sessions) - 1)
	}
	l.free = l.sessions[i].next
	return i
}

// link puts a session at the head of the bucket of dueMs.
func (l *Liveness) link(i uint32, dueMs int64) {
	e := &l.sessions[i]
	e.dueMs = dueMs
	e.prev, e.next = none, l.buckets[dueMs]
	if e.next != none {
		l.sessions[e.next].prev = i
	}
	l.buckets[dueMs] = i
}

// unlink takes a session out of its bucket.
func (l *Liveness) unlink(i uint32) {
	e := &l.sessions[i]
	if e.next != none {
		l.sessions[e.next].prev = e.prev
	}
	switch {
	case e.prev != none:
		l.sessions[e.prev].next = e.next
	case e.next != none:
		l.buckets[e.dueMs] = e.next
	default:
		delete(l.buckets, e.dueMs)
	}
}
