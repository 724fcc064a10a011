package raftlog

import (
	"math/bits"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// InitialState implements raft.Storage. The ConfState is the newest snapshot's: the caller applies the configuration changes after it.
func (l *Log) InitialState() (*pb.HardState, *pb.ConfState, error) {
	cs := pb.EnsureConfState(l.snapshot.GetConfState())
	if !l.haveHard {
		return nil, cs, nil
	}
	h := l.hard
	return &pb.HardState{Term: &h.term, Vote: &h.vote, Commit: &h.commit}, cs, nil
}

// FirstIndex implements raft.Storage.
func (l *Log) FirstIndex() (uint64, error) { return l.first, nil }

// LastIndex implements raft.Storage.
func (l *Log) LastIndex() (uint64, error) { return l.terms.last, nil }

// Term implements raft.Storage.
func (l *Log) Term(index uint64) (uint64, error) {
	if index+1 < l.first {
		return 0, raft.ErrCompacted
	}
	term, ok := l.terms.at(index)
	if !ok {
		return 0, raft.ErrUnavailable
	}
	return term, nil
}

// Snapshot implements raft.Storage: the newest snapshot's metadata. The data is in its file.
func (l *Log) Snapshot() (*pb.Snapshot, error) {
	s := &pb.Snapshot{}
	if l.snapshot != nil {
		s.Metadata = proto.Clone(l.snapshot).(*pb.SnapshotMetadata)
	}
	return pb.EnsureSnapshot(s), nil
}

// Entries implements raft.Storage. Entries that are no longer in memory are read from the files, their checksums verified; a *CorruptError is
// fatal.
func (l *Log) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	if lo < l.first {
		return nil, raft.ErrCompacted
	}
	if hi > l.terms.last+1 {
		return nil, raft.ErrUnavailable
	}
	if lo >= hi {
		return nil, nil
	}
	inMemory := l.terms.last + 1 - uint64(len(l.tail))
	if lo >= inMemory {
		entries := l.tail[lo-inMemory : hi-inMemory]
		n, _ := fit(entries, maxSize)
		return entries[:n:n], nil
	}
	entries, left, err := l.readEntries(lo, min(hi, inMemory), maxSize)
	if err != nil || entries[len(entries)-1].GetIndex()+1 < min(hi, inMemory) || hi <= inMemory {
		return entries, err
	}
	rest := l.tail[:hi-inMemory]
	if size := entrySize(rest[0]); size > left {
		return entries, nil
	}
	n, _ := fit(rest, left)
	return append(entries, rest[:n]...), nil
}

// fit returns how many entries make up at most maxSize bytes as raft counts them, but at least one, and what is left of maxSize.
func fit(entries []*pb.Entry, maxSize uint64) (n int, left uint64) {
	left = maxSize
	for i, e := range entries {
		size := entrySize(e)
		if size > left {
			if i == 0 {
				return 1, 0
			}
			return i, 0
		}
		left -= size
	}
	return len(entries), left
}

// entrySize is proto.Size(e), which is what raft's size limits mean.
func entrySize(e *pb.Entry) uint64 {
	n := uint64(0)
	if e.Type != nil {
		n += 1 + uvarintSize(uint64(*e.Type))
	}
	if e.Term != nil {
		n += 1 + uvarintSize(*e.Term)
	}
	if e.Index != nil {
		n += 1 + uvarintSize(*e.Index)
	}
	if e.Data != nil {
		n += 1 + uvarintSize(uint64(len(e.Data))) + uint64(len(e.Data))
	}
	return n
}

func uvarintSize(v uint64) uint64 { return uint64(bits.Len64(v|1)+6) / 7 }
