package raftlog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync/atomic"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/planted"
	"gopherwood/internal/vfs"
)

// Writer appends to the log. It belongs to one goroutine.
//
// Every error but ErrNoSpace is final: the process must stop, because what reached the disk is not known, and cannot be found out by asking
// again. The Writer refuses everything after it.
type Writer struct {
	// Constant.
	segs *segments
	seed uint32

	// Owned by the writing goroutine.
	cur      *segment
	off      int64 // in cur, of the next batch
	buf      []byte
	seq      uint64 // of the last batch
	prevCRC  uint32
	epoch    uint32
	hard     hardState // as of the last record
	terms    terms     // likewise; those before the commit index may be forgotten
	deferred bool      // hard.commit is newer than the last batch's
	unsynced bool      // cur has batches that are not durable
	err      error

	durable atomic.Uint64 // the newest batch that is durable; read by Watermark
}

// Write writes all records in one batch and sets their places. They are durable after the next Sync, which may cover several Writes. Records that change nothing
// but the commit index are not written at once but with the next batch: nothing may depend on their being durable.
//
// When the disk is full and the prepared segments are used up, it returns an error that matches ErrNoSpace, nothing has changed, and the call
// may be repeated.
func (w *Writer) Write(recs []*Record) error {
	if w.err != nil {
		return w.err
	}
	if hard, ok := w.commitOnly(recs); ok {
		w.deferred = w.deferred || hard != w.hard
		w.hard = hard
		return nil
	}
	return w.write(recs)
}

// commitOnly returns the hard state after records that only move the commit index.
func (w *Writer) commitOnly(recs []*Record) (hard hardState, ok bool) {
	hard = w.hard
	for _, r := range recs {
		if len(r.Entries) > 0 || r.Snapshot != nil {
			return hard, false
		}
		if r.HardState != nil {
			hard = byValue(r.HardState)
		}
	}
	return hard, hard.term == w.hard.term && hard.vote == w.hard.vote
}

func byValue(h *pb.HardState) hardState {
	return hardState{term: h.GetTerm(), vote: h.GetVote(), commit: h.GetCommit()}
}

func (w *Writer) write(recs []*Record) error {
	bound := batchHeaderSize
	for _, r := range recs {
		bound += maxRecordSize(r)
	}
	if alignUp(int64(bound)) > maxBatchBytes {
		return w.fail(fmt.Errorf("raftlog: a batch of %d bytes is too large", bound))
	}
	b := w.buffer(int(alignUp(int64(bound))))[:batchHeaderSize]
	hard := w.hard
	for _, r := range recs {
		if r.HardState != nil {
			hard = byValue(r.HardState)
		}
		b = appendRecord(b, r)
	}
	h := batchHeader{
		payloadCRC: crc32.Checksum(b[batchHeaderSize:], castagnoli),
		payloadLen: uint32(len(b) - batchHeaderSize),
		prevCRC:    w.prevCRC,
		epoch:      w.epoch,
		seq:        w.seq + 1,
		hard:       hard,
		prev:       w.before(recs),
	}
	size := h.size()
	if err := w.room(size); err != nil {
		return err
	}
	h.segment, h.durable = w.cur.seq, w.durable.Load()
	clear(b[len(b):size])
	b = b[:size]
	h.put(b, w.seed)
	if _, err := w.cur.file.WriteAt(b, w.off); err != nil {
		return w.fail(fmt.Errorf("raftlog: append to segment %d: %w", w.cur.seq, err))
	}
	w.wrote(recs, &h)
	return nil
}

// before returns the last entry that the records leave as it is.
func (w *Writer) before(recs []*Record) position {
	low, last := w.terms.last, w.terms.last
	for _, r := range recs {
		if r.Snapshot != nil {
			break // what comes after it doesn't touch what was before
		}
		if n := len(r.Entries); n > 0 {
			low = min(low, r.Entries[0].GetIndex()-1)
		}
	}
	term, ok := w.terms.at(low)
	if !ok {
		panic(fmt.Sprintf("raftlog: entries replaced from %d on in a log that ends at %d, committed up to %d", low+1, last, w.hard.commit))
	}
	return position{low, term}
}

// wrote takes note of a batch that was written.
func (w *Writer) wrote(recs []*Record, h *batchHeader) {
	size := h.size()
	for i, r := range recs {
		r.loc = location{seg: w.cur, off: w.off, size: size, rec: i}
		w.terms.addRecord(r)
	}
	w.off += size
	w.seq, w.prevCRC, w.hard, w.deferred = h.seq, h.headerCRC, h.hard, false
	if commit := min(w.hard.commit, w.terms.last); len(w.terms.runs) > keepTerms {
		w.terms.forget(commit)
	}
	if w.cur.direct {
		w.durable.Store(w.seq)
	} else {
		w.unsynced = true
	}
}

// buffer returns n aligned bytes.
func (w *Writer) buffer(n int) []byte {
	if n > keepBufferBytes {
		return vfs.AlignedBuffer(n)
	}
	if n > len(w.buf) {
		w.buf = vfs.AlignedBuffer(min(keepBufferBytes, max(2*n, 64<<10)))
	}
	return w.buf[:n]
}

// room sees to it that size bytes fit into cur.
func (w *Writer) room(size int64) error {
	if w.off+size <= w.cur.size {
		return nil
	}
	g, err := w.segs.take(blockSize + size)
	if err != nil {
		if errors.Is(err, ErrNoSpace) {
			return err
		}
		return w.fail(err)
	}
	if err := w.Sync(); err != nil { // the file that is left: later syncs are the next one's
		return err
	}
	w.cur, w.off = g, blockSize
	return nil
}

// Sync makes all that was written durable. It does nothing where writes are durable when they return.
func (w *Writer) Sync() error {
	if w.err != nil {
		return w.err
	}
	if !w.unsynced {
		return nil
	}
	if !planted.SyncLeftOut.On() {
		if err := w.cur.file.Sync(); err != nil {
			return w.fail(fmt.Errorf("raftlog: sync segment %d: %w", w.cur.seq, err))
		}
	}
	w.unsynced = false
	w.durable.Store(w.seq)
	return nil
}

func (w *Writer) fail(err error) error {
	w.err = err
	return err
}

// flush writes a commit index that was put off and syncs.
func (w *Writer) flush() error {
	if w.err != nil {
		return w.err
	}
	if w.deferred {
		hs := &pb.HardState{Term: &w.hard.term, Vote: &w.hard.vote, Commit: &w.hard.commit}
		if err := w.write([]*Record{{HardState: hs}}); err != nil {
			return err
		}
	}
	return w.Sync()
}

var _ raft.Storage = (*Log)(nil)
