package history

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"gopherwood/zk"
)

// server is a correct ensemble of a few lines, with switches that make it wrong. It is the source of the histories that the
// checks are tried on.
type server struct {
	*rand.Rand
	bug string

	zxid     int64
	nodes    map[string]node
	past     []map[string]node // by zxid
	sequence int
	events   []Frame
	next     int64 // session
	data     int
	clock    int64
	done     int // planted
}

// desk is one client at work. Its operation is asked for, executed and answered at different times.
type desk struct {
	Client
	session  int64
	seen     int64 // zxid
	waiting  bool  // asked for
	executed bool
	late     *Op // without an answer, perhaps still to be executed
}

const (
	genClients = 5
	genSteps   = 900
)

// generate makes a history of a seed.
func generate(seed uint64, bug string) (*History, int) {
	s := &server{Rand: rand.New(rand.NewPCG(seed, 7)), bug: bug, nodes: map[string]node{}, past: []map[string]node{{}}}
	desks := make([]*desk, genClients)
	for i := range desks {
		s.next++
		desks[i] = &desk{session: s.next}
	}
	for range genSteps {
		s.clock++
		s.step(desks[s.IntN(genClients)])
	}
	h := &History{Watchers: []Watcher{s.watcher()}}
	for _, d := range desks {
		if d.waiting {
			d.op().Return = Never
		}
		h.Clients = append(h.Clients, d.Client)
	}
	return h, s.done
}

func (d *desk) op() *Op { return &d.Ops[len(d.Ops)-1] }

// plant is true when a bug is to show itself.
func (s *server) plant(bug string, chance float64) bool {
	if s.bug != bug || s.Float64() > chance {
		return false
	}
	s.done++
	return true
}

func (s *server) step(d *desk) {
	switch {
	case !d.waiting && s.IntN(40) == 0:
		s.end(d)
	case !d.waiting:
		s.ask(d)
	case s.IntN(15) == 0: // the connection breaks
		d.waiting = false
		if o := d.op(); !d.executed && o.Kind != Read {
			d.late = &Op{}
			*d.late = *o
		}
		d.op().Return = Never
		o := d.op()
		o.Zxid, o.Code, o.Stat, o.ReadData, o.Made = 0, zk.OK, zk.Stat{}, "", ""
	case !d.executed:
		s.execute(d)
	default:
		d.waiting = false
		d.op().Return = s.clock
	}
}

// end is that of a session, by the server or by its client.
func (s *server) end(d *desk) {
	d.late = nil
	s.advance()
	for _, p := range slices.Sorted(maps.Keys(s.nodes)) {
		if n := s.nodes[p]; n.owner == d.session && !s.plant("ephemeral left behind", 1) {
			s.change(p, node{}, zk.EventNodeDeleted)
		}
	}
	o := Op{Session: d.session, Kind: Expired, Call: s.clock, Return: s.clock}
	if s.IntN(2) == 0 {
		o.Kind, o.Zxid = Close, s.zxid
		s.clock++
		o.Return = s.clock
	}
	d.Ops = append(d.Ops, o)
	s.next++
	d.session, d.seen = s.next, s.zxid
}

func (s *server) ask(d *desk) {
	s.data++
	o := Op{Session: d.session, Call: s.clock, Version: -1, Path: fmt.Sprintf("/f/p%d", s.IntN(4)), Data: fmt.Sprint(s.data)}
	switch s.IntN(10) {
	case 0, 1:
		o.Kind = Create
	case 2:
		o.Kind, o.Mode, o.Path = Create, zk.ModeEphemeral, fmt.Sprintf("/f/lock%d", s.IntN(2))
	case 3:
		o.Kind, o.Mode, o.Path = Create, zk.ModePersistentSequential, "/q/n-"
	case 4, 5:
		o.Kind = Set
		if s.IntN(2) == 0 {
			o.Version = s.nodes[o.Path].version
		}
	case 6:
		o.Kind = Delete
		if s.IntN(2) == 0 {
			o.Path = fmt.Sprintf("/f/lock%d", s.IntN(2))
		}
	default:
		o.Kind, o.Synced = Read, s.IntN(2) == 0
		if s.IntN(3) == 0 {
			o.Path = fmt.Sprintf("/f/lock%d", s.IntN(2))
		}
	}
	if o.Kind == Read || o.Kind == Delete {
		o.Data = ""
	}
	d.Ops = append(d.Ops, o)
	d.waiting, d.executed = true, false
}

// execute does what a client asks for. What it asked for before and got no answer to has happened by now, or never does.
func (s *server) execute(d *desk) {
	d.executed = true
	o := d.op()
	if d.late != nil {
		late := d.late
		d.late = nil
		switch {
		case s.plant("write after its connection", 1):
			defer s.write(late)
		case s.IntN(2) == 0:
			s.write(late)
			d.seen = s.zxid // a server that takes the session up again has come this far
		}
	}
	if o.Kind != Read {
		s.write(o)
		d.seen = max(d.seen, o.Zxid)
		return
	}
	at := s.zxid
	if !o.Synced || s.plant("stale read after sync", 0.3) {
		at -= s.Int64N(1 + min(6, at-d.seen))
	}
	if s.plant("session goes back", 0.3) {
		at = max(0, d.seen-3)
	}
	n := s.past[at][o.Path]
	o.Zxid, o.Code, o.ReadData = at, zk.ErrNoNode, ""
	if n.exists {
		o.Code, o.ReadData, o.Stat = zk.OK, n.data, n.stat()
	}
	if s.plant("torn read", 0.1) && n.exists {
		o.Stat.Version--
	}
	d.seen = max(d.seen, at)
}

func (n node) stat() zk.Stat {
	return zk.Stat{Czxid: n.czxid, Mzxid: n.mzxid, Version: n.version, EphemeralOwner: n.owner}
}

func (s *server) advance() {
	if s.plant("zxid twice", 0.05) && s.zxid > 0 {
		return
	}
	s.zxid++
	s.past = append(s.past, maps.Clone(s.nodes))
}

func (s *server) change(path string, n node, e zk.EventType) {
	if s.plant("change skipped", 0.05) {
		return
	}
	s.nodes[path] = n
	if !n.exists {
		delete(s.nodes, path)
	}
	s.past[s.zxid] = maps.Clone(s.nodes)
	s.events = append(s.events, Frame{s.zxid, e, path})
}

// write executes a write.
func (s *server) write(o *Op) {
	s.advance()
	o.Zxid = s.zxid
	if o.Mode.IsSequential() {
		if !s.plant("sequence reused", 0.1) {
			s.sequence++
		}
		o.Made = fmt.Sprintf("%s%010d", o.Path, s.sequence)
		return
	}
	was := s.nodes[o.Path]
	next, ok := o.apply(was, s.zxid)
	if o.Kind == Create && was.owner != 0 && was.owner != o.Session && s.plant("two holders", 0.3) {
		next, ok = node{exists: true, data: o.Data, czxid: s.zxid, mzxid: s.zxid, owner: o.Session}, true
	}
	switch {
	case ok:
		o.Stat, o.Made = next.stat(), o.Path
		s.change(o.Path, next, eventOf(o.Kind))
		if o.Kind == Set && s.plant("applied twice", 0.05) {
			s.advance()
			next.version, next.mzxid = next.version+1, s.zxid
			s.change(o.Path, next, zk.EventNodeDataChanged)
		}
	case o.Kind == Create:
		o.Code = zk.ErrNodeExists
	case !was.exists:
		o.Code = zk.ErrNoNode
	default:
		o.Code = zk.ErrBadVersion
	}
	if was.owner != 0 && s.plant("ephemeral gone early", 0.3) {
		s.change(o.Path, node{}, zk.EventNodeDeleted)
	}
}

// watcher makes a connection with a watch out of the events.
func (s *server) watcher() Watcher {
	w := Watcher{Prefix: "/f", Armed: s.zxid / 8}
	var held *Frame
	for i, e := range s.events {
		if e.Zxid <= w.Armed || s.plant("event lost", 0.05) {
			continue
		}
		if held == nil && s.plant("event late", 0.1) {
			held = &e
			continue
		}
		w.Frames = append(w.Frames, e)
		if s.plant("event twice", 0.05) {
			w.Frames = append(w.Frames, e)
		}
		if whole := i+1 == len(s.events) || s.events[i+1].Zxid > e.Zxid; whole && s.IntN(3) == 0 {
			w.Frames = append(w.Frames, Frame{Zxid: e.Zxid})
		}
		if held != nil {
			w.Frames = append(w.Frames, *held)
			held = nil
		}
	}
	return w
}
