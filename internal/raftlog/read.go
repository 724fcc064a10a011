package raftlog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/vfs"
)

// reader reads batches that are durable, some of the following ones at the same time. Owned by the loop.
type reader struct {
	buf []byte
	seg *segment // what of it is in buf; nil: nothing
	off int64
	n   int64

	found []foundEntry // scratch of readEntries
}

func (r *reader) reset() { r.seg = nil }

// batch returns the bytes of extents[0], which are good until the next call. Of those after it as many are read along as make up to ahead bytes.
func (r *reader) batch(extents []extent, ahead int64) ([]byte, error) {
	e := extents[0]
	if r.seg == e.seg && e.off >= r.off && e.off+e.size <= r.off+r.n {
		return r.buf[e.off-r.off:][:e.size], nil
	}
	n := e.size
	for _, next := range extents[1:] {
		if next.seg != e.seg || next.off+next.size-e.off > min(ahead, readBytes) {
			break
		}
		n = next.off + next.size - e.off
	}
	if n > int64(len(r.buf)) {
		r.buf = vfs.AlignedBuffer(int(max(n, min(ahead, readBytes))))
	}
	r.seg = nil
	if _, err := e.seg.file.ReadAt(r.buf[:n], e.off); err != nil {
		return nil, err
	}
	r.seg, r.off, r.n = e.seg, e.off, n
	return r.buf[:e.size], nil
}

// readEntries reads from [lo, hi) what fits into maxSize, but at least one entry, and returns what is left of maxSize.
func (l *Log) readEntries(lo, hi, maxSize uint64) (entries []*pb.Entry, left uint64, err error) {
	left = maxSize
	for i := l.extentOf(lo); lo < hi; i++ {
		c := collector{from: lo, to: hi, recs: l.extents[i].recs, found: l.reader.found[:0]}
		if i+1 < len(l.extents) {
			c.to = min(hi, l.extents[i+1].first)
		}
		if err := l.collect(l.extents[i:], int64(min(left, readBytes)), &c); err != nil {
			return nil, 0, err
		}
		l.reader.found = c.found
		n, after := c.fit(left, len(entries) == 0)
		entries = c.appendTo(entries, n)
		if n < len(c.found) || after == 0 {
			return entries, 0, nil
		}
		lo, left = c.to, after
	}
	return entries, left, nil
}

// collect has c look at a batch.
func (l *Log) collect(extents []extent, ahead int64, c *collector) error {
	e := extents[0]
	corrupt := func(reason string) error {
		return &CorruptError{File: l.segs.path(e.seg.name), Offset: e.off, Reason: reason}
	}
	b, err := l.reader.batch(extents, ahead)
	if errors.Is(err, io.EOF) {
		return corrupt("the file ends in the middle of a batch")
	}
	if err != nil {
		return fmt.Errorf("raftlog: read segment %d: %w", e.seg.seq, err)
	}
	var h batchHeader
	if !h.parse(b, l.writer.seed) || h.segment != e.seg.seq || h.size() != e.size {
		return corrupt("no batch header where one was written")
	}
	payload := b[batchHeaderSize:][:h.payloadLen]
	if crc32.Checksum(payload, castagnoli) != h.payloadCRC {
		return corrupt("the batch's checksum is wrong")
	}
	if err := decodePayload(payload, c); err != nil {
		return corrupt(err.Error())
	}
	if uint64(len(c.found)) != c.to-c.from {
		return corrupt(fmt.Sprintf("entries %d to %d are not in the batch", c.from, c.to-1))
	}
	return nil
}

// collector is a visitor that keeps the entries in [from, to) as the first recs records leave them.
type collector struct {
	from, to uint64
	recs     int
	done     bool
	found    []foundEntry
}

// foundEntry aliases the batch.
type foundEntry struct {
	at   position
	typ  pb.EntryType
	data []byte
}

func (c *collector) record(n int)                 { c.done = n >= c.recs }
func (c *collector) restart(*pb.SnapshotMetadata) {}

func (c *collector) run(first, _ uint64) {
	if !c.done && first < c.from+uint64(len(c.found)) {
		c.found = c.found[:max(first, c.from)-c.from]
	}
}

func (c *collector) entry(at position, typ pb.EntryType, data []byte) {
	if !c.done && at.index == c.from+uint64(len(c.found)) && at.index < c.to {
		c.found = append(c.found, foundEntry{at, typ, data})
	}
}

// fit returns how many of the found entries make up at most maxSize bytes as raft counts them, and what is left; with atLeastOne at least one.
func (c *collector) fit(maxSize uint64, atLeastOne bool) (n int, left uint64) {
	for i := range c.found {
		f := &c.found[i]
		size := 3 + uvarintSize(uint64(f.typ)) + uvarintSize(f.at.term) + uvarintSize(f.at.index)
		if f.data != nil {
			size += 1 + uvarintSize(uint64(len(f.data))) + uint64(len(f.data))
		}
		if size > maxSize {
			if i == 0 && atLeastOne {
				return 1, 0
			}
			return i, 0
		}
		maxSize -= size
	}
	return len(c.found), maxSize
}

// appendTo copies the first n entries out of the batch: all of them into two allocations.
func (c *collector) appendTo(entries []*pb.Entry, n int) []*pb.Entry {
	size := 0
	for _, f := range c.found[:n] {
		size += len(f.data)
	}
	data := make([]byte, 0, size)
	slab := make([]struct {
		e           pb.Entry
		term, index uint64
		typ         pb.EntryType
	}, n)
	for i, f := range c.found[:n] {
		s := &slab[i]
		s.term, s.index, s.typ = f.at.term, f.at.index, f.typ
		s.e.Term, s.e.Index, s.e.Type = &s.term, &s.index, &s.typ
		if f.data != nil {
			start := len(data)
			data = append(data, f.data...)
			s.e.Data = data[start:len(data):len(data)]
		}
		entries = append(entries, &s.e)
	}
	return entries
}
