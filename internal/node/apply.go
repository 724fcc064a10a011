package node

import (
	"encoding/binary"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"gopherwood/internal/planted"
)

// apply applies committed entries in order, inside one batch of the state machine.
func (n *Node) apply(entries []*pb.Entry) {
	n.beginBatch()
	for _, e := range entries {
		if e.GetIndex() != n.applied.index+1 {
			panic(invariant("apply: entry %d after %d", e.GetIndex(), n.applied.index))
		}
		n.applied = position{index: e.GetIndex(), term: e.GetTerm()}
		switch {
		case e.GetType() != pb.EntryNormal:
			n.applyConfChange(e)
		case len(e.GetData()) > 0:
			n.applyBatch(e)
			n.settle(e.GetTerm())
		}
		if n.lead == n.cfg.RaftID && !n.intake.ready && e.GetTerm() == n.term {
			n.becomeReady()
		}
	}
	n.releaseBarriers()
	n.endBatch()
}

// applyBatch applies the commands of one entry. An entry that can't be read is the same on every replica: it is logged and skipped from the
// mistake on, so that the replicas stay equal; nothing that this program proposes is such an entry.
func (n *Node) applyBatch(e *pb.Entry) {
	r, err := readBatch(e.GetData())
	if err != nil {
		n.log.Error("a committed entry can't be read; it has no effect", "index", e.GetIndex(), "error", err)
		return
	}
	n.state.timeMs = max(n.state.timeMs, r.timeMs)
	c := Command{Index: e.GetIndex(), Term: e.GetTerm(), TimeMs: n.state.timeMs}
	if planted.LocalClock.On() {
		c.TimeMs = n.nowMs
	}
	var s segment
	for {
		more, err := r.next(&s)
		if err == nil && more {
			err = n.applySegment(&c, &s)
		}
		if err != nil {
			n.log.Error("a committed entry can't be read to its end; the rest has no effect", "index", e.GetIndex(), "error", err)
			return
		}
		if !more || planted.BatchHalf.On() && n.lead != n.cfg.RaftID {
			return
		}
	}
}

// applySegment applies those commands of a run that follow what was applied of their origin: a repeat is ignored, and so is what
// comes after a gap. This rule, and no other, makes every proposal apply exactly once.
func (n *Node) applySegment(c *Command, s *segment) error {
	if s.origin == checkOrigin {
		n.applyCheck(c.Index, s)
		return nil
	}
	want, live := n.state.next(s.origin)
	if !live || s.first > want && !planted.OriginGap.On() || s.last() < want && !planted.OriginDuplicate.On() {
		return nil
	}
	c.Origin = s.origin
	for rest, number := s.data, s.first; number <= s.last(); number++ {
		size, k := binary.Uvarint(rest)
		if k <= 0 || size > uint64(len(rest)-k) {
			return errBatch
		}
		c.Data, rest = rest[k:k+int(size)], rest[k+int(size):]
		if number < want && !planted.OriginDuplicate.On() {
			continue
		}
		result := n.sm.Apply(*c)
		n.commands++
		if number >= want {
			n.state.advance(s.origin, number)
		}
		if s.origin == n.origin.id && number > n.origin.acked {
			n.complete(number, result)
		}
	}
	return nil
}

func (n *Node) applyConfChange(e *pb.Entry) {
	n.changePending = false
	var cc pb.ConfChangeV2
	if e.GetType() == pb.EntryConfChange {
		var old pb.ConfChange
		if err := proto.Unmarshal(e.GetData(), &old); err != nil {
			panic(invariant("conf change at %d: %v", e.GetIndex(), err))
		}
		n.confState = n.raw.ApplyConfChange(old.AsV2())
		return
	}
	if err := proto.Unmarshal(e.GetData(), &cc); err != nil {
		panic(invariant("conf change at %d: %v", e.GetIndex(), err))
	}
	n.confState = n.raw.ApplyConfChange(&cc)
	n.membersChanged(&cc)
}

func (n *Node) beginBatch() {
	if n.batcher != nil && n.batchDepth == 0 {
		n.batcher.BeginBatch()
	}
	n.batchDepth++
}

func (n *Node) endBatch() {
	n.batchDepth--
	if n.batcher != nil && n.batchDepth == 0 {
		n.batcher.EndBatch()
	}
}
