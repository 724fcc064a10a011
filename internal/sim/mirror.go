package sim

import (
	"errors"
	"fmt"

	"gopherwood/internal/raftlog"
)

// mirror is the simulator's own account of one raft id's log on disk: what is durable, and what was written after that and
// may or may not be there after a loss of power.
type mirror struct {
	durable logState
	batches [][]*raftlog.Record // written, not known to be durable

	// What earlier lives wrote after what is durable now, and the recovery after them did not find. It may be found after all: when a
	// later write to the same place is torn, the first sector of the earlier one may be left, and the entries after it are the same.
	// Nobody was told of either.
	abandoned [][][]*raftlog.Record
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

// synced makes everything that was written durable.
func (m *mirror) synced() {
	if len(m.batches) > 0 {
		m.abandoned = nil
	}
	for _, b := range m.batches {
		m.durable.writeAll(b)
	}
	m.batches = nil
}

func (l *logState) writeAll(b []*raftlog.Record) {
	for _, r := range b {
		l.write(r)
	}
}

// recovered compares what Open found with what may be there: everything durable, and of the batches after that an unbroken
// beginning. The mirror goes on from there.
func (m *mirror) recovered(l *raftlog.Log) error {
	attempts := append([][][]*raftlog.Record{m.batches}, m.abandoned...)
	var why []error
	for i, batches := range attempts {
		want := m.durable.clone()
		for n := 0; ; n++ {
			err := want.compare(l)
			if err == nil {
				m.goOn(attempts, i, n)
				return nil
			}
			why = append(why, fmt.Errorf("with %d of the writes after what was durable: %w", n, err))
			if n == len(batches) {
				break
			}
			want.writeAll(batches[n])
		}
	}
	return errors.Join(why...)
}

// goOn takes the first n batches of an attempt for what is on the disk.
func (m *mirror) goOn(attempts [][][]*raftlog.Record, i, n int) {
	found, rest := attempts[i][:n:n], attempts[i][n:]
	if n > 0 {
		attempts = [][][]*raftlog.Record{rest} // the others have lost their place
	}
	m.batches, m.abandoned = found, nil
	for _, a := range attempts {
		if len(a) > 0 {
			m.abandoned = append(m.abandoned, a)
		}
	}
	if n > 0 {
		abandoned := m.abandoned
		m.synced()
		m.abandoned = abandoned
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
