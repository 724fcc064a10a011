package sim

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"

	"gopherwood/internal/node"
	"gopherwood/replica"
)

// machine is a state machine under test. Its commands come without the auditor's header.
type machine interface {
	apply(c *node.Command, body []byte) outcome
	digest() uint64
	view() (machineView, error)
	restore(r io.Reader) error
	// expiry is a command that ends some session, decided in term; nil if there is nothing to end.
	expiry(term uint64, r random) []byte
}

type machineView interface {
	writeTo(w io.Writer) error
	close()
}

// outcome is a command's result.
type outcome struct {
	hash    uint64 // of all that a client would see
	result  any    // the machine's own, for its waiter; workload "server" only
	expired bool   // the client's session is gone
}

// auditor is the node.StateMachine of every process: it compares everything that is applied with the ghost, and passes it to the machine
// under test. It checks, too, that the node keeps to the interface: batches, restores, leadership.
//
// A command is: uint64 number in its stream, then the machine's bytes. A snapshot is: header, then the machine's.
type auditor struct {
	p     *process
	inner machine

	count     int    // commands applied
	chain     uint64 // hash of them
	lastIndex uint64
	lastTerm  uint64
	lead      node.Leadership
}

func newAuditor(p *process) *auditor {
	return &auditor{p: p, inner: newMachine(p)}
}

func newMachine(p *process) machine {
	if p.sim.o.Own != nil {
		return newForeign(p.sim)
	}
	switch p.sim.p.workload {
	case "tree":
		return newForest(p.sim)
	case "server":
		return newService(p)
	}
	return newLedger(p.sim)
}

func (a *auditor) now() stateAt {
	return stateAt{commands: a.count, chain: a.chain, digest: a.inner.digest()}
}

// Apply implements node.StateMachine.
func (a *auditor) Apply(c node.Command) any {
	s := a.p.sim
	if !a.p.inBatch || a.p.restoring {
		s.fail("server %d: Apply outside of a batch, or while a snapshot is being restored", a.p.srv.id)
	}
	if len(c.Data) < 8 {
		s.fail("server %d: a command of %d bytes", a.p.srv.id, len(c.Data))
	}
	if c.Index < a.lastIndex || c.Index == a.lastIndex && c.Term != a.lastTerm || c.Term < a.lastTerm {
		s.fail("server %d: entry %d of term %d after %d of %d", a.p.srv.id, c.Index, c.Term, a.lastIndex, a.lastTerm)
	}
	a.lastIndex, a.lastTerm = c.Index, c.Term
	k := a.count
	s.ghost.apply(a.p.srv.id, k, &c, binary.LittleEndian.Uint64(c.Data), xxhash.Sum64(c.Data))
	out := a.inner.apply(&c, c.Data[8:])
	if first := !s.ghost.commands[k].hasResult; first && s.swarm != nil {
		s.swarm.chronicle.apply(&c, c.Data[8:], out.hash)
	}
	s.ghost.result(a.p.srv.id, k, out.hash)
	a.count++
	a.chain = s.ghost.chains[a.count]
	return out
}

// Digest implements node.Digester.
func (a *auditor) Digest() uint64 { return mix(a.chain, a.inner.digest()) }

// auditView is a picture of the auditor and its machine.
type auditView struct {
	head  []byte
	inner machineView
}

const auditHeader = 32

// View implements node.StateMachine.
func (a *auditor) View() (node.View, error) {
	b := binary.LittleEndian.AppendUint64(nil, uint64(a.count))
	for _, v := range [...]uint64{a.chain, a.lastIndex, a.lastTerm} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	inner, err := a.inner.view()
	return &auditView{head: b, inner: inner}, err
}

// WriteTo implements node.View.
func (v *auditView) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(v.head)
	if err == nil {
		err = v.inner.writeTo(w)
	}
	return int64(n), err
}

// Close implements node.View.
func (v *auditView) Close() { v.inner.close() }

// Restore implements node.StateMachine.
func (a *auditor) Restore(r io.Reader) error {
	var b [auditHeader]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	if err := a.inner.restore(r); err != nil {
		return err
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return fmt.Errorf("bytes are left over in the snapshot: %d, %w", n, err)
	}
	le := binary.LittleEndian
	a.count, a.chain, a.lastIndex, a.lastTerm = int(le.Uint64(b[:])), le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:])
	if g := a.p.sim.ghost; a.count >= len(g.chains) || g.chains[a.count] != a.chain {
		a.p.sim.fail("server %d: a snapshot holds %d commands that nobody has applied like this", a.p.srv.id, a.count)
	}
	return nil
}

// BeginBatch implements node.Batcher.
func (a *auditor) BeginBatch() {
	if a.p.inBatch {
		a.p.sim.fail("server %d: a batch within a batch", a.p.srv.id)
	}
	a.p.inBatch = true
	if sv := a.service(); sv != nil {
		sv.srv.BeginBatch()
	}
}

// EndBatch implements node.Batcher.
func (a *auditor) EndBatch() {
	if !a.p.inBatch {
		a.p.sim.fail("server %d: a batch ends that did not begin", a.p.srv.id)
	}
	a.p.inBatch = false
	if sv := a.service(); sv != nil {
		sv.srv.EndBatch()
	}
}

// LeaderChanged implements node.LeaderObserver.
func (a *auditor) LeaderChanged(l node.Leadership) {
	if l == a.lead || l.Term < a.lead.Term {
		a.p.sim.fail("server %d is told of leadership %+v after %+v", a.p.srv.id, l, a.lead)
	}
	a.lead = l
	if sv := a.service(); sv != nil {
		sv.srv.LeaderChanged(replica.Leadership(l))
	}
}

// Tick implements node.Ticker: the leader expires somebody now and then.
func (a *auditor) Tick(nowMs int64) {
	s := a.p.sim
	if sv := a.service(); sv != nil {
		sv.srv.Tick(nowMs)
		return
	}
	if !a.lead.Mine || a.p.restoring || s.calm || a.p.pending > maxPending || !s.clientRand.chance(s.p.expiryTick) {
		return
	}
	if c := a.inner.expiry(a.lead.Term, s.clientRand); c != nil {
		s.stats.Expiries++
		a.p.deferred = append(a.p.deferred, c)
	}
}

// Message implements node.MessageHandler.
func (a *auditor) Message(from uint64, data []byte) {
	if sv := a.service(); sv != nil {
		sv.srv.Message(from, data)
		return
	}
	if len(data) != 16 || binary.LittleEndian.Uint64(data) != from || binary.LittleEndian.Uint64(data[8:]) != ^from {
		a.p.sim.fail("server %d gets a datagram from %x that nobody sent: %x", a.p.srv.id, from, data)
	}
}

// datagram is what servers send to the leader's Message.
func datagram(from uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, from), ^from)
}

// check holds a process against the ghost after an event.
func (p *process) check() {
	g := p.sim.ghost
	l := p.node.Leadership()
	if l != p.lead {
		if l.Term < p.lead.Term {
			p.sim.fail("server %d goes back from term %d to %d", p.srv.id, p.lead.Term, l.Term)
		}
		if l.Leader != 0 {
			g.leader(p, l)
		}
		switch {
		case l.Mine:
			p.sim.log(p.srv.id, lineLeads, l.Term, 0, 0)
		case l.Leader != 0:
			p.sim.log(p.srv.id, lineFollows, l.Term, l.Leader, 0)
		default:
			p.sim.log(p.srv.id, lineNoLeader, l.Term, 0, 0)
		}
		p.lead = l
	}
	index, term := p.node.Applied()
	if index < p.checked {
		p.sim.fail("server %d goes back from index %d to %d", p.srv.id, p.checked, index)
	}
	if index != p.checked {
		p.checked = index
		now := p.audit.now()
		now.term = term
		g.state(p.srv.id, index, now)
		g.configuration(index, p.node.ConfState())
		if index > g.maxIndex {
			g.maxIndex = index
		}
	}
	if p.appends > maxAppends || p.chunks > maxUnackedChunks || p.barriers > 2*maxBarriers {
		p.sim.fail("server %d: %d appends, %d chunks and %d barriers are under way", p.srv.id, p.appends, p.chunks, p.barriers)
	}
}
