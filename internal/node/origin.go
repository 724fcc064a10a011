package node

import (
	"gopherwood/internal/peer"
	"gopherwood/internal/planted"
)

// Chunk is a run of commands that the driver collected: what one Submit takes. Data holds one (uvarint length, bytes) per command, and
// Waiters one waiter per command, nil where nobody waits. The node owns both until Host.Acked returns the chunk.
type Chunk struct {
	Data    []byte
	Waiters []Waiter

	first uint64 // number of the first command, given by Submit
	done  int    // commands applied
}

func (c *Chunk) count() uint64 { return uint64(len(c.Waiters)) }
func (c *Chunk) last() uint64  { return c.first + c.count() - 1 }

// origin is this server's stream: what it submitted and has not yet seen applied.
// acked <= sent < next; chunks hold exactly the numbers acked+1 … next-1, but for the applied front of the first one.
type origin struct {
	id     uint64
	next   uint64   // number of the next command
	acked  uint64   // applied here up to that number
	sent   uint64   // given to the present leader up to that number
	chunks []*Chunk // ascending

	progressTick uint64 // when acked last moved or everything was sent again
	rewindTick   uint64 // when a gap made the stream go back
}

func (o *origin) submit(c *Chunk) {
	c.first = o.next
	c.done = 0
	o.next += c.count()
	o.chunks = append(o.chunks, c)
}

// rewind makes everything after number n go to the leader again.
func (o *origin) rewind(n, tick uint64) {
	o.sent = max(n, o.acked)
	o.progressTick = tick
}

// Submit takes a chunk of commands into this server's origin stream. They will be applied exactly once and in order, for as long as
// this process lives; if it dies, those that had not reached a leader are gone.
func (n *Node) Submit(c *Chunk) {
	if c.count() == 0 {
		return
	}
	if n.origin.acked == n.origin.next-1 {
		n.origin.progressTick = n.ticks
	}
	n.origin.submit(c)
}

// sendOrigin gives the leader what it has not had. It is the only place where the stream moves.
func (n *Node) sendOrigin() {
	o := &n.origin
	if n.lead == 0 || o.sent == o.next-1 || !n.isMember(n.cfg.RaftID) {
		return // one who is not let in yet would learn its results from a snapshot only, that is, not at all
	}
	for _, c := range o.chunks {
		if c.last() <= o.sent {
			continue
		}
		if n.lead == n.cfg.RaftID {
			if !n.accept(segment{origin: o.id, first: c.first, count: c.count(), data: c.Data}) {
				return
			}
		} else if !n.sendChunk(c) {
			return
		}
		o.sent = c.last()
	}
}

// sendChunk sends one chunk as one message. The driver bounds a chunk, so that it stays below peer.MaxMessageBytes.
func (n *Node) sendChunk(c *Chunk) bool {
	n.outOrigin = peer.Message{
		Kind: peer.KindOrigin, From: n.cfg.RaftID, To: n.lead,
		Origin: peer.OriginBatch{Origin: n.origin.id, First: c.first, Count: uint32(c.count()), Data: c.Data},
	}
	return n.host.Send(&n.outOrigin)
}

// tickOrigin sends everything again when nothing moved for a while: a message may have been lost without anyone knowing.
func (n *Node) tickOrigin() {
	o := &n.origin
	if o.acked < o.sent && n.ticks-o.progressTick >= retransmitTicks && !planted.NoResend.On() {
		o.rewind(o.acked, n.ticks)
	}
}

// originGap is the leader's word that it waits for number ack+1.
func (n *Node) originGap(m *peer.Message) {
	o := &n.origin
	if m.Origin.Origin != o.id || m.From != n.lead || m.Origin.Ack >= o.sent || n.ticks-o.rewindTick < retransmitTicks/4 {
		return
	}
	o.rewindTick = n.ticks
	o.rewind(m.Origin.Ack, n.ticks)
}

// complete hands the result of this server's command number seq to its waiter.
func (n *Node) complete(seq uint64, result any) {
	o := &n.origin
	c := o.chunks[0]
	if c.first+uint64(c.done) != seq {
		panic(invariant("origin: applied number %d, waiting for %d", seq, c.first+uint64(c.done)))
	}
	w := c.Waiters[c.done]
	c.done++
	o.acked = seq
	o.progressTick = n.ticks
	if w != nil {
		w.Done(result, nil)
	}
	if c.done == len(c.Waiters) {
		n.popChunk()
	}
}

func (n *Node) popChunk() {
	o := &n.origin
	c := o.chunks[0]
	o.chunks[0] = nil
	o.chunks = o.chunks[1:]
	n.host.Acked(c)
}

// skipTo fails the waiters of commands up to number last, which were applied elsewhere and came here inside a snapshot.
func (n *Node) skipTo(last uint64) {
	o := &n.origin
	for len(o.chunks) > 0 && o.acked < last {
		c := o.chunks[0]
		for c.done < len(c.Waiters) && o.acked < last {
			if w := c.Waiters[c.done]; w != nil && !planted.RestoreForgetsWaiter.On() {
				w.Done(nil, ErrOutcomeUnknown)
			}
			c.done++
			o.acked++
		}
		if c.done == len(c.Waiters) {
			n.popChunk()
		}
	}
	o.sent = max(o.sent, o.acked)
}
