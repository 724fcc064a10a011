package node

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/peer"
	"gopherwood/internal/planted"
)

// intake is the leader's side of the origin streams: what arrived and is not yet proposed. It is empty on other members.
//
// ready turns true once an entry of the leader's own term is applied: from then on expect can be read off State, since every entry
// of earlier terms is applied. Until then segments wait in early, unlooked at.
type intake struct {
	ready    bool
	early    []segment
	queue    []segment         // consecutive per origin
	bytes    int               // of early and queue
	expect   map[uint64]uint64 // origin → next number; looked up only, never walked
	inflight int               // batches proposed in this term and not yet applied
	lastMs   int64             // last stamp given
}

func (in *intake) reset() {
	*in = intake{expect: make(map[uint64]uint64)}
}

// receiveOrigin takes a chunk that another member sent to its leader.
func (n *Node) receiveOrigin(m *peer.Message) {
	if m.Origin.Count == 0 {
		n.originGap(m)
		return
	}
	if n.lead != n.cfg.RaftID {
		return // its origin sends it again to whoever leads
	}
	s := segment{origin: m.Origin.Origin, first: m.Origin.First, count: uint64(m.Origin.Count), data: m.Origin.Data}
	if s.origin == checkOrigin || s.first == 0 || s.first+s.count < s.first {
		return
	}
	n.accept(s)
}

// accept takes a segment in, or refuses it for want of room (false: it must be sent again later).
func (n *Node) accept(s segment) bool {
	in := &n.intake
	if in.bytes+len(s.data) > MaxIntakeBytes {
		return false
	}
	if !in.ready {
		in.early = append(in.early, s)
		in.bytes += len(s.data)
		return true
	}
	want, ok := in.expect[s.origin]
	if !ok {
		if want, ok = n.state.next(s.origin); !ok {
			return true // a stream that its server's later start has ended
		}
	}
	if s.last() < want && !planted.OriginDuplicate.On() {
		return true // repeated
	}
	if s.first > want && !planted.OriginGap.On() {
		n.reportGap(s.origin, want)
		return true
	}
	if !planted.OriginDuplicate.On() {
		if err := s.skipTo(want); err != nil {
			n.log.Error("a member sent a malformed chunk of commands; it is dropped", "origin", s.origin, "error", err)
			return true
		}
	}
	in.expect[s.origin] = max(want, s.last()+1)
	in.queue = append(in.queue, s)
	in.bytes += len(s.data)
	return true
}

// reportGap asks an origin to go back: something between it and this leader was lost.
func (n *Node) reportGap(origin, want uint64) {
	if origin == n.origin.id {
		n.origin.rewind(want-1, n.ticks)
		return
	}
	for _, m := range n.state.members {
		if m.ServerID == ServerOf(origin) {
			n.host.Send(&peer.Message{
				Kind: peer.KindOrigin, From: n.cfg.RaftID, To: m.RaftID,
				Origin: peer.OriginBatch{Origin: origin, Ack: want - 1},
			})
		}
	}
}

// becomeReady is called when an entry of the leader's own term has been applied.
func (n *Node) becomeReady() {
	in := &n.intake
	in.ready = true
	in.lastMs = n.state.timeMs
	early := in.early
	in.early = nil
	for _, s := range early {
		in.bytes -= len(s.data)
		n.accept(s)
	}
	n.leadershipChanged()
}

// propose makes entries of what waits, as far as the cap on batches in flight allows.
func (n *Node) propose() {
	in := &n.intake
	for in.ready && len(in.queue) > 0 {
		if f := in.inflight; f >= n.cfg.Inflight && (in.bytes < eagerEntryBytes || f >= hardInflightEntries) {
			return
		}
		if !n.proposeBatch() {
			return
		}
	}
}

// proposeBatch makes one entry. It reports false when raft takes none now, as during a transfer: what waits stays.
func (n *Node) proposeBatch() bool {
	in := &n.intake
	stamp := max(n.nowMs, in.lastMs)
	size, take := 9, 0
	for take < len(in.queue) && (take == 0 || size+len(in.queue[take].data) <= maxEntryBytes) {
		size += len(in.queue[take].data) + 38
		take++
	}
	b := appendBatchHeader(make([]byte, 0, size), stamp)
	bytes := 0
	for i := range in.queue[:take] {
		b = appendSegment(b, &in.queue[i])
		bytes += len(in.queue[i].data)
	}
	err := n.raw.Step(&pb.Message{
		Type: pb.MsgProp.Enum(), From: &n.cfg.RaftID,
		Entries: []*pb.Entry{{Data: b}},
	})
	if errors.Is(err, raft.ErrProposalDropped) {
		return false
	}
	if err != nil {
		panic(invariant("propose: %v", err))
	}
	in.lastMs = stamp
	in.bytes -= bytes
	clear(in.queue[:take])
	if in.queue = in.queue[take:]; len(in.queue) == 0 {
		in.queue = nil
	}
	in.inflight++
	return true
}

// settle takes an applied batch of the leader's own term off the batches in flight.
func (n *Node) settle(term uint64) {
	if in := &n.intake; in.ready && term == n.term && in.inflight > 0 {
		in.inflight--
	}
}

func invariant(format string, args ...any) string {
	return "node: broken invariant: " + fmt.Sprintf(format, args...)
}
