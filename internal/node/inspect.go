package node

import (
	"encoding/binary"
	"fmt"
	"strings"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"gopherwood/internal/peer"
)

// ConfState is raft's configuration as of the last applied change; while one configuration takes over from another, it has both. It is not to be changed.
func (n *Node) ConfState() *pb.ConfState { return n.confState }

// QuorumConnected says whether this member and those it is connected with can elect a leader.
func (n *Node) QuorumConnected() bool { return n.quorumConnected() }

// EntryCommand is a command in an entry, as it was proposed: whether it was applied, or is a repeat, depends on what was before.
type EntryCommand struct {
	Origin, Number uint64
	Data           []byte
}

// EntryKind says what an entry of the log is.
type EntryKind string

// The kinds of entries.
const (
	EntryEmpty      EntryKind = "empty" // raft's own, the first of a term
	EntryBatch      EntryKind = "batch"
	EntryCheck      EntryKind = "check" // of digests
	EntryMembership EntryKind = "members"
)

// Entry is an entry of the log, taken apart.
type Entry struct {
	Index, Term uint64
	Kind        EntryKind
	TimeMs      int64 // of a batch
	Bytes       int
	Members     string // what a change of members changes
	Commands    []EntryCommand
}

// Log reads up to limit entries from index on, or from the first one that there is, for people. first and last are what the log holds.
func (n *Node) Log(index uint64, limit int) (entries []Entry, first, last uint64, err error) {
	if first, err = n.storage.FirstIndex(); err == nil {
		last, err = n.storage.LastIndex()
	}
	index = max(index, first)
	if err != nil || index > last {
		return nil, first, last, err
	}
	raw, err := n.storage.Entries(index, min(last+1, index+uint64(limit)), maxInspectBytes)
	if err != nil {
		return nil, first, last, fmt.Errorf("node: read the log at %d: %w", index, err)
	}
	for _, e := range raw {
		entry, err := inspect(e)
		if err != nil {
			return nil, first, last, fmt.Errorf("node: entry %d: %w", e.GetIndex(), err)
		}
		entries = append(entries, entry)
	}
	return entries, first, last, nil
}

// describeChange says what a change of members changes.
func (x *Entry) describeChange(e *pb.Entry) error {
	cc := &pb.ConfChangeV2{}
	if e.GetType() == pb.EntryConfChange {
		var old pb.ConfChange
		if err := proto.Unmarshal(e.GetData(), &old); err != nil {
			return err
		}
		cc = old.AsV2()
	} else if err := proto.Unmarshal(e.GetData(), cc); err != nil {
		return err
	}
	var b strings.Builder
	for i, c := range cc.GetChanges() {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %s", strings.TrimPrefix(c.GetType().String(), "ConfChange"), peer.FormatRaftID(c.GetNodeId()))
	}
	if x.Members = b.String(); x.Members == "" {
		x.Members = "leave the joint configuration"
	}
	return nil
}

// inspect takes an entry apart. What it returns aliases nothing.
func inspect(e *pb.Entry) (Entry, error) {
	x := Entry{Index: e.GetIndex(), Term: e.GetTerm(), Bytes: len(e.GetData()), Kind: EntryBatch}
	switch {
	case e.GetType() != pb.EntryNormal:
		x.Kind = EntryMembership
		return x, x.describeChange(e)
	case len(e.GetData()) == 0:
		x.Kind = EntryEmpty
		return x, nil
	}
	r, err := readBatch(e.GetData())
	if err != nil {
		return x, err
	}
	x.TimeMs = r.timeMs
	for {
		var s segment
		more, err := r.next(&s)
		if err != nil || !more {
			return x, err
		}
		if s.origin == checkOrigin {
			x.Kind = EntryCheck
			continue
		}
		for rest, number := s.data, s.first; number <= s.last(); number++ {
			size, k := binary.Uvarint(rest)
			if k <= 0 || size > uint64(len(rest)-k) {
				return x, errBatch
			}
			x.Commands = append(x.Commands, EntryCommand{Origin: s.origin, Number: number, Data: append([]byte(nil), rest[k:k+int(size)]...)})
			rest = rest[k+int(size):]
		}
	}
}
