package replica

import (
	"sync"

	"gopherwood/internal/node"
	"gopherwood/internal/peer"
	"gopherwood/internal/raftlog"
)

// inbox is where everything waits that happens to the loop. Messages are bounded: whoever delivers waits for room. The other
// kinds are bounded by what causes them: records by raft's flow control, calls by their callers.
type inbox struct {
	wake chan struct{}

	mu     sync.Mutex
	room   sync.Cond
	work   batchOfEvents // guarded by mu
	bytes  int           // of work.messages; guarded by mu
	closed bool          // guarded by mu
}

// batchOfEvents is what happened since the last look.
type batchOfEvents struct {
	messages  []*peer.Message
	persisted []*raftlog.Record
	calls     []call
}

// call is a function for the loop goroutine; refused is called instead, on some goroutine, when there is no loop any more.
type call struct{ run, refused func() }

func (in *inbox) init() {
	in.wake = make(chan struct{}, 1)
	in.room.L = &in.mu
}

// take exchanges what waits for work, whose slices are used again.
func (in *inbox) take(work *batchOfEvents) {
	clear(work.messages)
	clear(work.persisted)
	clear(work.calls)
	work.messages, work.persisted, work.calls = work.messages[:0], work.persisted[:0], work.calls[:0]
	in.mu.Lock()
	defer in.mu.Unlock()
	full := in.full()
	in.bytes = 0
	*work, in.work = in.work, *work
	if full {
		in.room.Broadcast()
	}
}

func (in *inbox) deliver(m *peer.Message) {
	in.mu.Lock()
	for in.full() && !in.closed {
		in.room.Wait()
	}
	if !in.closed {
		in.bytes += weight(m)
		in.work.messages = append(in.work.messages, m)
	}
	in.mu.Unlock()
	in.signal()
}

// full says whether a message has to wait. The caller holds mu.
func (in *inbox) full() bool { return len(in.work.messages) >= maxInbox || in.bytes >= maxInboxBytes }

// weight is about what a message keeps in memory.
func weight(m *peer.Message) int {
	n := len(m.Origin.Data) + len(m.App)
	for _, e := range m.Raft.GetEntries() {
		n += len(e.GetData())
	}
	return n
}

// persisted takes records in the order of writing. Once close has dropped some, none may follow: the loop can take one more round.
func (in *inbox) persisted(records []*raftlog.Record) {
	in.mu.Lock()
	if !in.closed {
		in.work.persisted = append(in.work.persisted, records...)
	}
	in.mu.Unlock()
	in.signal()
}

func (in *inbox) call(c call) {
	in.mu.Lock()
	closed := in.closed
	if !closed {
		in.work.calls = append(in.work.calls, c)
	}
	in.mu.Unlock()
	if !closed {
		in.signal()
	} else if c.refused != nil {
		c.refused()
	}
}

func (in *inbox) signal() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// close refuses what waits and what still comes.
func (in *inbox) close() {
	in.mu.Lock()
	in.closed = true
	calls := in.work.calls
	in.work = batchOfEvents{}
	in.room.Broadcast()
	in.mu.Unlock()
	for _, c := range calls {
		if c.refused != nil {
			c.refused()
		}
	}
	in.signal()
}

func (r *Replica) wakeLoop() { r.inbox.signal() }

// call runs f on the loop goroutine, or refused elsewhere when there is no loop any more.
func (r *Replica) call(f, refused func()) { r.inbox.call(call{f, refused}) }

// host carries out the node's effects, on the loop goroutine.
type host Replica

func (h *host) Send(m *peer.Message) bool {
	return h.transport != nil && h.transport.Send(node.ServerOf(m.To), m)
}

func (h *host) Append(rec *raftlog.Record) {
	if h.cfg.Observer != nil {
		h.timing.logged(rec)
	}
	h.writer.add(rec)
}

func (h *host) Acked(c *node.Chunk) {
	if h.cfg.Observer != nil {
		h.timing.acked()
	}
	h.proposals.acked(c)
}

func (h *host) MembersChanged(members []peer.Member) { (*Replica)(h).membersChanged(members) }

func (h *host) Diverged(err *node.DivergedError) { (*Replica)(h).fatal(err) }

// peerHandler is what the transport delivers to, on its goroutines.
type peerHandler Replica

func (p *peerHandler) Deliver(m *peer.Message) {
	r := (*Replica)(p)
	switch m.Kind {
	case peer.KindJoin:
		r.meet(m.From, []peer.Member{m.Join.Member})
		r.inbox.deliver(m)
	case peer.KindProbe:
		r.meet(m.From, m.Probe.Members)
		reply := *r.info.Load()
		r.transport.Send(node.ServerOf(m.From), &peer.Message{Kind: peer.KindProbeReply, From: reply.RaftID, To: m.From, Probe: reply})
	default:
		r.inbox.deliver(m)
	}
}

func (p *peerHandler) PeerUp(_ uint16, raftID uint64) {
	r := (*Replica)(p)
	r.call(func() {
		if r.node != nil {
			r.node.PeerUp(raftID)
		}
		r.up[raftID] = true
	}, nil)
}

func (p *peerHandler) PeerDown(_ uint16, raftID uint64) {
	r := (*Replica)(p)
	r.call(func() {
		if r.node != nil {
			r.node.PeerDown(raftID)
		}
		delete(r.up, raftID)
	}, nil)
}
