package sim

import (
	"bytes"
	"fmt"

	"gopherwood/internal/tree"
	"gopherwood/internal/watch"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// zkClient is a program that uses the ensemble through a ZooKeeper library, and behaves as those do (ClientCnxn): it pings at a third of its session's timeout, gives
// a server up that is silent for two thirds, goes to another with the same session and the last zxid that it has seen, arms its watches again there, and sends
// nothing again: what was under way has an unknown outcome. When its session has expired it begins a new one.
type zkClient struct {
	sim     *simulation
	id      int
	number  int // of links so far
	link    *zkLink
	session *zkSession // nil: none yet
	last    int        // server
	stalled int64      // it reads nothing until then
	away    int64      // it connects to nobody until then
	known   []string   // paths that it has heard of
	ops     int
	idle    bool // it has had a reply to its last sync after the faults
	final   bool // the last sync is under way
	lock    locker
}

// zkSession is a session as its client knows it.
type zkSession struct {
	id          int64
	passwd      []byte
	timeoutMs   int32
	client      *zkClient
	lastZxid    int64             // of a reply
	armed       map[string]*armed // the library's watches
	established *zkLink           // the newest link on which the server has let it in
	closing     *zkLink           // on which it was asked to end
	over        bool              // the client knows that it has ended
}

// armed is what a library has to arm again: exist is a data watch on a node that was not there.
type armed struct {
	kinds watch.Kind
	exist bool
}

// zkLink is one connection of a client, with what is under way on it, and what its server has to know.
type zkLink struct {
	client      *zkClient
	session     *zkSession // nil until a new one is there
	line        *line
	server      uint16
	number      int    // of the client's
	tag         string // user that it proves to be: its writes are known by it
	in          []byte
	established bool
	over        bool
	openedAt    int64
	madeAt      int64 // established
	lastHeard   int64
	lastSent    int64
	xid         int32
	calls       []*zkCall // not yet answered, oldest first
	issued      []*zkCall // all writes
	applied     int       // of issued
	watches     map[string]watch.Kind
	cursor      int         // events of the chronicle that are dealt with
	missed      []happening // events of setWatches that came, until its reply
}

// zkCall is a request under way.
type zkCall struct {
	op     zk.OpCode
	xid    int32
	path   string
	left   bool // a watch
	number int  // of a write, among the link's
	ops    []tree.Op
	reads  []wire.Op      // of a multiRead
	kind   int32          // of watches
	rearm  []rearmed      // of a setWatches
	since  int64          // of a setWatches
	floor  int64          // zxid that was applied somewhere when it was sent
	then   func(*zkReply) // nil: nothing
	last   bool           // the client's last one
}

// rearmed is one watch in a setWatches.
type rearmed struct {
	path  string
	kind  watch.Kind
	exist bool
}

// zkReply is a reply that has passed the checks.
type zkReply struct {
	zxid     int64
	code     zk.Code
	path     string
	children []string
}

func newZKClient(s *simulation, id int) *zkClient {
	c := &zkClient{sim: s, id: id, last: s.zkRand.IntN(len(s.servers))}
	c.lock.client = c
	c.lock.on = s.zkRand.chance(s.sp.lockers)
	s.after(s.zkRand.between(0, 300*millisecond), c.tick)
	s.after(s.zkRand.between(0, 500*millisecond), c.act)
	return c
}

func (c *zkClient) log(format string, a, b, d uint64) {
	c.sim.trace.add(traceLine{at: c.sim.now, format: fmt.Sprintf("client %d ", c.id) + format, a: a, b: b, c: d})
}

// timeout is that of its session, or the one that it will ask for, microseconds.
func (c *zkClient) timeout() int64 {
	if c.session != nil && c.session.timeoutMs > 0 {
		return int64(c.session.timeoutMs) * millisecond
	}
	return int64(c.sim.sp.sessionMs) * millisecond
}

// tick is the library's timer.
func (c *zkClient) tick() {
	s := c.sim
	s.after(s.zkRand.between(s.sp.clientTickUs/2, s.sp.clientTickUs), c.tick)
	k := c.link
	switch {
	case k == nil:
		if s.now >= c.away && s.zkRand.chance(0.5) {
			c.connect()
		}
	case !k.established:
		if s.now-k.openedAt > max(50*millisecond, c.timeout()/int64(len(s.servers))) {
			c.drop("has not got through")
		}
	case c.stalled > s.now:
	case s.now-k.lastHeard > c.timeout()*2/3:
		c.drop("hears nothing")
	case s.now-k.lastSent > c.timeout()/3 && k.session.closing != k:
		k.request(&zkCall{op: zk.OpPing}, nil)
	}
	if k := c.link; k != nil && k.established && s.now < s.p.faultPhase {
		if k.session.closing != k {
			c.lock.step()
		}
		c.misfortune()
		k.underBounds()
	}
}

// drop gives a connection up.
func (c *zkClient) drop(why string) {
	k := c.link
	c.log(why+" and leaves server %d", uint64(k.server), 0, 0)
	c.sim.stats.Swarm.Drops++
	c.lost()
	k.line.hangUp()
}

// lost is the end of the present link, however it came.
func (c *zkClient) lost() {
	k := c.link
	c.link, c.final = nil, false
	k.over = true
	c.sim.stats.Swarm.Unknown += len(k.calls)
	k.calls = nil
	c.lock.lostLink()
}

// connect goes to a server, mostly not to the last one.
func (c *zkClient) connect() {
	s := c.sim
	n := len(s.servers)
	if n > 1 && s.zkRand.chance(0.9) {
		c.last = (c.last + 1 + s.zkRand.IntN(n-1)) % n
	}
	v := s.servers[c.last]
	p := v.proc
	if p == nil {
		s.stats.Swarm.Refused++
		return // refused, or no answer: it tries another after a while
	}
	sv := p.audit.inner.(*service)
	c.number++
	k := &zkLink{client: c, session: c.session, server: v.id, number: c.number, tag: fmt.Sprintf("c%dl%d", c.id, c.number), openedAt: s.now, lastHeard: s.now, lastSent: s.now,
		watches: map[string]watch.Kind{}}
	k.line = newLine(s, c, sv)
	c.link = k
	s.swarm.tags[k.tag] = k
	sv.lines = append(sv.lines, k.line)
	p.background(20+s.lineRand.about(k.line.delay), func() {
		if !k.line.closed {
			sv.accept(k.line)
		}
	})
	req := wire.ConnectRequest{TimeOut: s.sp.sessionMs, HasReadOnly: true, Passwd: make([]byte, 16)}
	if c.session != nil {
		req.SessionID, req.Passwd, req.LastZxidSeen = c.session.id, c.session.passwd, c.session.lastZxid
	}
	c.log("connects to server %d for session %x", uint64(v.id), uint64(req.SessionID), 0)
	b, mark := wire.BeginFrame(nil)
	b = req.Append(b)
	if err := wire.EndFrame(b, mark); err != nil {
		s.fail("a connect request: %v", err)
	}
	k.line.send(b)
	if s.sp.eager {
		k.prime()
	}
}

// prime sends what a library sends first.
func (k *zkLink) prime() {
	k.request(&zkCall{op: zk.OpAuth}, &wire.AuthPacket{Scheme: "digest", Auth: []byte(k.tag + ":x")})
	if k.session != nil && len(k.session.armed) > 0 {
		k.rearm()
	}
}

// rearm arms the session's watches on its new server.
func (k *zkLink) rearm() {
	call := &zkCall{op: zk.OpSetWatches2, since: k.session.lastZxid}
	req := &wire.SetWatches2{SetWatches: wire.SetWatches{RelativeZxid: call.since}}
	add := func(list *[]string, path string, kind watch.Kind, exist bool) {
		*list = append(*list, path)
		call.rearm = append(call.rearm, rearmed{path, kind, exist})
	}
	paths := sortedPaths(k.session.armed)
	for _, p := range paths {
		if a := k.session.armed[p]; a.kinds&watch.Data != 0 && !a.exist {
			add(&req.DataWatches, p, watch.Data, false)
		}
	}
	for _, p := range paths {
		if a := k.session.armed[p]; a.kinds&watch.Data != 0 && a.exist {
			add(&req.ExistWatches, p, watch.Data, true)
		}
	}
	for _, p := range paths {
		if k.session.armed[p].kinds&watch.Child != 0 {
			add(&req.ChildWatches, p, watch.Child, false)
		}
	}
	persistent := false
	for _, p := range paths {
		if k.session.armed[p].kinds&watch.Persistent != 0 {
			add(&req.PersistentWatches, p, watch.Persistent, false)
			persistent = true
		}
	}
	for _, p := range paths {
		if k.session.armed[p].kinds&watch.Recursive != 0 {
			add(&req.PersistentRecursiveWatches, p, watch.Recursive, false)
			persistent = true
		}
	}
	k.client.sim.stats.Swarm.Rearmed += len(call.rearm)
	if persistent {
		k.request(call, req)
		return
	}
	call.op = zk.OpSetWatches
	k.request(call, &req.SetWatches)
}

type wireRecord interface{ Append([]byte) []byte }

// request sends a request.
func (k *zkLink) request(call *zkCall, r wireRecord) {
	s := k.client.sim
	switch call.op {
	case zk.OpPing:
		call.xid = zk.XidPing
	case zk.OpAuth:
		call.xid = zk.XidAuth
	case zk.OpSetWatches, zk.OpSetWatches2:
		call.xid = zk.XidSetWatches
	default:
		k.xid++
		call.xid = k.xid
	}
	if call.ops != nil {
		call.number = len(k.issued)
		k.issued = append(k.issued, call)
	}
	call.floor = s.swarm.chronicle.tree.LastZxid()
	k.calls = append(k.calls, call)
	k.lastSent = s.now
	s.stats.Swarm.Requests++
	b, mark := wire.BeginFrame(nil)
	h := wire.RequestHeader{Xid: call.xid, Type: call.op}
	b = h.Append(b)
	if r != nil {
		b = r.Append(b)
	}
	if err := wire.EndFrame(b, mark); err != nil {
		s.fail("a request: %v", err)
	}
	k.line.send(b)
}

// readable is called when something has come on a line.
func (c *zkClient) readable(l *line) {
	k := c.link
	if k == nil || k.line != l {
		return
	}
	if c.stalled > c.sim.now {
		c.sim.after(c.stalled-c.sim.now, func() { c.readable(l) })
		return
	}
	if !l.down.reset || c.sim.lineRand.chance(0.5) {
		k.in = append(k.in, l.take()...)
		k.lastHeard = c.sim.now
		k.frames()
	}
	if c.link == k && l.down.ended {
		c.log("is hung up on by server %d", uint64(k.server), 0, 0)
		c.sim.stats.Swarm.HungUp++
		c.lost()
		k.line.hangUp()
	}
}

// frames handles what has come whole.
func (k *zkLink) frames() {
	for k.client.link == k {
		frame, size, err := wire.SplitFrame(k.in, maxReply)
		if err != nil {
			k.fail("gets a frame that is none: %v", err)
		}
		if frame == nil {
			return
		}
		frame = bytes.Clone(frame)
		k.in = k.in[size:]
		if k.established {
			k.reply(frame)
		} else {
			k.connected(frame)
		}
	}
}

func (k *zkLink) fail(format string, args ...any) {
	id := int64(0)
	if k.session != nil {
		id = k.session.id
	}
	k.client.sim.fail("client %d, session %x, connection %d to server %d: "+format, append([]any{k.client.id, id, k.number, k.server}, args...)...)
}

// connected takes the answer to the connect request.
func (k *zkLink) connected(frame []byte) {
	c, s := k.client, k.client.sim
	var r wire.ConnectResponse
	d := wire.NewDecoder(frame)
	r.Decode(&d)
	if d.Err() != nil || d.Remaining() > 0 {
		k.fail("gets a connect response that does not decode: %x", frame)
	}
	if r.SessionID == 0 {
		if k.session == nil {
			k.fail("gets no session")
		}
		if l := s.swarm.chronicle.sessions[k.session.id]; l == nil || l.closed == 0 {
			k.fail("is told that its session is over, and it is not")
		}
		c.log("learns that session %x is over", uint64(k.session.id), 0, 0)
		s.stats.Swarm.Expired++
		c.endSession()
		c.lost()
		k.line.hangUp()
		return
	}
	if k.session == nil {
		l := s.swarm.chronicle.sessions[r.SessionID]
		if l == nil || s.swarm.sessions[r.SessionID] != nil {
			k.fail("gets session %x, which is not a new one", r.SessionID)
		}
		k.session = &zkSession{id: r.SessionID, passwd: bytes.Clone(r.Passwd), client: c, armed: map[string]*armed{}}
		s.swarm.sessions[r.SessionID] = k.session
		c.session = k.session
		s.stats.Swarm.Sessions++
	} else {
		if r.SessionID != k.session.id || !bytes.Equal(r.Passwd, k.session.passwd) {
			k.fail("gets session %x instead of its own", r.SessionID)
		}
		s.stats.Swarm.Moves++
	}
	if r.TimeOut != s.sp.grantedMs() {
		k.fail("gets a timeout of %d ms", r.TimeOut)
	}
	c.log("has session %x at server %d", uint64(k.session.id), uint64(k.server), 0)
	k.session.timeoutMs = r.TimeOut
	k.established, k.madeAt, k.session.established = true, s.now, k
	k.cursor = s.swarm.chronicle.firstEvent(k.session.lastZxid)
	if !s.sp.eager {
		k.prime()
	}
}

// endSession forgets a session that has ended.
func (c *zkClient) endSession() {
	c.session.over = true
	c.session = nil
	c.lock.lostSession()
}
