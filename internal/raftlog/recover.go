package raftlog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/planted"
	"gopherwood/internal/vfs"
)

// recovery is the opening of a log: it finds the files, follows the chain of batches to its end, and decides what the end is.
type recovery struct {
	l     *Log
	files []*segment // by number
	win   window

	last  batchHeader // the last batch of the chain; seq 0 if there is none
	end   int         // the file where the chain ends …
	off   int64       // … and where in it
	doubt extent      // from the first batch in the file where the chain ends that nothing says is durable; size is not used
	cur   extent      // the batch whose records are replayed
	anew  bool        // it begins the log
	skip  bool        // the entries that follow are replaced further on
	bad   error       // what a replayed record is wrong about
}

func (l *Log) recover() error {
	r := &recovery{l: l}
	names, err := l.segs.fs.List(l.segs.dir)
	if err != nil {
		return fmt.Errorf("raftlog: list files: %w", err)
	}
	marked, err := r.find(names)
	if err != nil {
		return err
	}
	if len(r.files) == 0 && !marked {
		if l.mark, err = makeWatermark(l.segs, l.writer.seed); err != nil {
			return fmt.Errorf("raftlog: make watermark: %w", noSpace(err))
		}
	} else if err := r.openMark(marked); err != nil {
		return err
	}
	if len(r.files) == 0 {
		g, err := l.segs.make(1, l.o.FirstSegmentBytes)
		if err != nil {
			return fmt.Errorf("raftlog: make segment 1: %w", noSpace(err))
		}
		l.segs.live = []*segment{g}
		r.files = l.segs.live
	}
	if err := r.chain(); err != nil {
		return err
	}
	if err := r.judge(); err != nil {
		return err
	}
	if err := l.snaps.load(l); err != nil {
		return err
	}
	return r.finish()
}

// find sorts the directory's files and opens the log's; what an interrupted write left is removed.
func (r *recovery) find(names []string) (marked bool, err error) {
	s := r.l.segs
	for _, name := range names {
		seq, isLog := parseName(name, logSuffix)
		spare, isSpare := parseName(name, spareSuffix)
		index, isSnap := parseName(name, snapSuffix)
		switch {
		case name == watermarkName:
			marked = true
		case strings.HasSuffix(name, tmpSuffix):
			if err := s.fs.Remove(s.path(name)); err != nil {
				return marked, fmt.Errorf("raftlog: remove partial file: %w", err)
			}
		case isLog, isSpare:
			g, err := r.open(max(seq, spare), name)
			if err != nil {
				return marked, err
			}
			if isLog {
				r.files, s.live = append(r.files, g), append(s.live, g)
			} else {
				s.free = append(s.free, g)
			}
		case isSnap:
			r.l.snaps.add(index)
		}
	}
	return marked, nil
}

func (r *recovery) open(seq uint64, name string) (*segment, error) {
	f, direct, err := r.l.segs.open(name, false)
	if err != nil {
		return nil, fmt.Errorf("raftlog: open: %w", err)
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("raftlog: open: %w", err), f.Close())
	}
	return &segment{seq: seq, name: name, size: size &^ (blockSize - 1), file: f, direct: direct}, nil
}

// openMark opens the watermark of a log that is not new.
func (r *recovery) openMark(marked bool) (err error) {
	if len(r.files) > 0 { // first, because the checksums of another server's log are all wrong
		if err := r.checkOwner(r.files[0]); err != nil {
			return err
		}
	}
	if !marked {
		return r.corrupt(watermarkName, 0, "the file is missing")
	}
	if r.l.mark, err = openWatermark(r.l.segs, r.l.writer.seed); err != nil {
		return fmt.Errorf("raftlog: open watermark: %w", err)
	}
	if len(r.files) == 0 && r.l.mark.seq > 0 {
		return r.corrupt(watermarkName, 0, fmt.Sprintf("batch %d was durable, but there is no segment", r.l.mark.seq))
	}
	return nil
}

func (r *recovery) corrupt(name string, off int64, reason string) error {
	return &CorruptError{File: r.l.segs.path(name), Offset: off, Reason: reason}
}

// checkOwner fails if a segment says that it is another log's.
func (r *recovery) checkOwner(g *segment) error {
	b, err := r.win.at(g, 0, blockSize)
	if err != nil {
		return err
	}
	if id, _, ok := parseSegmentHeader(b); ok && id != r.l.o.Identity {
		return r.corrupt(g.name, 0, fmt.Sprintf("it is the log of %x, not of %x", id, r.l.o.Identity))
	}
	return nil
}

// chain replays batches as long as each follows from the one before.
func (r *recovery) chain() error {
	r.off = blockSize
	for k, g := range r.files {
		if err := r.checkOwner(g); err != nil {
			return err
		}
		b, err := r.win.at(g, 0, blockSize)
		if err != nil {
			return err
		}
		if _, seq, ok := parseSegmentHeader(b); !ok || seq != g.seq {
			if k == 0 {
				return r.corrupt(g.name, 0, "no segment header")
			}
			return nil // judge knows whether anything is missing
		}
		off := int64(blockSize)
		for {
			size, err := r.replay(g, off)
			if err != nil {
				return err
			}
			if size == 0 {
				break
			}
			if r.last.seq > r.l.mark.seq && r.doubt.seg != g {
				r.doubt = extent{seg: g, off: off}
			}
			off += size
			r.end, r.off = k, off
		}
		if off == blockSize {
			return nil // nothing here goes on: it ended in the file before
		}
	}
	return nil
}

// replay takes the batch at off into the log if it is the next one, and returns its size; 0 if it is not.
func (r *recovery) replay(g *segment, off int64) (size int64, err error) {
	if off+blockSize > g.size {
		return 0, nil
	}
	b, err := r.win.at(g, off, blockSize)
	if err != nil {
		return 0, err
	}
	var h batchHeader
	if !h.parse(b, r.l.writer.seed) || h.segment != g.seq || off+h.size() > g.size {
		return 0, nil
	}
	if r.last.seq > 0 && (h.seq != r.last.seq+1 || h.prevCRC != r.last.headerCRC || h.epoch < r.last.epoch) {
		return 0, nil
	}
	if b, err = r.win.at(g, off, h.size()); err != nil {
		return 0, err
	}
	payload := b[batchHeaderSize:][:h.payloadLen]
	if crc32.Checksum(payload, castagnoli) != h.payloadCRC {
		return 0, nil
	}
	if err := r.goOn(&h); err != nil {
		return 0, r.corrupt(g.name, off, err.Error())
	}
	r.cur = extent{seg: g, off: off, size: h.size()}
	if err := errors.Join(decodePayload(payload, r), r.bad); err != nil {
		return 0, r.corrupt(g.name, off, err.Error())
	}
	r.last = h
	return h.size(), nil
}

// goOn checks that a batch goes on where the log is. The first one, and one that replaces all that is left since then, begin the log.
func (r *recovery) goOn(h *batchHeader) error {
	l := r.l
	if r.anew = r.last.seq == 0 || h.prev.index+1 < l.first; r.anew {
		l.terms.reset(h.prev)
		l.first, l.extents = h.prev.index+1, nil
		return nil
	}
	if term, ok := l.terms.at(h.prev.index); !ok || term != h.prev.term {
		return fmt.Errorf("batch %d goes on after entry %d of term %d, but the log ends at %d, and that entry's term is %d",
			h.seq, h.prev.index, h.prev.term, l.terms.last, term)
	}
	return nil
}

// The recovery is the visitor of what it replays.

func (r *recovery) record(n int) { r.cur.recs = n + 1 }

func (r *recovery) restart(m *pb.SnapshotMetadata) {
	r.l.restart(m)
	r.l.terms.reset(position{m.GetIndex(), m.GetTerm()})
}

func (r *recovery) run(first, _ uint64) {
	l := r.l
	if r.skip = r.anew && first > l.terms.last+1; r.skip {
		return // the record goes on after entries that are gone, but a later one in the same batch replaces from l.first on
	}
	if first < l.first || first > l.terms.last+1 {
		r.bad = fmt.Errorf("entries from %d on in a log from %d to %d", first, l.first, l.terms.last)
		return
	}
	l.addExtent(first, r.cur)
}

func (r *recovery) entry(at position, _ pb.EntryType, _ []byte) {
	if r.bad == nil && !r.skip {
		r.l.terms.add(at)
	}
}

// judge decides whether the chain ends where the log ends: it does unless something says that a later batch was durable.
func (r *recovery) judge() error {
	mark := r.l.mark
	r.l.report = Recovery{Batches: r.last.seq, Clean: mark.clean && mark.seq == r.last.seq}
	if r.l.report.Clean {
		return nil // nothing was written after this
	}
	durable, beyond := mark.seq, false
	for k := r.end; k < len(r.files); k++ {
		off := int64(blockSize)
		if k == r.end {
			off = r.off
		}
		later, claimed, err := r.witness(r.files[k], off)
		if err != nil {
			return err
		}
		r.l.report.Cut += later
		durable = max(durable, claimed)
		beyond = beyond || k > r.end && later > 0
	}
	if durable <= r.last.seq || planted.LogCutAtCorruption.On() {
		return nil
	}
	g, off := r.hole(beyond)
	return r.corrupt(g.name, off, fmt.Sprintf("no batch %d, but batch %d was durable", r.last.seq+1, durable))
}

// witness looks through a file's blocks from off on for batches after the chain's end, and returns how many there are and
// the newest batch that one of them says was durable.
func (r *recovery) witness(g *segment, off int64) (later int, durable uint64, err error) {
	for ; off+blockSize <= g.size; off += blockSize {
		b, err := r.win.at(g, off, blockSize)
		if err != nil {
			return 0, 0, err
		}
		var h batchHeader
		if !h.parse(b, r.l.writer.seed) || h.segment != g.seq || h.seq <= r.last.seq {
			continue
		}
		durable = max(durable, h.durable)
		if h.epoch >= r.last.epoch { // an older one was cut before
			later++
		}
	}
	return later, durable, nil
}

// hole says where the missing batch was: where the chain ended, or at the beginning of the next file. beyond: there are batches in the next one or later.
func (r *recovery) hole(beyond bool) (g *segment, off int64) {
	end := r.files[r.end]
	if r.end+1 == len(r.files) {
		return end, r.off
	}
	next := r.files[r.end+1]
	if r.off == end.size {
		return next, blockSize
	}
	b, err := r.win.at(next, blockSize, blockSize)
	var h batchHeader
	if err == nil && h.parse(b, r.l.writer.seed) && h.segment == next.seq {
		beyond = h.seq <= r.last.seq+1 // otherwise the next file begins with a later one
	}
	if beyond {
		return next, blockSize
	}
	return end, r.off
}

// finish makes the recovered state the one to go on from.
func (r *recovery) finish() error {
	l, s := r.l, r.l.segs
	l.hard, l.haveHard = r.last.hard, r.last.seq > 0
	l.hard.commit = max(l.hard.commit, l.snapshot.GetIndex()) // what only moves the commit index isn't always written

	s.live = slices.Clone(r.files[:r.end+1])
	for i, g := range r.files[r.end+1:] {
		if _, seq, ok := r.header(g); i == 0 && ok && seq == g.seq {
			s.next = g
			continue
		}
		if err := errors.Join(g.file.Close(), s.remove(g.name)); err != nil { // now, for its name is the next segment's
			return fmt.Errorf("raftlog: remove segment %d: %w", g.seq, err)
		}
	}
	cur := r.files[r.end]
	if !cur.direct {
		if err := r.settle(cur); err != nil {
			return err
		}
	}
	w := l.writer
	w.cur, w.off = cur, r.off
	w.seq, w.prevCRC, w.epoch = r.last.seq, r.last.headerCRC, l.mark.epoch+1
	w.hard, w.terms = r.last.hard, l.terms.clone()
	w.durable.Store(w.seq)
	return l.mark.begin(w.seq, w.epoch)
}

// settle makes durable what was read of the last segment and may be in the page cache only, if the process died and not the machine. A sync is not
// enough: if the process died of one that failed, the kernel has dropped the pages' dirt with the error, and the next sync says that all is well. So
// what nothing says is durable is written once more, with the same bytes.
func (r *recovery) settle(cur *segment) error {
	if planted.RecoveredNotSynced.On() {
		return nil
	}
	if r.doubt.seg == cur && !planted.PageCacheBelieved.On() {
		for off := r.doubt.off; off < r.off; {
			n := min(scanBytes, r.off-off)
			b, err := r.win.at(cur, off, n)
			if err != nil {
				return err
			}
			if _, err := cur.file.WriteAt(b, off); err != nil {
				return fmt.Errorf("raftlog: write segment %d again: %w", cur.seq, err)
			}
			off += n
		}
	}
	if err := cur.file.Sync(); err != nil {
		return fmt.Errorf("raftlog: sync segment %d: %w", cur.seq, err)
	}
	return nil
}

func (r *recovery) header(g *segment) (Identity, uint64, bool) {
	b, err := r.win.at(g, 0, blockSize)
	if err != nil {
		return Identity{}, 0, false
	}
	return parseSegmentHeader(b)
}

// window reads files from front to back in large pieces.
type window struct {
	seg *segment
	buf []byte
	off int64 // of buf[0] in seg
	n   int64 // bytes in buf
}

// at returns n bytes of g from off on, which must be in it; they are good until the next call.
func (w *window) at(g *segment, off, n int64) ([]byte, error) {
	if g == w.seg && off >= w.off && off+n <= w.off+w.n {
		return w.buf[off-w.off:][:n], nil
	}
	size := min(max(n, scanBytes), g.size-off)
	if size < n {
		return make([]byte, n), nil // a file that is shorter than its header: nothing valid
	}
	if size > int64(len(w.buf)) {
		w.buf = vfs.AlignedBuffer(int(size))
	}
	w.seg = nil
	if _, err := g.file.ReadAt(w.buf[:size], off); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("raftlog: read segment %d: %w", g.seq, err)
	}
	w.seg, w.off, w.n = g, off, size
	return w.buf[:n], nil
}
