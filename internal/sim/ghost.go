package sim

import (
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/node"
)

// ghost is what the simulator knows and no server does: everything that was ever submitted and applied anywhere. The checks
// compare what a server does with it.
type ghost struct {
	sim      *simulation
	commands []applied             // in the order in which every replica must apply them
	chains   []uint64              // chains[k]: hash of the first k commands
	streams  map[uint64]*stream    // by origin
	newest   map[uint16]uint64     // server → its newest origin that has a command applied
	votes    map[vote]uint64       // whom for
	leaders  map[uint64]leadership // by term
	states   map[uint64]stateAt    // by index
	mirrors  map[uint64]*mirror    // by raft id: what is durable, also of disks that are gone
	configs  []config              // ascending by index
	maxIndex uint64                // the highest index that was applied anywhere
}

// applied is one command as the first replica applied it.
type applied struct {
	index, term, origin, seq, data, result uint64 // data and result are hashes
	timeMs                                 int64
	hasResult                              bool
}

// stream is one origin's commands as they were submitted.
type stream struct {
	hashes  []uint64
	applied uint64 // commands of it in the ghost's log
}

type stateAt struct {
	term          uint64
	commands      int
	chain, digest uint64
}

// leadership is who led a term, and, when it has said so itself, in which of its lives: the origin of the process.
type leadership struct{ raftID, origin uint64 }

type config struct {
	index uint64
	conf  *pb.ConfState
}

func newGhost(s *simulation) *ghost {
	return &ghost{
		sim: s, chains: []uint64{0}, streams: map[uint64]*stream{}, newest: map[uint16]uint64{}, leaders: map[uint64]leadership{}, votes: map[vote]uint64{},
		states: map[uint64]stateAt{}, mirrors: map[uint64]*mirror{},
	}
}

// submitted records a command on its way into a server's stream and returns its number.
func (g *ghost) submitted(origin, hash uint64) uint64 {
	st := g.streams[origin]
	if st == nil {
		st = &stream{}
		g.streams[origin] = st
	}
	st.hashes = append(st.hashes, hash)
	return uint64(len(st.hashes))
}

// apply checks that the k-th command that a replica applies is the k-th command, and if it is the first replica to get there, that the
// command is one that may come now: the next one of its stream, unchanged, at a time that does not go back.
func (g *ghost) apply(server uint16, k int, c *node.Command, seq, hash uint64) {
	now := applied{index: c.Index, term: c.Term, origin: c.Origin, seq: seq, data: hash, timeMs: c.TimeMs}
	if k > len(g.commands) {
		g.sim.fail("server %d applies command %d, and nobody has applied %d", server, k, len(g.commands))
	}
	if k < len(g.commands) {
		was := g.commands[k]
		was.result, was.hasResult = 0, false
		if was != now {
			g.sim.fail("server %d applies as command %d something else than the first replica did: %+v, then %+v", server, k, was, now)
		}
		return
	}
	st := g.streams[c.Origin]
	switch {
	case st == nil || seq == 0 || seq > uint64(len(st.hashes)):
		g.sim.fail("server %d applies command %d of origin %x, which was never submitted", server, seq, c.Origin)
	case st.hashes[seq-1] != hash:
		g.sim.fail("server %d applies command %d of origin %x with other bytes than were submitted", server, seq, c.Origin)
	case seq <= st.applied:
		g.sim.fail("server %d applies command %d of origin %x a second time, in entry %d", server, seq, c.Origin, c.Index)
	case seq != st.applied+1:
		g.sim.fail("server %d applies command %d of origin %x after %d, in entry %d", server, seq, c.Origin, st.applied, c.Index)
	case g.newest[node.ServerOf(c.Origin)] > c.Origin:
		g.sim.fail("server %d applies a command of origin %x after one of its later start %x", server, c.Origin, g.newest[node.ServerOf(c.Origin)])
	}
	if k > 0 && (c.TimeMs < g.commands[k-1].timeMs || c.Index < g.commands[k-1].index || c.Term < g.commands[k-1].term) {
		g.sim.fail("server %d applies a command that goes back: %+v, then %+v", server, g.commands[k-1], now)
	}
	st.applied = seq
	g.newest[node.ServerOf(c.Origin)] = c.Origin
	g.commands = append(g.commands, now)
	g.chains = append(g.chains, chain(g.chains[k], &now))
	g.sim.stats.Commands++
}

// chain extends the hash of a sequence of commands.
func chain(h uint64, a *applied) uint64 {
	for _, v := range [...]uint64{a.index, a.term, a.origin, a.seq, a.data, uint64(a.timeMs)} {
		h = mix(h, v)
	}
	return h
}

// mix is a cheap hash of two numbers (the finalizer of splitmix64).
func mix(h, v uint64) uint64 {
	h ^= v + 0x9e3779b97f4a7c15 + h<<6 + h>>2
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// result compares the results of the k-th command on different replicas.
func (g *ghost) result(server uint16, k int, result uint64) {
	c := &g.commands[k]
	if !c.hasResult {
		c.result, c.hasResult = result, true
	} else if c.result != result {
		g.sim.fail("command %d (origin %x number %d, entry %d) has another result on server %d than on the first replica", k, c.origin, c.seq, c.index, server)
	}
}

// state compares the states of replicas that have applied the same entries.
func (g *ghost) state(server uint16, index uint64, now stateAt) {
	was, known := g.states[index]
	if !known {
		g.states[index] = now
		return
	}
	if was != now {
		g.sim.fail("the state of server %d at index %d is not that of the first replica: %+v, then %+v", server, index, was, now)
	}
}

// leader checks that a term has one leader, and that one in one life only: after a restart it would number other entries alike.
func (g *ghost) leader(p *process, l node.Leadership) {
	was, known := g.leaders[l.Term]
	switch {
	case !known:
		g.leaders[l.Term] = leadership{raftID: l.Leader}
		g.sim.stats.Leaders++
		g.sim.troubleAt = g.sim.now
	case was.raftID != l.Leader:
		g.sim.fail("term %d has two leaders: %x, and %x says server %d", l.Term, was.raftID, l.Leader, p.srv.id)
	}
	if l.Leader != p.raftID {
		return
	}
	now := g.leaders[l.Term]
	if now.origin != 0 && now.origin != p.origin {
		g.sim.fail("server %d leads term %d a second time, after a restart", p.srv.id, l.Term)
	}
	now.origin = p.origin
	g.leaders[l.Term] = now
}

// configuration notes the configuration after an applied index.
func (g *ghost) configuration(index uint64, conf *pb.ConfState) {
	if n := len(g.configs); n > 0 && (g.configs[n-1].index >= index || sameConf(g.configs[n-1].conf, conf)) {
		return
	}
	for _, id := range conf.GetVoters() {
		if n := len(g.configs); n > 0 && !slices.Contains(g.configs[n-1].conf.GetVoters(), id) {
			g.sim.stats.Promotions++
		}
	}
	g.configs = append(g.configs, config{index, conf})
	g.sim.log(0, "configuration at %d: %d voters, %d learners"+confText(conf), index, uint64(len(conf.GetVoters())), uint64(len(conf.GetLearners())))
}

func confText(c *pb.ConfState) string {
	if len(c.GetVotersOutgoing()) > 0 {
		return ", joint"
	}
	return ""
}

func sameConf(a, b *pb.ConfState) bool {
	return slices.Equal(a.GetVoters(), b.GetVoters()) && slices.Equal(a.GetLearners(), b.GetLearners()) &&
		slices.Equal(a.GetVotersOutgoing(), b.GetVotersOutgoing()) && slices.Equal(a.GetLearnersNext(), b.GetLearnersNext())
}

// conf is the newest configuration; nil before the first is known.
func (g *ghost) conf() *pb.ConfState {
	if n := len(g.configs); n > 0 {
		return g.configs[n-1].conf
	}
	return nil
}

// acknowledged checks that an entry whose command was just acknowledged is durable on a majority of the voters. The leader that
// committed it may not yet have known the newest configuration before it, so the one before counts too.
func (g *ghost) acknowledged(index, term uint64) {
	if g.sim.o.Blind {
		return
	}
	n := len(g.configs)
	for n > 0 && g.configs[n-1].index >= index {
		n--
	}
	for i := max(0, n-2); i < len(g.configs); i++ {
		if c := g.configs[i].conf; g.majority(c.GetVoters(), index, term) && g.majority(c.GetVotersOutgoing(), index, term) {
			return
		}
	}
	text := ""
	for _, c := range g.configs[max(0, n-2):] {
		text += fmt.Sprintf("; of the configuration at %d %d of %x and %d of %x", c.index, g.holders(c.conf.GetVoters(), index, term), c.conf.GetVoters(),
			g.holders(c.conf.GetVotersOutgoing(), index, term), c.conf.GetVotersOutgoing())
	}
	g.sim.fail("entry %d of term %d was acknowledged and is durable on less than a majority%s", index, term, text)
}

func (g *ghost) holders(voters []uint64, index, term uint64) int {
	n := 0
	for _, id := range voters {
		if m := g.mirrors[id]; m != nil && m.durable.has(index, term) {
			n++
		}
	}
	return n
}

func (g *ghost) majority(voters []uint64, index, term uint64) bool {
	return len(voters) == 0 || g.holders(voters, index, term) > len(voters)/2
}
