package sim

import (
	"bytes"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/node"
	"gopherwood/internal/peer"
)

// link is the connection that one server has dialled to another: messages go one way. As with the real transport, the dialler's
// Send fails without it, and the other end is told when it is there and when it has ended.
//
// In a stream nothing is lost, doubled or overtaken while the connection lives, and nothing arrives after it. A lossy link is harsher
// than any real one: what was sent on a connection may even arrive when the next one is there, and at the process after the one that it was for.
type link struct {
	sim      *simulation
	from, to *server
	fp, tp   *process // its ends; nil while it is down
	number   uint64   // of the connection
	last     int64    // when the last thing on it arrives
	blocked  int      // partitions that cut it
	silent   bool     // one end lost power: the other will find out
	halfOpen bool     // one end has forgotten the connection: likewise
	held     [][]byte // what a partition holds up
	rand     random

	slowBy, slowUntil int64 // microseconds
}

func (l *link) up() bool { return l.fp != nil }

func (s *simulation) connectAll() {
	for _, v := range s.servers {
		v.links = make([]*link, len(s.servers))
		for i, w := range s.servers {
			if v != w {
				v.links[i] = &link{sim: s, from: v, to: w, rand: newRandom(s.script.seed, streamLink, uint64(v.id)<<16|uint64(w.id))}
				v.links[i].redial()
			}
		}
	}
}

// each calls do for every link, in a fixed order.
func (s *simulation) each(do func(l *link)) {
	for _, v := range s.servers {
		for _, l := range v.links {
			if l != nil {
				do(l)
			}
		}
	}
}

// cut says whether a partition is between two servers in that direction.
func (s *simulation) cut(from, to *server) bool {
	return from != to && from.links[to.id-1].blocked > 0
}

func (l *link) delay() int64 {
	d := l.sim.p.minUs + l.rand.about(l.sim.p.delayUs)
	if l.sim.now < l.slowUntil {
		d += l.rand.about(l.slowBy)
	}
	return d
}

// netDelay is that of what takes another way: snapshots.
func (v *server) netDelay() int64 { return v.sim.p.minUs + v.netRand.about(v.sim.p.delayUs) }

// redial tries to connect, again and again until it succeeds.
func (l *link) redial() {
	l.sim.after(l.rand.between(1, 200)*millisecond, func() {
		if l.up() {
			return
		}
		from, to := l.from.proc, l.to.proc
		if from == nil || to == nil || from.paused || l.sim.cut(l.from, l.to) || l.sim.cut(l.to, l.from) {
			l.redial()
			return
		}
		l.number++
		l.fp, l.tp, l.silent, l.halfOpen = from, to, false, false
		id := l.from.raftID
		l.arrive(func() {
			l.sim.log(to.srv.id, "is reached by %x", id, 0, 0)
			to.up[id] = true
			if to.node != nil {
				to.node.PeerUp(id)
			}
		})
	})
}

// arrive lets something happen at the far end, after all that was sent before it.
func (l *link) arrive(do func()) {
	at := max(l.last, l.sim.now+l.delay())
	l.last = at
	p := l.tp
	l.sim.heap.push(at, func() { p.run(do) })
}

// breakUp ends the connection. What is on its way arrives first, or not.
func (l *link) breakUp() {
	if !l.up() {
		return
	}
	l.sim.stats.Breaks++
	if l.rand.chance(0.5) {
		l.number++
	}
	id, p := l.fp.raftID, l.tp
	l.arrive(func() {
		l.sim.log(p.srv.id, "has lost %x", id, 0, 0)
		delete(p.up, id)
		if p.node != nil {
			p.node.PeerDown(id)
		}
	})
	l.fp, l.tp, l.held, l.silent, l.halfOpen = nil, nil, nil, false, false
	l.redial()
}

// serverEnded breaks the connections of a process that died, at once or, after a loss of power, when the others notice.
func (s *simulation) serverEnded(v *server, silent bool) {
	s.each(func(l *link) {
		if (l.from != v && l.to != v) || !l.up() {
			return
		}
		if !silent {
			l.breakUp()
			return
		}
		l.silent = true
		number := l.number
		s.after(l.rand.between(1000, 6000)*millisecond, func() {
			if l.number == number && l.silent {
				l.breakUp()
			}
		})
	})
}

// serverStarted lets those notice who still hold connections of the process before.
func (s *simulation) serverStarted(v *server) {
	s.each(func(l *link) {
		if (l.from == v || l.to == v) && l.silent {
			number := l.number
			s.after(l.rand.between(1, 50)*millisecond, func() {
				if l.number == number && l.silent {
					l.breakUp()
				}
			})
		}
	})
}

// send puts a message on the link to its addressee.
func (p *process) send(m *peer.Message) bool {
	s := p.sim
	to := int(node.ServerOf(m.To))
	if m.From != p.srv.raftID || to < 1 || to > len(s.servers) || m.To == m.From {
		s.fail("server %d sends a message from %x to %x", p.srv.id, m.From, m.To)
	}
	if to == int(p.srv.id) {
		return false // an earlier incarnation
	}
	if m.Kind == peer.KindRaft {
		s.ghost.promised(p, m.Raft)
	}
	frame := peer.AppendMessage(nil, m)
	l := p.srv.links[to-1]
	if l.fp != p || len(l.held) >= maxHeldFrames || !s.calm && l.rand.chance(s.p.refuse) {
		return false
	}
	s.stats.Frames++
	s.trace.mix(frame)
	if s.trace.watched() {
		l := frameLine(s.now, p.srv.id, "sends", m)
		s.trace.show(&l)
	}
	if l.blocked > 0 && !s.p.lossy {
		l.held = append(l.held, frame)
		return true
	}
	l.transmit(frame)
	return true
}

func (l *link) transmit(frame []byte) {
	s := l.sim
	if !s.p.lossy || s.calm {
		at := max(l.last, s.now+s.slowness()*l.delay())
		l.last = at
		l.deliverAt(at, frame)
		return
	}
	if l.blocked > 0 || l.rand.chance(s.loss()) {
		s.stats.Lost++
		return
	}
	at := s.now + l.delay()
	if at < l.last {
		s.stats.Overtaken++
	}
	l.last = max(l.last, at)
	l.deliverAt(at, frame)
	if l.rand.chance(s.p.dup) {
		s.stats.Doubled++
		l.deliverAt(s.now+10*l.delay(), bytes.Clone(frame))
	}
}

// slowness and loss are worse while the network is bad (faultLoss).
func (s *simulation) slowness() int64 {
	if s.now < s.badUntil {
		return 20
	}
	return 1
}

func (s *simulation) loss() float64 {
	if s.now < s.badUntil {
		return 0.3
	}
	return s.p.loss
}

func (l *link) deliverAt(at int64, frame []byte) {
	p, number := l.tp, l.number
	l.sim.heap.push(at, func() {
		if (l.number != number || l.silent) && !l.sim.p.lossy || l.halfOpen && l.number == number {
			l.sim.stats.Lost++
			return
		}
		if p.dead && l.sim.p.lossy && l.to.proc != nil {
			p = l.to.proc
		}
		p.run(func() { p.receive(frame) })
	})
}

// receive decodes a frame; what does not decode, or encodes to something else, is a failure.
func (p *process) receive(frame []byte) {
	s := p.sim
	whole := bytes.Clone(frame)
	m, err := peer.DecodeMessage(frame)
	if err != nil {
		s.fail("server %d: a message between members does not decode: %v", p.srv.id, err)
	}
	if again := peer.AppendMessage(nil, m); !bytes.Equal(whole, again) {
		s.fail("server %d: a message between members is %x when it is encoded again, and was %x", p.srv.id, again, whole)
	}
	s.trace.add(frameLine(s.now, p.srv.id, "gets", m))
	switch {
	case p.node != nil:
		p.node.Deliver(m)
	case m.Kind == peer.KindJoinReply && m.To == p.srv.raftID && m.Join.OK:
		s.log(p.srv.id, "may join", 0, 0, 0)
		p.ioDone("start a node after it has joined", p.boot())
	}
}

func frameLine(now int64, server uint16, verb string, m *peer.Message) traceLine {
	l := traceLine{at: now, server: server, a: m.From, b: m.To}
	switch m.Kind {
	case peer.KindRaft:
		r := m.Raft
		l.c = r.GetTerm()
		l.note = r.GetType().String()
		l.format = verb + " %x→%x term %d %s"
		if t := r.GetType(); t == pb.MsgApp || t == pb.MsgAppResp || t == pb.MsgSnap {
			l.format = verb + " %x→%x index %d %s"
			l.c = r.GetIndex()
		}
	case peer.KindOrigin:
		l.c = m.Origin.First
		l.format, l.note = verb+" %x→%x from number %d %s", "commands"
		if m.Origin.Count == 0 {
			l.c, l.note = m.Origin.Ack, "gap"
		}
	default:
		l.format, l.note = verb+" %x→%x (%d) %s", m.Kind.String()
	}
	return l
}

// askToJoin is what a server does that is no member, now and then for as long as it lives, as the driver does it.
func (p *process) askToJoin() {
	p.at(p.srv.timeRand.between(50, 300)*millisecond, func() {
		defer p.askToJoin()
		if p.node != nil && p.node.Leadership().Leader != 0 && slices.ContainsFunc(p.node.State().Members(), func(m peer.Member) bool { return m.RaftID == p.srv.raftID }) {
			return
		}
		for _, v := range p.sim.servers {
			if p.up[v.raftID] {
				me := peer.Member{ServerID: p.srv.id, RaftID: p.srv.raftID, Observer: p.srv.observer, PeerAddr: "peer", ClientAddr: "client"}
				p.send(&peer.Message{Kind: peer.KindJoin, From: p.srv.raftID, To: v.raftID, Join: peer.Join{Member: me}})
			}
		}
	})
}
