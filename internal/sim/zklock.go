package sim

import (
	"strings"

	"gopherwood/internal/tree"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

const lockPath = "/lock"

// locker takes and gives back a lock, again and again, by ZooKeeper's recipe: an ephemeral sequential node; the lowest has the lock; the others watch the one before
// theirs. After a lost connection it looks among its ephemeral nodes for the one that it may have made.
//
// At the zxid at which one sees that it has the lock, the node that had it last must be gone.
type locker struct {
	client *zkClient
	on     bool
	busy   bool   // a request is under way whose reply decides
	node   string // "" none
	lost   bool   // it may have made a node and not know
	waits  string // for the end of this one
	has    bool
	until  int64 // gives it back then
}

// holder is a node that had the lock.
type holder struct {
	path  string
	czxid int64
}

// step does what is next.
func (l *locker) step() {
	if !l.on || l.busy {
		return
	}
	k := l.client.link
	s := l.client.sim
	switch {
	case l.lost:
		l.busy = true
		k.request(&zkCall{op: zk.OpGetEphemerals, path: "/", then: l.found}, &wire.GetEphemeralsRequest{PrefixPath: "/"})
	case l.node == "":
		l.busy, l.lost = true, true
		k.single(&tree.Op{Code: zk.OpCreate, Path: lockPath + "/l-", Mode: zk.ModeEphemeralSequential, ACL: zk.OpenACL(), Data: l.client.something()}, l.made)
	case l.has:
		if s.now >= l.until {
			l.busy, l.has = true, false
			k.single(&tree.Op{Code: zk.OpDelete, Path: l.node, Version: -1}, l.given)
		}
	case l.waits == "":
		l.look()
	}
}

// look asks who is in front.
func (l *locker) look() {
	l.busy = true
	l.client.link.request(&zkCall{op: zk.OpGetChildren, path: lockPath, then: l.seen}, &wire.GetChildrenRequest{Path: lockPath})
}

// made takes the outcome of creating its node. The parent may be missing: somebody makes it some time.
func (l *locker) made(r *zkReply) {
	l.busy, l.lost = false, false
	if r.code == zk.OK {
		l.node = r.path
		l.look()
		return
	}
	l.client.link.single(&tree.Op{Code: zk.OpCreate, Path: lockPath, ACL: zk.OpenACL(), Data: l.client.something()}, nil)
}

// found looks for a node of its own that it does not know of.
func (l *locker) found(r *zkReply) {
	l.busy, l.lost, l.node, l.has, l.waits = false, false, "", false, ""
	for _, p := range r.children {
		if strings.HasPrefix(p, lockPath+"/l-") {
			l.node = p
		}
	}
}

// seen decides by the children. Others may have deleted its node, or the whole: everything happens here.
func (l *locker) seen(r *zkReply) {
	l.busy = false
	mine := zk.Base(l.node)
	before, first, there := "", "", false
	for _, name := range r.children { // sorted
		if !strings.HasPrefix(name, "l-") {
			continue
		}
		if first == "" {
			first = name
		}
		if name == mine {
			there = true
			break
		}
		before = name
	}
	switch {
	case !there:
		l.node = ""
	case first == mine:
		l.taken(r.zxid)
	default:
		l.waits = zk.Join(lockPath, before)
		l.busy = true
		l.client.link.request(&zkCall{op: zk.OpExists, path: l.waits, left: true, then: func(r *zkReply) {
			l.busy = false
			if r.code != zk.OK {
				l.waits = ""
			}
		}}, &wire.ExistsRequest{Path: l.waits, Watch: true})
	}
}

// taken is having the lock as of zxid.
func (l *locker) taken(zxid int64) {
	s := l.client.sim
	l.has, l.waits, l.until = true, "", s.now+s.zkRand.about(300*millisecond)
	s.stats.Swarm.Locks++
	h := s.swarm.chronicle
	last := s.swarm.holder
	if v := h.at(last.path, zxid); last.path != l.node && v.exists && v.stat.Czxid == last.czxid { // a name may come again, in another lock directory
		l.client.link.fail("has the lock by %s at zxid %x, and %s had it and is still there", l.node, zxid, last.path)
	}
	s.swarm.holder = holder{l.node, h.at(l.node, zxid).stat.Czxid}
}

func (l *locker) given(*zkReply) { l.busy, l.node = false, "" }

// event is told of every event.
func (l *locker) event(path string) {
	if path == l.waits {
		l.waits = ""
	}
}

// lostLink: what was under way is unknown.
func (l *locker) lostLink() {
	if l.busy {
		l.lost = true
	}
	l.busy, l.waits = false, ""
}

func (l *locker) lostSession() {
	*l = locker{client: l.client, on: l.on}
}
