package sim

import (
	"bytes"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"gopherwood/internal/node"
)

// client is one of those who use a server; it ends with the server's process.
type client struct {
	id      uint64 // never used twice
	session uint64 // never used twice either
	n       uint64 // last command
}

func (p *process) startClients() {
	for range p.sim.p.clients {
		p.clients = append(p.clients, p.sim.newClient())
	}
	p.at(p.sim.clientRand.about(p.sim.p.submitUs), p.clientStep)
	p.at(p.sim.clientRand.about(p.sim.p.barrierUs), p.barrierStep)
}

func (s *simulation) newClient() *client {
	s.clients++
	return &client{id: s.clients, session: s.clients}
}

// clientStep submits a chunk of some clients' commands, unless enough is waiting.
func (p *process) clientStep() {
	s := p.sim
	if s.quiet() {
		return
	}
	s.step(func() {
		p.at(s.clientRand.about(s.p.submitUs), p.clientStep)
	}, func() {
		if p.pending < maxPending {
			p.clientsSubmit()
		}
	})
}

// step is one of the clients' steps, numbered over the whole simulation, with a source of chance of its own. A script may leave out what it does, but not
// that there is a next one.
func (s *simulation) step(next, do func()) {
	n := s.steps
	s.steps++
	old := s.clientRand
	s.clientRand = newRandom(s.script.seed, streamStep, n)
	next()
	if s.script.steps.has(n) {
		do()
	}
	s.clientRand = old
}

func (p *process) clientsSubmit() {
	s := p.sim
	var commands [][]byte
	var owners []*client
	for range 1 + s.clientRand.IntN(8) {
		i := s.clientRand.IntN(len(p.clients))
		if s.clientRand.chance(0.01) {
			p.clients[i] = s.newClient()
		}
		commands = append(commands, s.command(p.clients[i]))
		owners = append(owners, p.clients[i])
	}
	p.submit(commands, owners)
}

// command is the client's next one.
func (s *simulation) command(c *client) []byte {
	if s.o.Own != nil {
		return s.o.Own.Command(s.clientRand.Rand)
	}
	if s.p.workload == "tree" {
		return forestCommand(s, c)
	}
	return ledgerCommand(s, c)
}

// submit gives commands to the node as one chunk; some have nobody who waits.
func (p *process) submit(commands [][]byte, owners []*client) {
	chunk := &node.Chunk{}
	for i, body := range commands {
		data := append(binary.LittleEndian.AppendUint64(nil, p.seq+1), body...)
		p.seq = p.sim.ghost.submitted(p.origin, xxhash.Sum64(data))
		chunk.Data = append(binary.AppendUvarint(chunk.Data, uint64(len(data))), data...)
		w := &waiter{p: p, seq: p.seq}
		if owners != nil {
			w.client, w.session = owners[i], owners[i].session
		}
		chunk.Waiters = append(chunk.Waiters, w)
	}
	p.pending += len(commands)
	p.chunks++
	p.node.Submit(chunk)
}

// waiter is told the outcome of one command.
type waiter struct {
	p       *process
	seq     uint64
	client  *client // nil for a command of the state machine's own
	session uint64  // the client's, when it was submitted
}

// Done implements node.Waiter.
func (w *waiter) Done(result any, err error) {
	p, s := w.p, w.p.sim
	if w.seq != p.done+1 {
		s.fail("server %d: the waiter of command %d is told after that of %d", p.srv.id, w.seq, p.done)
	}
	if !p.inBatch || p.dead {
		s.fail("server %d: the waiter of command %d is told outside of a batch or after the process's end", p.srv.id, w.seq)
	}
	p.done = w.seq
	switch err {
	case nil:
	case node.ErrOutcomeUnknown:
		s.stats.Unknown++
		if st := s.ghost.streams[p.origin]; st.applied < w.seq {
			s.fail("server %d: command %d is said to be applied, but its stream has come to %d", p.srv.id, w.seq, st.applied)
		}
		return
	case node.ErrClosed:
		return
	default:
		s.fail("server %d: command %d fails with %v", p.srv.id, w.seq, err)
	}
	s.stats.Acked++
	out, ok := result.(outcome)
	c := &s.ghost.commands[p.audit.count-1]
	if !ok || c.origin != p.origin || c.seq != w.seq || c.result != out.hash {
		s.fail("server %d: the waiter of command %d gets the result of command %d of %x", p.srv.id, w.seq, c.seq, c.origin)
	}
	s.ghost.acknowledged(c.index, c.term)
	if s.o.onAck != nil {
		s.o.onAck(s, c.term)
	}
	if out.expired && w.client != nil && w.client.session == w.session {
		s.clients++
		w.client.session = s.clients
		w.client.n = 0
	}
}

// barrierStep asks for a linearizable read, and sends a datagram to the leader.
func (p *process) barrierStep() {
	s := p.sim
	if s.quiet() {
		return
	}
	p.at(s.clientRand.about(s.p.barrierUs), p.barrierStep)
	p.node.ToLeader(datagram(p.srv.raftID))
	if p.barriers < maxBarriers {
		p.barrier()
	}
}

func (p *process) barrier() {
	p.barriers++
	if err := p.node.Barrier(&barrier{p: p, index: p.sim.ghost.maxIndex}); err != nil {
		p.sim.fail("server %d: barrier: %v", p.srv.id, err)
	}
}

// barrier is a linearizable read under way: everything up to index was applied somewhere when it was asked for.
type barrier struct {
	p     *process
	index uint64
}

// Done implements node.Waiter.
func (b *barrier) Done(_ any, err error) {
	b.p.barriers--
	if err == node.ErrClosed {
		return
	}
	if index, _ := b.p.node.Applied(); err != nil || index < b.index {
		b.p.sim.fail("server %d: a barrier is done at index %d, but %d was applied somewhere when it began (%v)", b.p.srv.id, index, b.index, err)
	}
	b.p.sim.stats.Barriers++
}

// filler is a command's ballast.
func (s *simulation) filler() []byte {
	n := s.clientRand.about(40)
	if s.p.bulk && s.clientRand.chance(0.02) {
		n = s.clientRand.between(8<<10, 40<<10)
	}
	return bytes.Repeat([]byte{byte(n)}, int(n))
}
