package sim

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"gopherwood/internal/node"
	"gopherwood/internal/tree"
	"gopherwood/zk"
)

// chronicle is what happened to the tree, by zxid: what every node was at every time, every event, every write and every session. It has a tree of its own,
// which is fed with each command as the first replica applies it, so it is ahead of, or as far as, everything that a client can have been told. The checks on
// clients (zkcheck.go) compare with it.
type chronicle struct {
	sim      *simulation
	tree     *tree.Tree
	command  tree.Command
	result   forest // for the hash of a result
	nodes    map[string][]version
	children map[string][]string // names that a node has ever had, in the order of their coming
	events   []happening         // in the order in which they fire
	writes   map[int64]*written  // by zxid
	sessions map[int64]*life
	sequence map[string]int64 // parent and its czxid → last sequence number given out
}

// version is what a node is from a zxid on.
type version struct {
	zxid   int64
	exists bool
	data   []byte
	stat   zk.Stat
}

// happening is an event that watches may wait for.
type happening struct {
	zxid int64
	kind zk.EventType
	path string
}

// written is a write with a zxid of its own, as it was applied.
type written struct {
	session int64
	link    *zkLink // through which it came; nil if that is not known
	number  int     // among those of link
	code    zk.Code
	path    string
	stat    zk.Stat
	ops     []tree.OpResult
}

// life is a session from its first to its last zxid.
type life struct {
	opened, closed int64 // closed 0: it lives
	owned          map[string]bool
	expired        bool
}

var superAuth = []zk.ID{{Scheme: "super"}}

func newChronicle(s *simulation) *chronicle {
	h := &chronicle{sim: s, tree: tree.New(tree.Options{Seed: 1, Schemes: []string{"x509", "sasl"}}), nodes: map[string][]version{}, children: map[string][]string{},
		writes: map[int64]*written{}, sessions: map[int64]*life{}, sequence: map[string]int64{}}
	h.note(0, "/")
	h.note(0, "/zookeeper")
	h.note(0, "/zookeeper/config")
	h.note(0, "/zookeeper/quota")
	h.children["/"] = []string{"zookeeper"}
	h.children["/zookeeper"] = []string{"config", "quota"}
	return h
}

// apply takes in the next command. hash is that of the server's result, which has to be the tree's own.
func (h *chronicle) apply(c *node.Command, body []byte, hash uint64) {
	if err := h.command.Decode(body); err != nil {
		h.sim.fail("the command of entry %d does not decode: %v", c.Index, err)
	}
	cmd, res := &h.command, &h.result.result
	before := h.tree.LastZxid()
	h.tree.Apply(tree.Env{Index: c.Index, Term: c.Term, TimeMs: c.TimeMs, Origin: c.Origin}, cmd, res)
	if own := h.result.hash(); own != hash {
		h.sim.fail("a server's result for a command of kind %d in entry %d is not that of the tree alone", cmd.Kind, c.Index)
	}
	if (cmd.Kind == tree.KindExpire || cmd.Kind == tree.KindReap) && cmd.Term != c.Term && h.tree.LastZxid() != before {
		h.sim.expired(cmd.Term, c.Term)
	}
	h.changes(cmd, res)
	for i := range res.Events {
		e := &res.Events[i]
		h.events = append(h.events, happening{e.Zxid, e.Type, strings.Clone(e.Path)})
	}
	h.lives(cmd, res)
	h.write(cmd, res)
}

// changes notes what every node is that the command may have touched.
func (h *chronicle) changes(cmd *tree.Command, res *tree.Result) {
	touched := make([]string, 0, 8)
	touch := func(path string) {
		if path = strings.Clone(path); path == "" || path[0] != '/' || slices.Contains(touched, path) {
			return
		}
		touched = append(touched, path)
		if parent := zk.Parent(path); path != "/" && !slices.Contains(touched, parent) {
			touched = append(touched, parent)
		}
	}
	for i := range cmd.Ops {
		touch(cmd.Ops[i].Path)
	}
	touch(res.Path)
	for i := range res.Ops {
		touch(res.Ops[i].Path)
	}
	zxid := res.Zxid
	at := map[string]int64{} // the zxid of a path's last event: a command may have several
	for i := range res.Events {
		e := &res.Events[i]
		touch(e.Path)
		at[e.Path] = e.Zxid
	}
	for _, path := range touched {
		when := zxid
		if z := at[path]; z != 0 {
			when = z
		}
		h.note(when, path)
	}
}

// note takes down what a node is now, if that is new.
func (h *chronicle) note(zxid int64, path string) {
	now := version{zxid: zxid}
	data, stat, code := h.tree.Get(path, superAuth)
	if code == zk.OK {
		now.exists, now.stat = true, stat
		if data != nil {
			now.data = append([]byte{}, data...)
		}
	}
	all := h.nodes[path]
	if len(all) == 0 && !now.exists {
		return
	}
	if n := len(all); n > 0 && all[n-1].same(&now) {
		return
	}
	if now.exists && path != "/" {
		parent, name := zk.Parent(path), zk.Base(path)
		if !slices.Contains(h.children[parent], name) {
			h.children[parent] = append(h.children[parent], name)
		}
	}
	h.owner(path, all, &now)
	h.nodes[path] = append(all, now)
}

func (v *version) same(o *version) bool {
	return v.exists == o.exists && v.stat == o.stat && string(v.data) == string(o.data) && (v.data == nil) == (o.data == nil)
}

// owner keeps account of whose ephemeral nodes there are.
func (h *chronicle) owner(path string, all []version, now *version) {
	if n := len(all); n > 0 && all[n-1].exists && all[n-1].stat.EphemeralOwner != 0 {
		if l := h.sessions[all[n-1].stat.EphemeralOwner]; l != nil {
			delete(l.owned, path)
		}
	}
	if id := now.stat.EphemeralOwner; now.exists && id != 0 {
		l := h.sessions[id]
		if l == nil || l.closed != 0 {
			h.sim.fail("at zxid %x the ephemeral node %s is created for session %x, which is not there", now.zxid, path, id)
		}
		l.owned[path] = true
	}
}

// lives keeps account of sessions. When one ends its ephemeral nodes are gone, at that very zxid.
func (h *chronicle) lives(cmd *tree.Command, res *tree.Result) {
	if cmd.Kind == tree.KindCreateSession && res.Code == zk.OK {
		if h.sessions[cmd.Session] != nil {
			h.sim.fail("at zxid %x session %x is opened a second time", res.Zxid, cmd.Session)
		}
		h.sessions[cmd.Session] = &life{opened: res.Zxid, owned: map[string]bool{}}
	}
	for _, e := range res.Closed {
		l := h.sessions[e.ID]
		if l == nil || l.closed != 0 {
			h.sim.fail("at zxid %x session %x ends, which is not there", res.Zxid, e.ID)
		}
		l.closed, l.expired = res.Zxid, cmd.Kind == tree.KindExpire
		if len(l.owned) > 0 {
			h.sim.fail("session %x ends and %d of its ephemeral nodes are left, %s among them", e.ID, len(l.owned), someKey(l.owned))
		}
		h.sim.swarm.sessionEnded(e.ID, l)
	}
}

func someKey(m map[string]bool) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys[0]
}

// write notes a client's write and holds it against what the client has sent.
func (h *chronicle) write(cmd *tree.Command, res *tree.Result) {
	if cmd.Kind != tree.KindWrite && cmd.Kind != tree.KindMulti && cmd.Kind != tree.KindCloseSession {
		return
	}
	w := &written{session: cmd.Session, code: res.Code, path: strings.Clone(res.Path), stat: res.Stat}
	for _, o := range res.Ops {
		o.Path = strings.Clone(o.Path)
		w.ops = append(w.ops, o)
	}
	h.sim.swarm.applied(cmd, w)
	if res.Code == zk.ErrSessionExpired || res.Code == zk.ErrSessionMoved {
		return // no transaction
	}
	if h.writes[res.Zxid] != nil {
		h.sim.fail("two writes have the zxid %x", res.Zxid)
	}
	h.writes[res.Zxid] = w
	if cmd.Kind == tree.KindWrite && res.Code == zk.OK {
		h.numbered(&cmd.Ops[0], res.Path)
	}
	for i := range res.Ops {
		if cmd.Kind == tree.KindMulti && i < len(cmd.Ops) && res.Ops[i].Code == zk.OK && res.Ops[i].Type != zk.OpError {
			h.numbered(&cmd.Ops[i], res.Ops[i].Path)
		}
	}
}

// numbered checks that a sequence number is larger than any that its parent has given out.
func (h *chronicle) numbered(o *tree.Op, path string) {
	if !o.Mode.IsSequential() || !strings.HasPrefix(path, o.Path) || len(path) < 10 {
		return
	}
	var n int64
	if _, err := fmt.Sscanf(path[len(path)-10:], "%d", &n); err != nil {
		h.sim.fail("the sequential node %s has no number", path)
	}
	parent := zk.Parent(path)
	now := h.at(parent, h.tree.LastZxid())
	key := fmt.Sprintf("%s %x", parent, now.stat.Czxid)
	if last, ok := h.sequence[key]; ok && n <= last {
		h.sim.fail("the sequential node %s comes after number %d of the same parent", path, last)
	}
	h.sequence[key] = n
}

// at is what a node is after the transaction zxid.
func (h *chronicle) at(path string, zxid int64) version {
	all := h.nodes[path]
	i, found := slices.BinarySearchFunc(all, zxid, func(v version, z int64) int {
		switch {
		case v.zxid < z:
			return -1
		case v.zxid > z:
			return 1
		}
		return 0
	})
	for found && i+1 < len(all) && all[i+1].zxid == zxid {
		i++
	}
	if !found {
		i--
	}
	if i < 0 {
		return version{}
	}
	return all[i]
}

// childrenAt is the sorted names of a node's children after the transaction zxid.
func (h *chronicle) childrenAt(path string, zxid int64) []string {
	var names []string
	for _, name := range h.children[path] {
		if h.at(zk.Join(path, name), zxid).exists {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// firstEvent is the index of the first event after zxid.
func (h *chronicle) firstEvent(zxid int64) int {
	return sort.Search(len(h.events), func(i int) bool { return h.events[i].zxid > zxid })
}

// below is how many nodes there are below one after the transaction zxid.
func (h *chronicle) below(path string, zxid int64) int32 {
	n := int32(0)
	for _, name := range h.children[path] {
		if p := zk.Join(path, name); h.at(p, zxid).exists {
			n += 1 + h.below(p, zxid)
		}
	}
	return n
}

// ephemeralsAt is the sorted ephemeral nodes of a session after the transaction zxid.
func (h *chronicle) ephemeralsAt(session, zxid int64) []string {
	var paths []string
	h.walk("/", zxid, func(path string, v *version) {
		if v.stat.EphemeralOwner == session {
			paths = append(paths, path)
		}
	})
	slices.Sort(paths)
	return paths
}

func (h *chronicle) walk(path string, zxid int64, visit func(string, *version)) {
	for _, name := range h.children[path] {
		p := zk.Join(path, name)
		if v := h.at(p, zxid); v.exists {
			visit(p, &v)
			h.walk(p, zxid, visit)
		}
	}
}
