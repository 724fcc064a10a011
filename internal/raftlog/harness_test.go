package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/vfs"
)

// fataler is a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// model is what a log should hold: a plain slice. Entries up to base are in a snapshot.
type model struct {
	base position
	ents []modelEntry // of base.index+1 …; never changed in place
	hard hardState
}

type modelEntry struct {
	term uint64
	typ  pb.EntryType
	data []byte
}

func (m model) last() uint64 { return m.base.index + uint64(len(m.ents)) }

func (m model) term(index uint64) uint64 {
	if index <= m.base.index {
		return m.base.term
	}
	return m.ents[index-m.base.index-1].term
}

func (m model) with(r *Record) model {
	if r.HardState != nil {
		m.hard = byValue(r.HardState)
	}
	if r.Snapshot != nil {
		m.base, m.ents = position{r.Snapshot.GetIndex(), r.Snapshot.GetTerm()}, nil
	}
	for _, e := range r.Entries {
		n := e.GetIndex() - m.base.index - 1
		m.ents = append(m.ents[:n:n], modelEntry{e.GetTerm(), e.GetType(), e.Data})
	}
	return m
}

// harness drives a log on a Mem and knows what it may be after any crash. Once an operation has failed because the power is off, all of them
// do nothing.
type harness struct {
	t   fataler
	o   Options
	mem *vfs.Mem
	fs  vfs.FS // mem, or around it
	log *Log
	off bool // the power went off, or an injected error came

	states  []model   // what may survive: the durable one first, then after each write since
	stable  model     // what the Log was told
	hard    hardState // for the next record
	whard   hardState // of the last record written
	pending []*Record // written, not yet stable
	synced  int       // how many of pending are durable
	files   map[uint64]*pb.SnapshotMetadata
	maybe   map[uint64]*pb.SnapshotMetadata // power went off while they were committed
	counter int
}

func newHarness(t fataler, mem *vfs.Mem, o Options) *harness {
	t.Helper()
	h := &harness{t: t, o: o, mem: mem, fs: mem, states: []model{{}}, files: map[uint64]*pb.SnapshotMetadata{}, maybe: map[uint64]*pb.SnapshotMetadata{}}
	h.open()
	return h
}

var errInjected = errors.New("injected")

const dir = "data/log"

// try fails the test, or notes that the power is off.
func (h *harness) try(err error) (ok bool) {
	h.t.Helper()
	if failing(err) {
		h.off = true
	} else if err != nil {
		h.t.Fatalf("%v", err)
	}
	return err == nil
}

func failing(err error) bool { return errors.Is(err, vfs.ErrPowerOff) || errors.Is(err, errInjected) }

// open opens the log and compares it with what it may be.
func (h *harness) open() {
	h.t.Helper()
	if h.off {
		return
	}
	l, err := Open(h.fs, dir, h.o)
	if !h.try(err) {
		return
	}
	h.log = l
	errs := []error{}
	for _, m := range h.states {
		err := h.check(m, true)
		if err == nil {
			h.adopt(m)
			return
		}
		errs = append(errs, err)
	}
	if failing(errors.Join(errs...)) {
		h.off = true
		return
	}
	h.t.Fatalf("the recovered log is none of %d that it may be: %v", len(h.states), errors.Join(errs...))
}

func (h *harness) adopt(m model) {
	snap := h.log.snapshot.GetIndex()
	h.states, h.whard, h.pending, h.synced = []model{m}, m.hard, nil, 0
	m.hard.commit = max(m.hard.commit, snap)
	h.stable, h.hard = m, m.hard
	for index, meta := range h.maybe {
		if index == snap {
			h.files[index] = meta
		}
	}
	for index := range h.files {
		if index > snap {
			delete(h.files, index) // received, never installed
		}
	}
	clear(h.maybe)
}

// check compares the log with a model.
func (h *harness) check(m model, recovered bool) error {
	l := h.log
	hard, cs, err := l.InitialState()
	if err != nil {
		return err
	}
	first, _ := l.FirstIndex()
	last, _ := l.LastIndex()
	snap := l.snapshot.GetIndex()
	commit := m.hard.commit
	if recovered {
		commit = max(commit, snap)
	}
	if got := byValue(hard); got != (hardState{m.hard.term, m.hard.vote, commit}) {
		return fmt.Errorf("hard state %v, want %v", got, m.hard)
	}
	if last != m.last() {
		return fmt.Errorf("last index %d, want %d", last, m.last())
	}
	if first > snap+1 || snap < m.base.index || snap > last {
		return fmt.Errorf("first index %d, snapshot at %d; log %d to %d", first, snap, m.base.index, last)
	}
	if err := h.checkSnapshot(cs, snap, m, recovered); err != nil {
		return err
	}
	if term, err := l.Term(first - 1); err != nil || first-1 >= m.base.index && term != m.term(first-1) {
		return fmt.Errorf("term of %d: %d, %v, want %d", first-1, term, err, m.term(first-1))
	}
	return h.checkEntries(max(first, m.base.index+1), last+1, m)
}

func (h *harness) checkSnapshot(cs *pb.ConfState, snap uint64, m model, recovered bool) error {
	newest := uint64(0) // of those that must be there
	for index, meta := range h.files {
		if recovered && index >= m.base.index && index <= m.last() && meta.GetTerm() == m.term(index) {
			newest = max(newest, index)
		}
	}
	meta := h.files[snap]
	if meta == nil {
		meta = h.maybe[snap]
	}
	if snap < newest || meta == nil && snap > 1 {
		return fmt.Errorf("snapshot at %d, there is one at %d", snap, newest)
	}
	if meta == nil {
		return nil
	}
	if !slices.Equal(cs.GetVoters(), meta.GetConfState().GetVoters()) {
		return fmt.Errorf("snapshot %d has voters %v, want %v", snap, cs.GetVoters(), meta.GetConfState().GetVoters())
	}
	r, err := h.log.OpenSnapshot(snap)
	if err != nil {
		return err
	}
	defer r.Close()
	if b, err := io.ReadAll(r); err != nil || string(b) != payload(snap) {
		return fmt.Errorf("snapshot %d has %d bytes, %v", snap, len(b), err)
	}
	return nil
}

func payload(index uint64) string {
	return fmt.Sprintf("the state at %d %s", index, bytes.Repeat([]byte("x"), int(index%50)))
}

func (h *harness) checkEntries(lo, hi uint64, m model) error {
	got := []*pb.Entry{}
	for at := lo; at < hi; {
		part, err := h.log.Entries(at, hi, 2000)
		if err != nil || len(part) == 0 {
			return fmt.Errorf("Entries(%d, %d): %d, %w", at, hi, len(part), err)
		}
		got = append(got, part...)
		at += uint64(len(part))
	}
	for i, e := range got {
		index := lo + uint64(i)
		want := m.ents[index-m.base.index-1]
		term, err := h.log.Term(index)
		if err != nil || term != want.term || e.GetTerm() != term || e.GetIndex() != index || e.GetType() != want.typ ||
			!bytes.Equal(e.Data, want.data) || (e.Data == nil) != (want.data == nil) {
			return fmt.Errorf("entry %d is %d/%d %.20q, term %d, %v; want %d %.20q", index, e.GetIndex(), e.GetTerm(), e.Data, term, err, want.term, want.data)
		}
	}
	return nil
}

// written is the log as the writer has it.
func (h *harness) written() model { return h.states[len(h.states)-1] }

// entries makes n entries from index on, of the hard state's term, with data of that size.
func (h *harness) entries(index uint64, n, size int) []*pb.Entry {
	var es []*pb.Entry
	for i := range n {
		h.counter++
		e := &pb.Entry{Index: new(index + uint64(i)), Term: new(h.hard.term), Type: new(pb.EntryType(h.counter % 3))}
		if h.counter%7 > 0 {
			e.Data = fmt.Appendf(nil, "%d:", h.counter)
			e.Data = append(e.Data, bytes.Repeat([]byte{byte(h.counter)}, size)...)
		}
		es = append(es, e)
	}
	return es
}

func (h *harness) hardState() *pb.HardState {
	v := h.hard
	return &pb.HardState{Term: &v.term, Vote: &v.vote, Commit: &v.commit}
}

// write writes records. Those that only move the commit index are not to be found after a crash until something else was written.
func (h *harness) write(recs ...*Record) {
	h.t.Helper()
	if h.off {
		return
	}
	next, deferred := h.written(), true
	next.hard = h.whard
	for _, r := range recs {
		next = next.with(r)
		deferred = deferred && len(r.Entries) == 0 && r.Snapshot == nil && next.hard.term == h.whard.term && next.hard.vote == h.whard.vote
	}
	h.whard = next.hard
	if !deferred {
		h.states = append(h.states, next)
	}
	if !h.try(h.log.writer.Write(recs)) {
		return
	}
	h.pending = append(h.pending, recs...)
	if h.log.writer.cur.direct {
		h.durable()
	}
}

func (h *harness) durable() {
	h.states = h.states[len(h.states)-1:]
	h.synced = len(h.pending)
}

func (h *harness) sync() {
	h.t.Helper()
	if !h.off && h.try(h.log.writer.Sync()) {
		h.durable()
	}
}

// tell makes n durable records stable.
func (h *harness) tell(n int) {
	n = min(n, h.synced)
	if h.off {
		return
	}
	for _, r := range h.pending[:n] {
		h.log.Stable(r)
		h.stable = h.stable.with(r)
	}
	h.pending, h.synced = h.pending[n:], h.synced-n
}

// append writes n entries from index on, syncs and makes stable.
func (h *harness) append(index uint64, n, size int) {
	h.t.Helper()
	h.write(&Record{Entries: h.entries(index, n, size), HardState: h.hardState()})
	h.sync()
	h.tell(1)
}

// bootstrap writes what a new log begins with.
func (h *harness) bootstrap() {
	h.t.Helper()
	h.hard = hardState{term: 1, commit: 1}
	m := meta(1, 1)
	h.write(&Record{Snapshot: m, HardState: h.hardState()})
	h.sync()
	h.tell(1)
}

func meta(index, term uint64) *pb.SnapshotMetadata {
	return &pb.SnapshotMetadata{Index: &index, Term: &term, ConfState: &pb.ConfState{Voters: []uint64{1, 2, index}}}
}

// file makes a snapshot file.
func (h *harness) file(m *pb.SnapshotMetadata) (ok bool) {
	h.t.Helper()
	if h.off {
		return false
	}
	w, err := h.log.CreateSnapshot(m)
	if !h.try(err) {
		return false
	}
	if _, err := w.Write([]byte(payload(m.GetIndex()))); !h.try(err) {
		return false
	}
	h.maybe[m.GetIndex()] = m
	if !h.try(w.Commit()) {
		return false
	}
	delete(h.maybe, m.GetIndex())
	h.files[m.GetIndex()] = m
	return true
}

// snapshot takes a snapshot at a stable index and compacts up to there.
func (h *harness) snapshot(index, compact uint64) {
	h.t.Helper()
	if h.off {
		return
	}
	m := meta(index, h.stable.term(index))
	if h.file(m) {
		h.log.SetSnapshot(m)
		h.log.Compact(compact)
	}
}

// install writes a record with a snapshot beyond the log, and n entries after it.
func (h *harness) install(index uint64, n int) {
	h.t.Helper()
	m := meta(index, h.hard.term)
	if !h.file(m) {
		return
	}
	h.hard.commit = index
	h.write(&Record{Snapshot: m, HardState: h.hardState(), Entries: h.entries(index+1, n, 10)})
}

func (h *harness) prepare() {
	h.t.Helper()
	if !h.off {
		h.try(h.log.Prepare())
	}
}

func (h *harness) watermark() {
	h.t.Helper()
	if !h.off {
		h.try(h.log.Watermark())
	}
}

func (h *harness) close() {
	h.t.Helper()
	if h.off {
		return
	}
	m := h.written()
	m.hard = h.whard
	h.states = append(h.states, m)
	if h.try(h.log.Close()) {
		h.durable()
	}
}

// crashed returns a harness on what a crash leaves, its log not yet opened.
func (h *harness) crashed(choose vfs.Chooser) *harness {
	c := *h
	c.mem, c.off, c.states = h.mem.Crash(choose), false, slices.Clone(h.states)
	c.fs = c.mem
	c.files, c.maybe = map[uint64]*pb.SnapshotMetadata{}, map[uint64]*pb.SnapshotMetadata{}
	for i, m := range h.files {
		c.files[i] = m
	}
	for i, m := range h.maybe {
		c.maybe[i] = m
	}
	return &c
}

// verify compares the live log with the model.
func (h *harness) verify() {
	h.t.Helper()
	if h.off {
		return
	}
	if err := h.check(h.stable, false); err != nil && !failing(err) {
		h.t.Fatalf("the live log: %v", err)
	}
}
