package raftlog

import (
	"fmt"
	"slices"
	"sort"
)

// terms knows the term of every index from first on, as runs of equal terms: run i is for [runs[i].index, runs[i+1].index), the last one for [.., last].
type terms struct {
	runs []position
	last uint64
}

// reset forgets everything; at is then the only known index.
func (t *terms) reset(at position) {
	t.runs = append(t.runs[:0], at)
	t.last = at.index
}

// add sets the term of at.index and forgets what was after it. at.index must not be more than last+1.
func (t *terms) add(at position) {
	if at.index <= t.last {
		t.cut(at.index)
	}
	if n := len(t.runs); n == 0 || t.runs[n-1].term != at.term {
		t.runs = append(t.runs, at)
	}
	t.last = at.index
}

// addRecord adds what a record says.
func (t *terms) addRecord(r *Record) {
	if r.Snapshot != nil {
		t.reset(position{r.Snapshot.GetIndex(), r.Snapshot.GetTerm()})
	}
	if len(r.Entries) > 0 && r.Entries[0].GetIndex() > t.last+1 {
		panic(fmt.Sprintf("raftlog: entries from %d on after a log that ends at %d", r.Entries[0].GetIndex(), t.last))
	}
	for _, e := range r.Entries {
		t.add(position{e.GetIndex(), e.GetTerm()})
	}
}

// cut forgets index and all after it.
func (t *terms) cut(index uint64) {
	n := len(t.runs)
	for n > 0 && t.runs[n-1].index >= index {
		n--
	}
	t.runs = t.runs[:n]
	t.last = index - 1
}

// forget drops what is before index.
func (t *terms) forget(index uint64) {
	i := sort.Search(len(t.runs), func(i int) bool { return t.runs[i].index > index }) - 1
	if i < 0 {
		return
	}
	t.runs = append(t.runs[:0], t.runs[i:]...)
	t.runs[0].index = index
}

// at returns the term of an index; ok if it is known.
func (t *terms) at(index uint64) (term uint64, ok bool) {
	i := sort.Search(len(t.runs), func(i int) bool { return t.runs[i].index > index }) - 1
	if i < 0 || index > t.last {
		return 0, false
	}
	return t.runs[i].term, true
}

func (t *terms) clone() terms { return terms{runs: slices.Clone(t.runs), last: t.last} }
