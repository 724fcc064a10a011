package node

import (
	"encoding/binary"

	"go.etcd.io/raft/v3"

	"gopherwood/internal/planted"
)

// barriers turn raft's ReadIndex into "all that was committed when you asked is applied here". One request is in flight;
// those that arrive meanwhile share the next one. A request is never repeated under the same number: an answer to an earlier try
// could be older than a later asker.
type barriers struct {
	number    uint64 // of the last request
	sentTick  uint64
	inflight  []Waiter
	waiting   []Waiter
	confirmed []confirmedBarrier // ascending by index
	held      int                // waiters in all three
}

type confirmedBarrier struct {
	index   uint64
	waiters []Waiter
}

// Barrier calls w once everything that was committed anywhere when Barrier was called is applied here. It waits for as long as there is no leader.
func (n *Node) Barrier(w Waiter) error {
	if n.barriers.held >= maxBarrierWaiters {
		return ErrBusy
	}
	n.barriers.held++
	n.barriers.waiting = append(n.barriers.waiting, w)
	return nil
}

// askBarrier sends the next ReadIndex if none is in flight. A leader waits until it has applied an entry of its own term: raft makes
// sure of that by itself, except for a leader that is the only voter, whose commit index may lag behind its own log after a restart.
func (n *Node) askBarrier() {
	b := &n.barriers
	if len(b.inflight) > 0 || len(b.waiting) == 0 || n.lead == 0 || n.lead == n.cfg.RaftID && !n.intake.ready {
		return
	}
	b.inflight, b.waiting = b.waiting, nil
	b.number++
	if planted.StaleRead.On() && n.lead == n.cfg.RaftID {
		n.confirmBarriers([]raft.ReadState{{Index: n.applied.index, RequestCtx: n.barrierContext()}})
		return
	}
	b.sentTick = n.ticks
	n.raw.ReadIndex(n.barrierContext())
}

// barrierContext is unique among all members and starts: raft keys requests by it.
func (n *Node) barrierContext() []byte {
	c := binary.LittleEndian.AppendUint64(make([]byte, 0, 16), n.origin.id)
	return binary.LittleEndian.AppendUint64(c, n.barriers.number)
}

// retryBarrier puts the request in flight back, to be asked anew; after a change of leader, and when no answer came.
func (n *Node) retryBarrier() {
	b := &n.barriers
	if len(b.inflight) > 0 {
		b.waiting = append(b.inflight, b.waiting...)
		b.inflight = nil
	}
}

func (n *Node) tickBarrier() {
	if n.ticks-n.barriers.sentTick >= retransmitTicks {
		n.retryBarrier()
	}
}

func (n *Node) confirmBarriers(states []raft.ReadState) {
	b := &n.barriers
	for _, rs := range states {
		if len(b.inflight) == 0 || string(rs.RequestCtx) != string(n.barrierContext()) {
			continue // an earlier try
		}
		b.confirmed = append(b.confirmed, confirmedBarrier{index: rs.Index, waiters: b.inflight})
		b.inflight = nil
	}
	if len(b.confirmed) > 0 && !n.restoring { // Restored releases them: until then BeginBatch would wait for the state machine
		n.beginBatch()
		n.releaseBarriers()
		n.endBatch()
	}
}

// releaseBarriers calls the waiters whose index is applied. The caller is inside a batch.
func (n *Node) releaseBarriers() {
	b := &n.barriers
	for len(b.confirmed) > 0 && b.confirmed[0].index <= n.applied.index {
		waiters := b.confirmed[0].waiters
		b.confirmed = b.confirmed[1:]
		b.held -= len(waiters)
		for _, w := range waiters {
			w.Done(nil, nil)
		}
	}
}
