package sim

import (
	"fmt"

	"gopherwood/internal/raftlog"
)

// mirror is the simulator's own account of one raft id's log on disk: what is durable, and what was written after that and
// may or may not be there after a loss of power.
type mirror struct {
	durable logState
	batches [][]*raftlog.Record // written, not known to be durable
}

// logState is a log as a sequence of terms. Entries up to base are part of a snapshot.
type logState struct {
	base       uint64
	terms      []uint64 // of base+1, base+2, …
	term, vote uint64
	commit     uint64
}

func (l *logState) last() uint64 { return l.base + uint64(len(l.terms)) }

func (l *logState) has(index, term uint64) bool {
	return index <= l.base || index <= l.last() && l.terms[index-l.base-1] == term
}

func (l *logState) clone() logState {
	c := *l
	c.terms = append([]uint64(nil), l.terms...)
	return c
}

func (l *logState) write(r *raftlog.Record) {
	if h := r.HardState; h != nil {
		l.term, l.vote, l.commit = h.GetTerm(), h.GetVote(), h.GetCommit()
	}
	if r.Snapshot != nil {
		l.base, l.terms = r.Snapshot.GetIndex(), nil
	}
	for _, e := range r.Entries {
		if e.GetIndex() <= l.base {
			continue
		}
		l.terms = append(l.terms[:e.GetIndex()-l.base-1], e.GetTerm())
	}
}

// synced makes the oldest n batches durable.
func (m *mirror) synced(n int) {
	for _, b := range m.batches[:n] {
		for _, r := range b {
			m.durable.write(r)
		}
	}
	m.batches = m.batches[n:]
}

// recovered compares what Open found with what may be there: everything durable, and of the batches after that an unbroken beginning.
// It returns how many of those that is.
func (m *mirror) recovered(l *raftlog.Log) (int, error) {
	want := m.durable.clone()
	var first error
	for n := 0; ; n++ {
		err := want.compare(l)
		if err == nil {
			return n, nil
		}
		if first == nil {
			first = err
		}
		if n == len(m.batches) {
			return 0, fmt.Errorf("%w, and no beginning of the %d batches written after that makes it so", first, n)
		}
		for _, r := range m.batches[n] {
			want.write(r)
		}
	}
}

// compare says how a log differs from the account. A log may know less of what its newest snapshot holds.
func (l *logState) compare(log *raftlog.Log) error {
	first, err1 := log.FirstIndex()
	last, err2 := log.LastIndex()
	snap, err3 := log.Snapshot()
	hard, _, err4 := log.InitialState()
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return err
		}
	}
	if hard.GetTerm() != l.term || hard.GetVote() != l.vote {
		return fmt.Errorf("term %d and vote %x, not %d and %x", hard.GetTerm(), hard.GetVote(), l.term, l.vote)
	}
	if last != l.last() {
		return fmt.Errorf("the last entry is %d, not %d", last, l.last())
	}
	if at := snap.GetMetadata().GetIndex(); at < l.base || first > at+1 {
		return fmt.Errorf("the first entry is %d, the snapshot at %d, the log's beginning at %d", first, at, l.base)
	}
	for i := max(first, l.base+1); i <= last; i++ {
		if term, err := log.Term(i); err != nil || term != l.terms[i-l.base-1] {
			return fmt.Errorf("entry %d has term %d (%v), not %d", i, term, err, l.terms[i-l.base-1])
		}
	}
	return nil
}
