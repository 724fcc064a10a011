package sim

import (
	"fmt"
	"strings"

	"gopherwood/internal/tree"
	"gopherwood/internal/watch"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// What the clients ask for: every operation of the protocol on a small tree, in bursts, so that a session's reads and writes are under way together.

var zkNames = [...]string{"/a", "/b", "/c", "/a/x", "/a/y", "/a/z", "/b/x", "/b/y", "/a/x/p", "/a/x/q", "/c/x", "/c/y/z", "/c/y", "/lock"}

// act is the program: now and then it sends some requests, without waiting for the replies of those before.
func (c *zkClient) act() {
	s := c.sim
	s.after(s.zkRand.about(s.sp.actUs), c.act)
	k := c.link
	if k == nil || !k.established || k.session.closing == k {
		return
	}
	if s.quiet() {
		c.finish()
		return
	}
	if len(k.calls) > min(maxCalls, 4*s.sp.burst) {
		return
	}
	if s.zkRand.chance(0.003) {
		k.session.closing = k
		k.request(&zkCall{op: zk.OpCloseSession, number: -1}, nil)
		return
	}
	c.lock.step()
	for range 1 + s.zkRand.IntN(s.sp.burst) {
		c.operation()
	}
}

// finish is the last thing that a client does: more writes than its server takes at a time, a sync and a read. When it has the replies, it has got through.
func (c *zkClient) finish() {
	if c.idle || c.final {
		return
	}
	c.final = true
	k := c.link
	for range min(2*c.sim.sp.config.MaxOutstanding, maxCalls/2) {
		k.single(&tree.Op{Code: zk.OpSetData, Path: "/a", Data: c.something(), Version: -1}, nil)
	}
	k.request(&zkCall{op: zk.OpSync, path: "/"}, &wire.SyncRequest{Path: "/"})
	k.request(&zkCall{op: zk.OpGetChildren, path: "/", last: true}, &wire.GetChildrenRequest{Path: "/"})
}

// aPath is one that there may be.
func (c *zkClient) aPath() string {
	r := c.sim.zkRand
	if len(c.known) > 0 && r.chance(0.3) {
		return c.known[r.IntN(len(c.known))]
	}
	return zkNames[r.IntN(len(zkNames))]
}

// learn keeps a few of the paths that the client has heard of.
func (c *zkClient) learn(path string) {
	if path == "" || path == "/zookeeper" || strings.HasPrefix(path, lockPath) { // the lock is its recipe's
		return
	}
	if len(c.known) < 16 {
		c.known = append(c.known, path)
	} else {
		c.known[c.sim.zkRand.IntN(len(c.known))] = path
	}
}

// something is data that nobody else writes.
func (c *zkClient) something() []byte {
	c.ops++
	r := c.sim.zkRand
	b := fmt.Appendf(nil, "%d.%d", c.id, c.ops)
	if r.chance(0.05) {
		b = append(b, make([]byte, r.IntN(3000))...)
	}
	return b
}

// operation sends one request.
func (c *zkClient) operation() {
	r := c.sim.zkRand
	switch n := r.IntN(100); {
	case n < 40:
		c.write()
	case n < 90:
		c.read()
	case n < 95:
		c.watchOp()
	case n < 97: // again, as some programs do
		for range 1 + r.IntN(c.sim.sp.burst) {
			c.link.request(&zkCall{op: zk.OpAuth}, &wire.AuthPacket{Scheme: "digest", Auth: []byte(c.link.tag + ":x")})
		}
	default:
		c.link.request(&zkCall{op: zk.OpSync, path: "/a"}, &wire.SyncRequest{Path: "/a"})
	}
}

// op is a random write.
func (c *zkClient) op(member bool) tree.Op {
	r := c.sim.zkRand
	o := tree.Op{Path: c.aPath(), Version: -1}
	switch n := r.IntN(20); {
	case n < 8:
		o.Code, o.Mode = zk.OpCreate, zk.CreateMode(r.IntN(4))
		if r.chance(0.5) {
			o.Code = zk.OpCreate2
		}
	case n < 9:
		o.Code, o.Mode = zk.OpCreateContainer, zk.ModeContainer
	case n < 10:
		o.Code, o.Mode, o.TTL = zk.OpCreateTTL, zk.ModeTTL, r.between(100, 3000)
	case n < 14:
		o.Code, o.Data = zk.OpSetData, c.something()
		o.Version = c.aVersion()
	case n < 18 || member:
		o.Code = zk.OpDelete
		if r.chance(0.2) {
			o.Version = c.aVersion()
		}
		if member && r.chance(0.3) {
			o.Code = zk.OpCheck
		}
	default:
		o.Code, o.ACL = zk.OpSetACL, zk.OpenACL()
	}
	switch o.Code {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		o.ACL, o.Data, o.Version = zk.OpenACL(), c.something(), 0
	case zk.OpSetACL:
		o.Version = -1
	}
	return o
}

func (c *zkClient) aVersion() int32 {
	if c.sim.zkRand.chance(0.8) {
		return -1
	}
	return int32(c.sim.zkRand.IntN(4))
}

func (c *zkClient) write() {
	r := c.sim.zkRand
	if !r.chance(0.15) {
		o := c.op(false)
		c.link.single(&o, nil)
		return
	}
	call := &zkCall{op: zk.OpMulti}
	req := &wire.MultiRequest{}
	for range 1 + r.IntN(4) {
		o := c.op(true)
		call.ops = append(call.ops, o)
		req.Ops = append(req.Ops, wire.Op{Type: o.Code, Version: o.Version, Flags: o.Mode, TTL: o.TTL, Path: o.Path, Data: o.Data, ACL: o.ACL})
	}
	c.link.request(call, req)
}

// single sends one write.
func (k *zkLink) single(o *tree.Op, then func(*zkReply)) {
	call := &zkCall{op: o.Code, path: o.Path, ops: []tree.Op{*o}, then: then}
	var req wireRecord
	switch o.Code {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer:
		req = &wire.CreateRequest{Path: o.Path, Data: o.Data, ACL: o.ACL, Flags: o.Mode}
	case zk.OpCreateTTL:
		req = &wire.CreateTTLRequest{Path: o.Path, Data: o.Data, ACL: o.ACL, Flags: o.Mode, TTL: o.TTL}
	case zk.OpDelete:
		req = &wire.DeleteRequest{Path: o.Path, Version: o.Version}
	case zk.OpSetData:
		req = &wire.SetDataRequest{Path: o.Path, Data: o.Data, Version: o.Version}
	case zk.OpSetACL:
		req = &wire.SetACLRequest{Path: o.Path, ACL: o.ACL, Version: o.Version}
	}
	k.request(call, req)
}

func (c *zkClient) read() {
	r := c.sim.zkRand
	call := &zkCall{path: c.aPath(), left: r.chance(0.4)}
	if r.chance(0.1) {
		call.path = "/"
	}
	var req wireRecord
	switch n := r.IntN(20); {
	case n < 6:
		call.op, req = zk.OpGetData, &wire.GetDataRequest{Path: call.path, Watch: call.left}
	case n < 10:
		call.op, req = zk.OpExists, &wire.ExistsRequest{Path: call.path, Watch: call.left}
	case n < 13:
		call.op, req = zk.OpGetChildren, &wire.GetChildrenRequest{Path: call.path, Watch: call.left}
	case n < 16:
		call.op, req = zk.OpGetChildren2, &wire.GetChildren2Request{Path: call.path, Watch: call.left}
	case n < 17:
		call.op, call.left, req = zk.OpGetACL, false, &wire.GetACLRequest{Path: call.path}
	case n < 18:
		call.op, call.left, req = zk.OpGetAllChildrenNumber, false, &wire.GetAllChildrenNumberRequest{Path: call.path}
	case n < 19:
		call.op, call.left, call.path = zk.OpGetEphemerals, false, "/"
		req = &wire.GetEphemeralsRequest{PrefixPath: "/"}
	default:
		call.op, call.left = zk.OpMultiRead, false
		m := &wire.MultiRequest{}
		for range 1 + r.IntN(3) {
			o := wire.Op{Type: zk.OpGetData, Path: c.aPath()}
			if r.chance(0.5) {
				o.Type = zk.OpGetChildren
			}
			m.Ops = append(m.Ops, o)
		}
		call.reads, req = m.Ops, m
	}
	c.link.request(call, req)
}

// watchOp is one of the operations on watches alone.
func (c *zkClient) watchOp() {
	r := c.sim.zkRand
	call := &zkCall{path: c.aPath()}
	if k := c.link; len(k.session.armed) > 0 && r.chance(0.7) {
		paths := sortedPaths(k.session.armed)
		call.path = paths[r.IntN(len(paths))]
	}
	var req wireRecord
	switch n := r.IntN(10); {
	case n < 4 && call.path != "/": // a change of /zookeeper/config has no zxid of its own, so there is no telling when its event has to come
		call.op, call.kind = zk.OpAddWatch, int32(r.IntN(2))
		req = &wire.AddWatchRequest{Path: call.path, Mode: zk.AddWatchMode(call.kind)}
	case n < 7:
		call.op, call.kind = zk.OpRemoveWatches, int32(1+r.IntN(5))
		req = &wire.RemoveWatchesRequest{Path: call.path, Type: zk.WatcherType(call.kind)}
	default:
		call.op, call.kind = zk.OpCheckWatches, int32(1+r.IntN(5))
		req = &wire.CheckWatchesRequest{Path: call.path, Type: zk.WatcherType(call.kind)}
	}
	c.link.request(call, req)
}

// selects is the kinds that a watcher type of the protocol means.
func selects(t int32) watch.Kind {
	switch zk.WatcherType(t) {
	case zk.WatcherChildren:
		return watch.Child
	case zk.WatcherData:
		return watch.Data
	case zk.WatcherPersistent:
		return watch.Persistent
	case zk.WatcherPersistentRecursive:
		return watch.Recursive
	}
	return watch.Data | watch.Child | watch.Persistent | watch.Recursive
}
