package replica

import (
	"time"

	"gopherwood/internal/raftlog"
)

// Observer is told how long the stages of a command's way take. It costs a look at the clock per batch, not per command. Its methods must not block.
type Observer interface {
	// Taken says that count commands of this server were taken by the loop, the first of them after waiting for wait. The loop goroutine calls it.
	Taken(count int, wait time.Duration)
	// Synced says that a batch of the log was written and synced in d. The goroutine that writes the log calls it.
	Synced(d time.Duration)
}

// Times is when what happened to a command. A zero time is one that has not come, or is not known any more.
type Times struct {
	Taken  time.Time // from Propose's queue, by the loop: it is on its way to the leader
	Logged time.Time // the entry that holds it went to this server's log
	Synced time.Time // and is on this server's disk, as the loop learned. An entry may be committed by other disks before
}

// keptEntries is how many entries' times are kept. No more are in flight, but for a member that catches up.
const keptEntries = 512

// timing follows commands and entries. It belongs to the loop goroutine. It is empty without an Observer.
type timing struct {
	now     time.Time   // of this round of the loop
	taken   []time.Time // when the chunks were submitted that are not acknowledged, oldest first
	head    int         // of taken
	entries []entryTimes
}

type entryTimes struct {
	index          uint64
	logged, synced time.Time
}

func (t *timing) submitted() {
	if t.head > 0 && t.head == len(t.taken) {
		t.taken, t.head = t.taken[:0], 0
	}
	t.taken = append(t.taken, t.now)
}

func (t *timing) acked() {
	if t.head < len(t.taken) {
		t.head++
	}
	if t.head > maxTakenHead {
		t.taken = append(t.taken[:0], t.taken[t.head:]...)
		t.head = 0
	}
}

// maxTakenHead bounds the acknowledged front of taken.
const maxTakenHead = 4096

func (t *timing) logged(rec *raftlog.Record) {
	for _, e := range rec.Entries {
		t.entries[e.GetIndex()%keptEntries] = entryTimes{index: e.GetIndex(), logged: t.now}
	}
}

func (t *timing) persisted(rec *raftlog.Record) {
	for _, e := range rec.Entries {
		if kept := &t.entries[e.GetIndex()%keptEntries]; kept.index == e.GetIndex() {
			kept.synced = t.now
		}
	}
}

// Times is what is known of the command of this server whose Waiter is being told, and of the entry with that index, which holds it. Only a Waiter's Done may
// call it, and only if there is an Observer.
func (r *Replica) Times(index uint64) (t Times) {
	if r.cfg.Observer == nil {
		return t
	}
	if r.timing.head < len(r.timing.taken) {
		t.Taken = r.timing.taken[r.timing.head]
	}
	if e := &r.timing.entries[index%keptEntries]; e.index == index {
		t.Logged, t.Synced = e.logged, e.synced
	}
	return t
}
