package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Record is what one MsgStorageAppend wants written. Its fields are the caller's and are only read; they must not change until Stable has been
// called with it.
type Record struct {
	// Entries are consecutive. If the first of them isn't after the log's last one, everything from it on is replaced.
	Entries []*pb.Entry
	// HardState is the new one; nil leaves it as it is.
	HardState *pb.HardState
	// Snapshot, if not nil, says that the log begins anew after this index, before Entries are added. Its file must be
	// there already (ReceiveSnapshot), except at the log's very beginning, at index 1.
	Snapshot *pb.SnapshotMetadata

	loc location // set by Writer.Write
}

// location is where a record was written. A record that only says that more is committed has none.
type location struct {
	seg  *segment
	off  int64 // of its batch
	size int64 // of its batch
	rec  int   // its number in the batch, from 0 on
}

// The payload of a batch is a sequence of records:
//
//	record  = flags:1  [snapshot]  [entries]
//	snapshot= index term autoLeave voters learners votersOutgoing learnersNext    each list: count, ids; all uvarint
//	entries = firstIndex firstTerm count entry…                                   uvarint
//	entry   = (term since the one before)<<2|type   0 or 1+length   data          uvarint uvarint bytes; 0: no data at all
const (
	recordSnapshot = 1 << iota
	recordEntries
)

var errRecord = errors.New("malformed record")

// maxRecordSize is no less than what appendRecord appends.
func maxRecordSize(r *Record) int {
	n := 1
	if r.Snapshot != nil {
		cs := r.Snapshot.GetConfState()
		n += binary.MaxVarintLen64 * (7 + len(cs.GetVoters()) + len(cs.GetLearners()) + len(cs.GetVotersOutgoing()) + len(cs.GetLearnersNext()))
	}
	if len(r.Entries) > 0 {
		n += 3 * binary.MaxVarintLen64
		for _, e := range r.Entries {
			n += 2*binary.MaxVarintLen64 + len(e.Data)
		}
	}
	return n
}

func appendRecord(b []byte, r *Record) []byte {
	flags := len(b)
	b = append(b, 0)
	if r.Snapshot != nil {
		b[flags] |= recordSnapshot
		b = appendSnapshotMeta(b, r.Snapshot)
	}
	if len(r.Entries) == 0 {
		return b
	}
	b[flags] |= recordEntries
	term := r.Entries[0].GetTerm()
	b = binary.AppendUvarint(b, r.Entries[0].GetIndex())
	b = binary.AppendUvarint(b, term)
	b = binary.AppendUvarint(b, uint64(len(r.Entries)))
	for _, e := range r.Entries {
		b = binary.AppendUvarint(b, (e.GetTerm()-term)<<2|uint64(e.GetType()))
		term = e.GetTerm()
		if e.Data == nil {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(e.Data))+1)
		b = append(b, e.Data...)
	}
	return b
}

func appendSnapshotMeta(b []byte, m *pb.SnapshotMetadata) []byte {
	cs := m.GetConfState()
	b = binary.AppendUvarint(b, m.GetIndex())
	b = binary.AppendUvarint(b, m.GetTerm())
	leave := uint64(0)
	if cs.GetAutoLeave() {
		leave = 1
	}
	b = binary.AppendUvarint(b, leave)
	for _, ids := range [...][]uint64{cs.GetVoters(), cs.GetLearners(), cs.GetVotersOutgoing(), cs.GetLearnersNext()} {
		b = binary.AppendUvarint(b, uint64(len(ids)))
		for _, id := range ids {
			b = binary.AppendUvarint(b, id)
		}
	}
	return b
}

// decoder reads uvarints and bytes; after the first failure it yields zeros and bad stays true.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// bytes aliases the payload.
func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) ids() []uint64 {
	n := d.uvarint()
	if n > maxConfStateIDs || n > uint64(len(d.b)) { // an id is a byte at least
		d.bad = true
		return nil
	}
	if n == 0 {
		return nil
	}
	ids := make([]uint64, n)
	for i := range ids {
		ids[i] = d.uvarint()
	}
	return ids
}

func (d *decoder) snapshotMeta() *pb.SnapshotMetadata {
	index, term, leave := d.uvarint(), d.uvarint(), d.uvarint()
	cs := &pb.ConfState{Voters: d.ids(), Learners: d.ids(), VotersOutgoing: d.ids(), LearnersNext: d.ids()}
	if leave != 0 {
		cs.AutoLeave = new(true)
	}
	if leave > 1 {
		d.bad = true
	}
	return &pb.SnapshotMetadata{Index: &index, Term: &term, ConfState: cs}
}

// visitor is told what is in a payload, in order. Data aliases it.
type visitor interface {
	record(n int)                   // the n-th record begins
	restart(m *pb.SnapshotMetadata) // the log begins anew
	run(first, count uint64)        // consecutive entries follow
	entry(at position, typ pb.EntryType, data []byte)
}

// decodePayload walks through the records of a payload.
func decodePayload(b []byte, v visitor) error {
	d := decoder{b: b}
	for n := 0; len(d.b) > 0; n++ {
		flags := d.bytes(1)[0]
		if flags&^(recordSnapshot|recordEntries) != 0 {
			return fmt.Errorf("%w: flags %#x", errRecord, flags)
		}
		v.record(n)
		if flags&recordSnapshot != 0 {
			m := d.snapshotMeta()
			if d.bad {
				return fmt.Errorf("%w: snapshot", errRecord)
			}
			v.restart(m)
		}
		if flags&recordEntries != 0 {
			if err := d.entries(v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *decoder) entries(v visitor) error {
	at := position{index: d.uvarint(), term: d.uvarint()}
	count := d.uvarint()
	if d.bad || count == 0 || count > uint64(len(d.b))/2 || at.index+count < at.index { // an entry is two bytes at least
		return fmt.Errorf("%w: %d entries from %d", errRecord, count, at.index)
	}
	v.run(at.index, count)
	for range count {
		kind, size := d.uvarint(), d.uvarint()
		var data []byte
		if size > 0 {
			data = d.bytes(size - 1)
		}
		at.term += kind >> 2
		if d.bad || kind&3 > uint64(pb.EntryConfChangeV2) {
			return fmt.Errorf("%w: entry %d", errRecord, at.index)
		}
		v.entry(at, pb.EntryType(kind&3), data)
		at.index++
	}
	return nil
}
