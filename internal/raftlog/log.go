package raftlog

import (
	"errors"
	"fmt"
	"sort"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/planted"
	"gopherwood/internal/vfs"
)

// Options of a log. The zero value works.
type Options struct {
	// Identity is whose log it is. A log can only be opened with the identity it was made with.
	Identity Identity
	// CacheBytes bounds the newest entries that are kept in memory; 0 is 8 MiB. Older ones are read from the files.
	CacheBytes int64
	// SegmentBytes is how large segments get; 0 is 64 MiB. A batch that is larger gets a larger one.
	SegmentBytes int64
	// FirstSegmentBytes is the size of the first one, small so that a new log is there at once; each one after it is twice as large
	// until SegmentBytes. 0 is 512 KiB.
	FirstSegmentBytes int64
	// NoDirect writes through the page cache and syncs, even where direct writes are possible.
	NoDirect bool
}

func (o Options) withDefaults() (Options, error) {
	set := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		}
	}
	set(&o.CacheBytes, defaultCacheBytes)
	set(&o.SegmentBytes, defaultSegmentBytes)
	set(&o.FirstSegmentBytes, min(defaultFirstSegmentBytes, o.SegmentBytes))
	if o.CacheBytes < 0 || o.SegmentBytes < 2*blockSize || o.FirstSegmentBytes < 2*blockSize || o.FirstSegmentBytes > o.SegmentBytes {
		return o, fmt.Errorf("raftlog: options: cache %d, segment %d, first segment %d bytes: want ≥ 0, ≥ %d, between them",
			o.CacheBytes, o.SegmentBytes, o.FirstSegmentBytes, 2*blockSize)
	}
	o.SegmentBytes, o.FirstSegmentBytes = alignUp(o.SegmentBytes), alignUp(o.FirstSegmentBytes)
	return o, nil
}

// Log is the reading side of the log, as raft sees it: what was written, synced and then told to it with Stable. It belongs to the
// goroutine that runs raft, except for the methods that say otherwise.
//
// first-1 <= snapshot.index <= last, and the term of first-1 is known. In an empty log first is 1, the others 0.
type Log struct {
	// Constant.
	o      Options
	segs   *segments
	writer *Writer
	mark   *watermark
	snaps  *snapshots
	report Recovery

	// Owned by the loop.
	hard     hardState
	haveHard bool
	snapshot *pb.SnapshotMetadata // the newest; nil in an empty log
	first    uint64               // the first entry that can be read
	terms    terms                // of first-1 … last
	extents  []extent             // where the entries are, by index
	bytes    int64                // size of all batches with entries so far: a coordinate for BytesSince
	tail     []*pb.Entry          // the newest entries, in memory; the last one is terms.last's
	tailSize int64                // what they cost
	reader   reader
	closed   bool
}

// extent is a batch that has entries: those from first on, up to the next extent's. Of the batch's records only those before recs count.
type extent struct {
	first uint64
	seg   *segment
	off   int64
	size  int64
	recs  int
	pos   int64 // Log.bytes when it was added
}

// Recovery says what Open found.
type Recovery struct {
	Batches uint64 // number of the last batch
	Cut     int    // how many batches were cut from the end: torn by a crash, or never durable
	Clean   bool   // the log was closed, not abandoned
	// FellBack is the file of a newer snapshot that could not be read and was set aside; empty if there was none.
	FellBack string
}

// Open opens the log in dir, or makes one if there is none, and recovers it. What was durable when the last process ended is there again; of what was
// written after that, an unbroken beginning. It returns a *CorruptError if something that was durable cannot be read.
func Open(fsys vfs.FS, dir string, o Options) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("raftlog: make directory: %w", err)
	}
	l := &Log{o: o, segs: &segments{fs: fsys, dir: dir, o: o}, first: 1}
	l.terms.reset(position{})
	l.snaps = &snapshots{fs: fsys, dir: dir, trash: l.segs.discard}
	l.writer = &Writer{segs: l.segs, seed: o.Identity.seed()}
	if err := l.recover(); err != nil {
		return nil, errors.Join(err, l.segs.close(), l.mark.close())
	}
	return l, nil
}

// Writer returns the one Writer of the log.
func (l *Log) Writer() *Writer { return l.writer }

// Recovered says what Open found.
func (l *Log) Recovered() Recovery { return l.report }

// Empty says whether nothing was ever written: a new server's log.
func (l *Log) Empty() bool { return !l.haveHard && l.terms.last == 0 }

// Stable makes a record visible to raft.Storage. It is called in the order of writing, after the Sync that made the record durable.
func (l *Log) Stable(r *Record) {
	if r.HardState != nil {
		l.hard, l.haveHard = byValue(r.HardState), true
	}
	if r.Snapshot != nil {
		l.restart(r.Snapshot)
		l.snaps.keep(r.Snapshot.GetIndex())
		l.segs.release(r.loc.seg.seq)
	}
	l.terms.addRecord(r)
	if len(r.Entries) == 0 {
		return
	}
	l.addExtent(r.Entries[0].GetIndex(), extent{seg: r.loc.seg, off: r.loc.off, size: r.loc.size, recs: r.loc.rec + 1})
	l.cache(r.Entries)
}

// restart makes the log empty after a snapshot.
func (l *Log) restart(m *pb.SnapshotMetadata) {
	l.snapshot = m
	l.first = m.GetIndex() + 1
	l.extents, l.tail, l.tailSize = nil, nil, 0
	l.reader.reset()
}

// addExtent records where the entries from first on are.
func (l *Log) addExtent(first uint64, e extent) {
	if n := len(l.extents); n > 0 && l.extents[n-1].sameBatch(e) {
		x := &l.extents[n-1]
		x.recs = e.recs
		if first >= x.first {
			return
		}
		l.bytes = x.pos // once more, further down
		l.extents = l.extents[:n-1]
	}
	n := len(l.extents)
	for n > 0 && l.extents[n-1].first >= first {
		n--
	}
	e.first, e.pos = first, l.bytes
	l.bytes += e.size
	l.extents = append(l.extents[:n], e)
}

func (e extent) sameBatch(o extent) bool { return e.seg == o.seg && e.off == o.off }

// cache adds entries to those in memory and drops the oldest above the limit.
func (l *Log) cache(entries []*pb.Entry) {
	at := entries[0].GetIndex()
	keep := 0
	if len(l.tail) > 0 && at > l.tail[0].GetIndex() {
		keep = int(at - l.tail[0].GetIndex())
	}
	if keep < len(l.tail) {
		for _, e := range l.tail[keep:] {
			l.tailSize -= cost(e)
		}
		l.tail = l.tail[:keep:keep] // a caller of Entries may still have what comes after: it is copied, not overwritten
	}
	l.tail = append(l.tail, entries...)
	for _, e := range entries {
		l.tailSize += cost(e)
	}
	drop := 0
	for l.tailSize > l.o.CacheBytes && drop < len(l.tail)-1 {
		l.tailSize -= cost(l.tail[drop])
		drop++
	}
	l.tail = l.tail[drop:]
}

func cost(e *pb.Entry) int64 { return int64(len(e.Data)) + entryOverhead }

// Compact forgets the entries up to index, which must not be beyond the newest snapshot. Segments without any later entry are recycled by
// the next Prepare.
func (l *Log) Compact(index uint64) {
	if index > l.snapshot.GetIndex() {
		panic(fmt.Sprintf("raftlog: compact up to %d with a snapshot at %d", index, l.snapshot.GetIndex()))
	}
	if index < l.first {
		return
	}
	if planted.CompactOneTooMany.On() && index+1 < l.terms.last {
		index++
	}
	l.first = index + 1
	l.terms.forget(index)
	n := 0
	for n+1 < len(l.extents) && l.extents[n+1].first <= l.first {
		n++
	}
	if n == 0 {
		return // the last batch with entries stays, even if all of them are forgotten
	}
	l.extents = l.extents[n:]
	l.segs.release(l.extents[0].seg.seq)
}

// SetSnapshot says that a snapshot made by CreateSnapshot is committed and is now the newest. Older ones are removed by the next Prepare, except the
// one before.
func (l *Log) SetSnapshot(m *pb.SnapshotMetadata) {
	if m.GetIndex() < l.snapshot.GetIndex() {
		panic(fmt.Sprintf("raftlog: snapshot at %d after one at %d", m.GetIndex(), l.snapshot.GetIndex()))
	}
	l.snapshot = m
	l.snaps.keep(m.GetIndex())
}

// PreviousSnapshot returns the index of the snapshot before the newest, 0 if there is none. As long as the entries after it are not compacted, the server survives the
// loss of the newest.
func (l *Log) PreviousSnapshot() uint64 { return l.snaps.before(l.snapshot.GetIndex()) }

// BytesSince returns how many bytes of the log were written for the entries after index.
func (l *Log) BytesSince(index uint64) int64 {
	if len(l.extents) == 0 || index >= l.terms.last {
		return 0
	}
	return l.bytes - l.extents[l.extentOf(max(index+1, l.extents[0].first))].pos
}

// extentOf returns which extent has the entry at index. There must be one.
func (l *Log) extentOf(index uint64) int {
	return sort.Search(len(l.extents), func(i int) bool { return l.extents[i].first > index }) - 1
}

// Size returns how many bytes the log's entries take.
func (l *Log) Size() int64 { return l.BytesSince(0) }

// Prepare makes the next segment ready if none is, and removes files that are no longer needed. It may take as long as writing a whole segment takes, and is
// safe beside everything else. The writer takes what it prepared; call it again when NeedsPrepare says so. An error that matches ErrNoSpace leaves the log as it was, to be tried
// again; the writer still has what is left of its segment.
func (l *Log) Prepare() error { return l.segs.prepare(0) }

// NeedsPrepare says whether Prepare has something to do. Any goroutine.
func (l *Log) NeedsPrepare() bool { return l.segs.wanted() }

// Watermark writes down which batch is known to be durable, so that if the log's very end rots it is not taken for a torn write. Any goroutine; an
// error is as fatal as the Writer's.
func (l *Log) Watermark() error {
	durable := l.writer.durable.Load()
	if planted.WatermarkAhead.On() {
		durable++
	}
	return l.mark.write(durable, false)
}

// Close writes what was put off, marks the log as closed and closes its files. Nothing else may run.
func (l *Log) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	err := l.writer.flush()
	if err == nil {
		err = l.mark.write(l.writer.durable.Load(), true)
	}
	l.writer.fail(ErrClosed)
	return errors.Join(err, l.segs.close(), l.mark.close())
}
