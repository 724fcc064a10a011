package sim

import (
	"fmt"
	"sort"
	"strings"

	front "gopherwood/internal/server"
	"gopherwood/internal/tree"
	"gopherwood/zk"
)

// swarm is all clients of the workload "server", and the chronicle that their checks go by.
type swarm struct {
	sim       *simulation
	chronicle *chronicle
	clients   []*zkClient
	tags      map[string]*zkLink // by user
	sessions  map[int64]*zkSession
	holder    holder // the last one
}

// serviceParams are what a seed draws for the workload "server" beyond params.
type serviceParams struct {
	config       front.Config
	clients      int
	sessionMs    int32
	clientTickUs int64
	actUs        int64 // mean time between a client's bursts
	burst        int   // operations in one
	lockers      float64
	eager        bool // clients send what comes first behind their connect request, without waiting
	delayUs      int64
	window       int   // bytes of a line, each way
	originWindow int   // bytes that a server's clients may have proposed
	wakeUs       int64 // until a goroutine runs that may
	loopUs       int64 // until the loop takes what was proposed
	trouble      float64
	weights      [troubles]int
}

// grantedMs is the timeout that servers give.
func (p *serviceParams) grantedMs() int32 {
	return min(max(p.sessionMs, p.config.MinSessionTimeoutMs), p.config.MaxSessionTimeoutMs)
}

// drawService draws them, and the sources of chance of what belongs to the workload.
func (s *simulation) drawService() {
	seed := s.script.seed
	s.sp = newServiceParams(newRandom(seed, streamService, 0), &s.o)
	s.taskRand, s.lineRand, s.zkRand = newRandom(seed, streamTask, 0), newRandom(seed, streamLine, 0), newRandom(seed, streamSwarm, 0)
}

func newServiceParams(r random, o *Options) serviceParams {
	p := serviceParams{
		clients: int(r.between(2, 10)), sessionMs: int32(r.between(400, 4000)), clientTickUs: r.between(20, 80) * millisecond,
		actUs: r.between(20, 300) * millisecond, burst: 1 << r.IntN(6), lockers: r.Float64() * 0.6, eager: r.chance(0.5),
		delayUs: r.between(50, 5000), window: 256 << r.IntN(9), originWindow: 512 << r.IntN(12),
		wakeUs: r.between(0, 200), loopUs: r.between(0, 300), trouble: r.Float64() * r.Float64() * 0.1,
	}
	c := &p.config
	c.TickMs = r.between(100, 500)
	c.MinSessionTimeoutMs = int32(2 * c.TickMs)
	c.MaxSessionTimeoutMs = 5000
	c.MaxOutstanding = 1 << r.IntN(9)
	c.MaxOutBytes = 4 << 20
	c.Unobserved = r.chance(0.5)
	c.LinearizableReads = r.chance(0.15)
	if r.chance(0.3) {
		c.Throttle.MaxRequests = 1 << r.IntN(6)
	}
	if r.chance(0.2) {
		c.Throttle.GlobalOutstanding = 1 << r.IntN(8)
	}
	c.ReapInterval = 200e6
	for i := range p.weights {
		if r.chance(0.7) {
			p.weights[i] = int(r.between(1, 10))
		}
	}
	if o.Profile == Calm {
		p.trouble = 0
	}
	return p
}

// String tells what was drawn.
func (p *serviceParams) String() string {
	return fmt.Sprintf("%d clients with %d ms, burst %d each %d ms, %.2f lockers, eager %v, client delay %d µs, window %d B, origin window %d B, wake %d µs, loop %d µs, trouble %.3f %v; "+
		"tick %d ms, %d outstanding, %d requests at a time, %d in all, observed %v, linearizable reads %v",
		p.clients, p.sessionMs, p.burst, p.actUs/millisecond, p.lockers, p.eager, p.delayUs, p.window, p.originWindow, p.wakeUs, p.loopUs, p.trouble, p.weights,
		p.config.TickMs, p.config.MaxOutstanding, p.config.Throttle.MaxRequests, p.config.Throttle.GlobalOutstanding, !p.config.Unobserved, p.config.LinearizableReads)
}

// SwarmStats count what the clients of the workload "server" went through.
type SwarmStats struct {
	Requests, Replies, Writes, Reads, Syncs, Events, Sessions, Moves, Expired, Drops, HungUp, Unknown, Rearmed, Missed, Locks, Refused, Backpressure, Proposers int // Refused: connections
	Troubles                                                                                                                                                    [troubles]int
}

func (s *SwarmStats) fields() []statField {
	f := []statField{
		{"requests", &s.Requests}, {"replies", &s.Replies}, {"writes", &s.Writes}, {"reads", &s.Reads}, {"syncs", &s.Syncs}, {"events", &s.Events}, {"sessions", &s.Sessions},
		{"moves", &s.Moves}, {"expired", &s.Expired}, {"drops", &s.Drops}, {"hung up", &s.HungUp}, {"unknown outcomes", &s.Unknown}, {"rearmed", &s.Rearmed},
		{"missed events", &s.Missed}, {"locks", &s.Locks}, {"connections refused", &s.Refused},
		{"full lines", &s.Backpressure}, {"full origins", &s.Proposers},
	}
	for i := range s.Troubles {
		f = append(f, statField{troubleNames[i], &s.Troubles[i]})
	}
	return f
}

// Add adds up.
func (s *SwarmStats) Add(o *SwarmStats) {
	a, b := s.fields(), o.fields()
	for i := range a {
		*a[i].n += *b[i].n
	}
}

// String lists the figures.
func (s *SwarmStats) String() string {
	var b strings.Builder
	for i, f := range s.fields() {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d %s", *f.n, f.name)
	}
	return b.String()
}

func newSwarm(s *simulation) *swarm {
	w := &swarm{sim: s, tags: map[string]*zkLink{}, sessions: map[int64]*zkSession{}}
	s.swarm = w
	w.chronicle = newChronicle(s)
	for i := range s.sp.clients {
		w.clients = append(w.clients, newZKClient(s, i+1))
	}
	return w
}

// applied holds a write that is applied for the first time against what its client has sent on that connection: the next write, unchanged, and nothing that an
// earlier connection of the session sent once the client knows that a later one has the session.
func (w *swarm) applied(cmd *tree.Command, done *written) {
	if cmd.Kind == tree.KindCloseSession {
		if se := w.sessions[cmd.Session]; se != nil {
			done.link, done.number = se.closing, -1
		}
		return
	}
	var k *zkLink
	for _, id := range cmd.Auth {
		if user, _, ok := strings.Cut(id.ID, ":"); ok && id.Scheme == "digest" {
			k = w.tags[user]
		}
	}
	if k == nil || k.session == nil || k.session.id != cmd.Session {
		w.sim.fail("a write of session %x is applied that no client has sent: %v", cmd.Session, cmd.Ops)
	}
	if k.applied >= len(k.issued) {
		k.fail("has sent %d writes, and another is applied: %s", len(k.issued), opsText(cmd.Ops))
	}
	call := k.issued[k.applied]
	if !sameOps(call.ops, cmd.Ops) {
		k.fail("has sent as write %d %s, and applied is %s", k.applied, opsText(call.ops), opsText(cmd.Ops))
	}
	done.link, done.number = k, k.applied
	k.applied++
	if e := k.session.established; e != nil && e.number > k.number && done.code != zk.ErrSessionMoved && done.code != zk.ErrSessionExpired {
		k.fail("has gone on with connection %d, and only after that its write %d of this one is applied: %s", e.number, done.number, opsText(cmd.Ops))
	}
}

func sameOps(a, b []tree.Op) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := &a[i], &b[i]
		if x.Code != y.Code || x.Path != y.Path || string(x.Data) != string(y.Data) || x.Mode != y.Mode || x.TTL != y.TTL || x.Version != y.Version {
			return false
		}
	}
	return true
}

func opsText(ops []tree.Op) string {
	var b strings.Builder
	for i := range ops {
		o := &ops[i]
		fmt.Fprintf(&b, "{%d %s %q mode %d version %d}", o.Code, o.Path, o.Data, o.Mode, o.Version)
	}
	return b.String()
}

// sessionEnded is called when a session's end is applied for the first time.
func (w *swarm) sessionEnded(id int64, l *life) {
	se := w.sessions[id]
	w.sim.log(0, "session %x ends at zxid %x", uint64(id), uint64(l.closed), 0)
	if !l.expired {
		if se == nil || se.closing == nil {
			w.sim.fail("session %x is closed, and its client has not asked for it", id)
		}
		return
	}
	if se == nil {
		return
	}
	k := se.client.link
	if k == nil || k.session != se || !k.established || !w.sim.peaceful() {
		return
	}
	long := 2 * se.client.timeout()
	if now := w.sim.now; now-k.madeAt > long && now-w.sim.troubleAt > long && now-k.lastHeard < se.client.timeout()/2 {
		k.fail("loses its session by expiry, while all is well and it is heard")
	}
}

// unrest says what is not yet as it has to be after the faults.
func (w *swarm) unrest() string {
	for _, c := range w.clients {
		switch k := c.link; {
		case k == nil || !k.established:
			return fmt.Sprintf("client %d has no connection", c.id)
		case !c.idle:
			return fmt.Sprintf("client %d waits for %d replies of server %d", c.id, len(k.calls), k.server)
		}
	}
	return ""
}

func sortedPaths(m map[string]*armed) []string {
	paths := make([]string, 0, len(m))
	for p := range m {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	return paths
}
