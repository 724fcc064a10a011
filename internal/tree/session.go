package tree

import (
	"cmp"
	"slices"
	"strings"

	"gopherwood/internal/planted"
	"gopherwood/zk"
)

// session is one entry of the session table.
type session struct {
	id         int64
	owner      uint64 // server incarnation that has its connection
	passwd     [16]byte
	timeoutMs  int32
	head, tail uint32 // its ephemeral nodes, oldest first; of a free entry, head is the next free one
	nodes      uint32 // how many
}

// sessionTable finds sessions by id. The map is only looked up; order comes from the arena.
type sessionTable struct {
	arena[session]
	byID map[int64]uint32
	free uint32
}

func newSessionTable(c *cow) sessionTable {
	return sessionTable{arena: newArena[session](c), byID: make(map[int64]uint32)}
}

// check says whether the session may write through the server incarnation origin (SessionTrackerImpl.checkSession).
func (st *sessionTable) check(id int64, origin uint64) zk.Code {
	slot := st.byID[id]
	if slot == 0 {
		return zk.ErrSessionExpired
	}
	if st.at(slot).owner != origin && !planted.MovedSessionWrites.On() {
		return zk.ErrSessionMoved
	}
	return zk.OK
}

func (st *sessionTable) add(s session) uint32 {
	slot := st.free
	if slot != 0 {
		st.free = st.at(slot).head
	} else {
		slot = st.grow()
	}
	*st.edit(slot) = s
	st.byID[s.id] = slot
	return slot
}

func (st *sessionTable) drop(id int64) {
	slot := st.byID[id]
	delete(st.byID, id)
	*st.edit(slot) = session{head: st.free}
	st.free = slot
}

// own appends the ephemeral node id to the session's list.
func (st *sessionTable) own(t *Tree, sid int64, id uint32) {
	s := st.edit(st.byID[sid])
	r := t.nodes.edit(id)
	r.owner, r.child, r.children = sid, 0, s.tail
	if s.tail != 0 {
		t.nodes.edit(s.tail).child = id
	} else {
		s.head = id
	}
	s.tail = id
	s.nodes++
}

// disown takes the node out of its session's list; the node remembers its place, for reown.
func (st *sessionTable) disown(t *Tree, id uint32) {
	r := *t.nodes.at(id)
	s := st.edit(st.byID[r.owner])
	s.nodes--
	if r.children != 0 {
		t.nodes.edit(r.children).child = r.child
	} else {
		s.head = r.child
	}
	if r.child != 0 {
		t.nodes.edit(r.child).children = r.children
	} else {
		s.tail = r.children
	}
}

func (st *sessionTable) reown(t *Tree, id uint32) {
	r := *t.nodes.at(id)
	s := st.edit(st.byID[r.owner])
	s.nodes++
	if r.children != 0 {
		t.nodes.edit(r.children).child = id
	} else {
		s.head = id
	}
	if r.child != 0 {
		t.nodes.edit(r.child).children = id
	} else {
		s.tail = id
	}
}

func (t *Tree) createSession(x *txn, c *Command) {
	switch {
	case c.Session == 0:
		x.r.Code = zk.ErrBadArguments
	case t.sessions.byID[c.Session] != 0:
		x.r.Code = zk.ErrRuntimeInconsistency
	case len(t.sessions.byID) >= MaxSessions:
		x.r.Code = zk.ErrSystem
	}
	if x.r.Code != zk.OK {
		return
	}
	t.begin(x)
	s := session{id: c.Session, owner: x.env.Origin, passwd: c.Passwd, timeoutMs: c.Timeout}
	t.sessions.add(s)
	t.sum.digest += sessionDigest(&s)
	x.r.Session = SessionInfo{ID: s.id, TimeoutMs: s.timeoutMs, Owner: s.owner}
}

// attachSession gives a session to the server that sends the command. It takes no zxid.
func (t *Tree) attachSession(x *txn, c *Command) {
	slot := t.sessions.byID[c.Session]
	if slot == 0 {
		x.r.Code = zk.ErrSessionExpired
		return
	}
	if t.sessions.at(slot).passwd != c.Passwd {
		x.r.Code = zk.ErrAuthFailed
		return
	}
	s := t.sessions.edit(slot)
	previous := s.owner
	t.sum.digest -= sessionDigest(s)
	s.owner = x.env.Origin
	if c.Timeout > 0 {
		s.timeoutMs = c.Timeout
	}
	t.sum.digest += sessionDigest(s)
	x.r.Session = SessionInfo{ID: s.id, TimeoutMs: s.timeoutMs, Owner: s.owner, PreviousOwner: previous}
}

func (t *Tree) closeSession(x *txn, c *Command) {
	if x.r.Code = t.sessions.check(c.Session, x.env.Origin); x.r.Code != zk.OK {
		return
	}
	t.endSession(x, c.Session)
}

// expire ends the sessions that the leader of this term has given up; those that have ended meanwhile are passed over. The
// decision of a deposed leader is void.
func (t *Tree) expire(x *txn, c *Command) {
	if c.Term != x.env.Term && !planted.LateExpiry.On() {
		return
	}
	for _, id := range c.Sessions {
		if t.sessions.byID[id] != 0 {
			t.endSession(x, id)
		}
	}
}

// doomed is an ephemeral node of a session that ends: paths[start:end] of the result.
type doomed struct {
	id         uint32
	start, end int
	czxid      int64
}

// endSession removes a session and its ephemeral nodes under one zxid (DataTree.killSession). The nodes go in the order of
// their creation, those of one transaction by path: ZooKeeper has no order here, but all servers must have the same.
func (t *Tree) endSession(x *txn, sid int64) {
	t.begin(x)
	t.dropSession(x, sid)
}

func (t *Tree) dropSession(x *txn, sid int64) {
	s := *t.sessions.at(t.sessions.byID[sid])
	t.doomed = t.doomed[:0]
	for id := s.head; id != 0; {
		r := t.nodes.at(id)
		start := len(x.r.paths)
		x.r.paths = t.appendPath(x.r.paths, id)
		t.doomed = append(t.doomed, doomed{id: id, start: start, end: len(x.r.paths), czxid: r.czxid})
		id = r.child
	}
	if planted.EphemeralLeft.On() && s.owner>>48 != uint64(sid)>>56 {
		t.doomed = t.doomed[:0]
	}
	path := func(d doomed) string { return alias(x.r.paths[d.start:d.end]) }
	slices.SortFunc(t.doomed, func(a, b doomed) int {
		return cmp.Or(cmp.Compare(a.czxid, b.czxid), strings.Compare(path(a), path(b)))
	})
	if planted.MapOrder.On() && t.hash.tag("/")&1 != 0 {
		slices.Reverse(t.doomed)
	}
	for _, d := range t.doomed {
		p := path(d)
		parent, _, _ := split(p)
		t.remove(x, p, parent, t.hash.tag(p), d.id)
		t.commit()
	}
	if cap(t.doomed) > maxScratch {
		t.doomed = nil
	}
	t.sum.digest -= sessionDigest(&s)
	t.sessions.drop(sid)
	x.r.Closed = append(x.r.Closed, ClosedSession{ID: sid, Owner: s.owner})
}
