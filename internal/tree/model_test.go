package tree_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"gopherwood/internal/tree"
	"gopherwood/zk"
)

// model is ZooKeeper's tree as plainly as it can be written: a map of paths, copied whole where a multi may fail.
type model struct {
	nodes    map[string]*mnode
	sessions map[int64]*msession
	zxid     int64
	replaced int64  // zxid of the last restore
	next     *model // state that a restore brings
}

type mnode struct {
	data    []byte
	acl     []zk.ACL
	kind    string // "", "ephemeral", "container", "ttl"
	owner   int64
	ttl     int64
	creates int32
	stat    zk.Stat // but for what statOf computes
}

type msession struct {
	owner   uint64
	timeout int32
	passwd  [16]byte
}

func newModel() *model {
	m := &model{nodes: map[string]*mnode{}, sessions: map[int64]*msession{}}
	for _, p := range []string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"} {
		m.nodes[p] = &mnode{data: []byte{}, acl: zk.OpenACL()}
	}
	m.nodes["/zookeeper/config"].stat.Aversion = -1
	m.nodes["/zookeeper/config"].acl = []zk.ACL{{Perms: zk.PermRead, ID: zk.WorldAnyone}}
	return m
}

func (m *model) clone() *model {
	c := &model{nodes: map[string]*mnode{}, sessions: map[int64]*msession{}, zxid: m.zxid, replaced: m.replaced}
	for p, n := range m.nodes {
		k := *n
		c.nodes[p] = &k
	}
	for id, s := range m.sessions {
		k := *s
		c.sessions[id] = &k
	}
	return c
}

func parentOf(path string) string { return path[:strings.LastIndex(path, "/")] }

func shown(parent string) string {
	if parent == "" {
		return "/"
	}
	return parent
}

func (m *model) get(path string) *mnode { return m.nodes[shown(path)] }

func (m *model) children(path string) []string {
	prefix := path + "/"
	if path == "/" || path == "" {
		prefix = "/"
	}
	var names []string
	for p := range m.nodes {
		if p != "/" && strings.HasPrefix(p, prefix) && !strings.Contains(p[len(prefix):], "/") {
			names = append(names, p[len(prefix):])
		}
	}
	sort.Strings(names)
	return names
}

func (m *model) statOf(path string) zk.Stat {
	n := m.get(path)
	s := n.stat
	s.NumChildren = int32(len(m.children(path)))
	s.Cversion = 2*n.creates - s.NumChildren
	s.DataLength = int32(len(n.data))
	if n.kind == "ephemeral" {
		s.EphemeralOwner = n.owner
	}
	return s
}

// outcome is what a command gives, in a form that can be compared.
type outcome struct {
	Zxid    int64
	Code    zk.Code
	Path    string
	Stat    zk.Stat
	Ops     []tree.OpResult
	Session tree.SessionInfo
	Events  []string
	Closed  []tree.ClosedSession
	Quotas  []tree.QuotaExcess
}

// event notes who may hear of it: nobody in particular, bob, who is at home.
func (o *outcome) event(typ zk.EventType, path string, zxid int64, canRead func(auth []zk.ID) bool) {
	o.Events = append(o.Events, fmt.Sprintf("%d %s %d %v %v %v", typ, path, zxid, canRead(nil), canRead([]zk.ID{bob}), canRead([]zk.ID{home})))
}

// readers is who may read a node.
func (n *mnode) readers(auth []zk.ID) bool { return mayDo(n, zk.PermRead, auth) }

func outcomeOf(t *tree.Tree, r *tree.Result) outcome {
	o := outcome{Zxid: r.Zxid, Code: r.Code, Path: r.Path, Stat: r.Stat, Ops: slices.Clone(r.Ops), Session: r.Session, Closed: slices.Clone(r.Closed), Quotas: slices.Clone(r.Quotas)}
	for _, e := range r.Events {
		o.event(e.Type, e.Path, e.Zxid, func(auth []zk.ID) bool { return t.CanRead(e.ACL, auth) })
	}
	return o
}

func (m *model) session(c *tree.Command, origin uint64) zk.Code {
	s := m.sessions[c.Session]
	switch {
	case c.Local:
	case s == nil:
		return zk.ErrSessionExpired
	case s.owner != origin:
		return zk.ErrSessionMoved
	}
	return zk.OK
}

func (m *model) apply(env tree.Env, c *tree.Command) outcome {
	o := outcome{Zxid: m.zxid}
	switch c.Kind {
	case tree.KindWrite:
		if o.Code = m.session(c, env.Origin); o.Code == zk.OK {
			m.zxid++
			r := m.do(env, c, c.Ops[0], &o, false)
			o.Zxid, o.Code, o.Path, o.Stat = m.zxid, r.Code, r.Path, r.Stat
		}
	case tree.KindMulti:
		if o.Code = m.session(c, env.Origin); o.Code == zk.OK {
			m.zxid++
			o.Zxid = m.zxid
			m.multi(env, c, &o)
		}
	case tree.KindCreateSession:
		switch {
		case c.Session == 0:
			o.Code = zk.ErrBadArguments
		case m.sessions[c.Session] != nil:
			o.Code = zk.ErrRuntimeInconsistency
		default:
			m.zxid++
			o.Zxid = m.zxid
			m.sessions[c.Session] = &msession{owner: env.Origin, timeout: c.Timeout, passwd: c.Passwd}
			o.Session = tree.SessionInfo{ID: c.Session, TimeoutMs: c.Timeout, Owner: env.Origin}
		}
	case tree.KindAttachSession:
		s := m.sessions[c.Session]
		switch {
		case s == nil:
			o.Code = zk.ErrSessionExpired
		case s.passwd != c.Passwd:
			o.Code = zk.ErrAuthFailed
		default:
			o.Session = tree.SessionInfo{ID: c.Session, TimeoutMs: s.timeout, Owner: env.Origin, PreviousOwner: s.owner}
			s.owner = env.Origin
			if c.Timeout > 0 {
				s.timeout, o.Session.TimeoutMs = c.Timeout, c.Timeout
			}
		}
	case tree.KindCloseSession:
		if o.Code = m.session(c, env.Origin); o.Code == zk.OK {
			m.end(c.Session, &o)
		}
	case tree.KindExpire:
		for _, id := range c.Sessions {
			if m.sessions[id] != nil && c.Term == env.Term {
				m.end(id, &o)
			}
		}
	case tree.KindReap:
		for _, op := range c.Ops {
			if n := m.nodes[op.Path]; n != nil && c.Term == env.Term && m.reapable(op.Path, env.TimeMs) {
				m.zxid++
				o.Zxid = m.zxid
				m.remove(op.Path, &o)
				o.Ops = append(o.Ops, tree.OpResult{Type: zk.OpDeleteContainer, Path: op.Path})
			}
		}
	case tree.KindRestore:
		m.restore(&o)
	case tree.KindConfig:
		n := m.nodes["/zookeeper/config"]
		if d := c.Ops[0].Data; (d == nil) != (n.data == nil) || !bytes.Equal(d, n.data) {
			n.data, n.stat.Version, n.stat.Mzxid, n.stat.Mtime = bytes.Clone(d), -1, m.zxid, env.TimeMs
			o.event(zk.EventNodeDataChanged, "/zookeeper/config", m.zxid, n.readers)
		}
	}
	return o
}

func (m *model) reapable(path string, now int64) bool {
	n := m.nodes[path]
	if len(m.children(path)) > 0 {
		return false
	}
	return n.kind == "container" && n.creates > 0 || n.kind == "ttl" && now-n.stat.Mtime > n.ttl
}

func (m *model) multi(env tree.Env, c *tree.Command, o *outcome) {
	before := m.clone()
	for _, op := range c.Ops {
		plain := op.Code == zk.OpCreate || op.Code == zk.OpCreate2 || op.Code == zk.OpCreateContainer
		if plain && (op.Mode < 0 || op.Mode > 4) {
			o.Code = zk.ErrMarshalling
			return
		}
	}
	for i, op := range c.Ops {
		r := m.do(env, c, op, o, true)
		if r.Code != zk.OK {
			*m = *before
			o.Events, o.Ops = nil, nil
			for j := range c.Ops {
				e := tree.OpResult{Type: zk.OpError}
				if j == i {
					e.Code = r.Code
				} else if j > i {
					e.Code = zk.ErrRuntimeInconsistency
				}
				o.Ops = append(o.Ops, e)
			}
			return
		}
		o.Ops = append(o.Ops, r)
	}
}

func (m *model) end(id int64, o *outcome) {
	m.zxid++
	o.Zxid = m.zxid
	var paths []string
	for p, n := range m.nodes {
		if n.kind == "ephemeral" && n.owner == id {
			paths = append(paths, p)
		}
	}
	sort.Slice(paths, func(i, j int) bool {
		a, b := m.nodes[paths[i]].stat.Czxid, m.nodes[paths[j]].stat.Czxid
		return a < b || a == b && paths[i] < paths[j]
	})
	for _, p := range paths {
		m.remove(p, o)
	}
	o.Closed = append(o.Closed, tree.ClosedSession{ID: id, Owner: m.sessions[id].owner})
	delete(m.sessions, id)
}

func (m *model) remove(path string, o *outcome) {
	n, parent := m.nodes[path], m.get(parentOf(path))
	delete(m.nodes, path)
	parent.stat.Pzxid = m.zxid
	m.charge(path, -1, -len(n.data))
	o.event(zk.EventNodeDeleted, path, m.zxid, n.readers)
	o.event(zk.EventNodeChildrenChanged, shown(parentOf(path)), m.zxid, parent.readers)
}

func (m *model) do(env tree.Env, c *tree.Command, op tree.Op, o *outcome, multi bool) (r tree.OpResult) {
	fail := func(code zk.Code) tree.OpResult { return tree.OpResult{Code: code} }
	if multi {
		r.Type = op.Code
	}
	switch op.Code {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		if multi {
			r.Type = zk.OpCreate
			if op.Mode == zk.ModeContainer {
				op.Code = zk.OpCreateContainer
			}
			if op.Code == zk.OpCreateTTL && op.Mode != zk.ModeTTL && op.Mode != zk.ModeTTLSequential {
				op.Code = zk.OpCreate
			}
			if op.Code == zk.OpCreate2 || op.Code == zk.OpCreateContainer || op.Code == zk.OpCreateTTL {
				r.Type = zk.OpCreate2
			}
		}
		code, path := m.create(env, c, op, o)
		if code != zk.OK {
			return fail(code)
		}
		o.event(zk.EventNodeCreated, path, m.zxid, m.nodes[path].readers)
		o.event(zk.EventNodeChildrenChanged, shown(parentOf(path)), m.zxid, m.get(parentOf(path)).readers)
		r.Path, r.Stat = path, m.statOf(path)
		m.quotaMade(path)
		m.charge(path, 1, len(op.Data))
	case zk.OpDelete:
		special := []string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"}
		if !strings.Contains(op.Path, "/") || strings.Contains(op.Path, "\x00") || slices.Contains(special, op.Path) {
			return fail(zk.ErrBadArguments)
		}
		parent := m.get(parentOf(op.Path))
		if parent == nil {
			return fail(zk.ErrNoNode)
		}
		if !mayDo(parent, zk.PermDelete, c.Auth) {
			return fail(zk.ErrNoAuth)
		}
		n := m.nodes[op.Path]
		switch {
		case n == nil:
			return fail(zk.ErrNoNode)
		case op.Version != -1 && op.Version != n.stat.Version:
			return fail(zk.ErrBadVersion)
		case len(m.children(op.Path)) > 0:
			return fail(zk.ErrNotEmpty)
		}
		m.remove(op.Path, o)
	case zk.OpSetData, zk.OpSetACL, zk.OpCheck:
		return m.set(env, c, op, o, multi)
	default:
		return fail(zk.ErrUnimplemented)
	}
	return r
}

func (m *model) set(env tree.Env, c *tree.Command, op tree.Op, o *outcome, multi bool) (r tree.OpResult) {
	if multi && op.Code == zk.OpSetACL {
		return tree.OpResult{Code: zk.ErrUnimplemented}
	}
	if multi {
		r.Type = op.Code
	}
	if !validPath(op.Path) {
		return tree.OpResult{Code: zk.ErrBadArguments}
	}
	var acl []zk.ACL
	if op.Code == zk.OpSetACL {
		var ok bool
		if acl, ok = fixup(op.ACL, c.Auth); !ok {
			return tree.OpResult{Code: zk.ErrInvalidACL}
		}
	}
	n := m.nodes[op.Path]
	if n == nil {
		return tree.OpResult{Code: zk.ErrNoNode}
	}
	perm := map[zk.OpCode]zk.Perms{zk.OpSetData: zk.PermWrite, zk.OpSetACL: zk.PermAdmin, zk.OpCheck: zk.PermRead}[op.Code]
	if !mayDo(n, perm, c.Auth) {
		return tree.OpResult{Code: zk.ErrNoAuth}
	}
	growth := len(op.Data) - len(n.data)
	if op.Code == zk.OpSetData && m.overQuota(c, op.Path, 0, growth, o) {
		return tree.OpResult{Code: zk.ErrQuotaExceeded}
	}
	version := &n.stat.Version
	if op.Code == zk.OpSetACL {
		version = &n.stat.Aversion
	}
	if op.Version != -1 && op.Version != *version {
		return tree.OpResult{Code: zk.ErrBadVersion}
	}
	switch op.Code {
	case zk.OpSetData:
		n.data = bytes.Clone(op.Data)
		m.charge(op.Path, 0, growth)
		n.stat.Mzxid, n.stat.Mtime = m.zxid, env.TimeMs
		o.event(zk.EventNodeDataChanged, op.Path, m.zxid, n.readers)
	case zk.OpSetACL:
		n.acl = acl
	case zk.OpCheck:
		return r
	}
	if *version++; *version == -1 {
		*version = 0
	}
	r.Stat = m.statOf(op.Path)
	return r
}

func (m *model) create(env tree.Env, c *tree.Command, op tree.Op, o *outcome) (zk.Code, string) {
	isTTL := op.Mode == zk.ModeTTL || op.Mode == zk.ModeTTLSequential
	switch {
	case op.Mode < 0 || op.Mode > 6,
		isTTL != (op.Code == zk.OpCreateTTL),
		isTTL && (op.TTL < 1 || op.TTL >= 1<<40):
		return zk.ErrBadArguments, ""
	case c.Local && (op.Mode == zk.ModeEphemeral || op.Mode == zk.ModeEphemeralSequential):
		return zk.ErrEphemeralOnLocalSession, ""
	case !strings.Contains(op.Path, "/"),
		strings.Contains(op.Path, "\x00"):
		return zk.ErrBadArguments, ""
	}
	acl, ok := fixup(op.ACL, c.Auth)
	if !ok {
		return zk.ErrInvalidACL, ""
	}
	path := op.Path
	parent := m.get(parentOf(path))
	if parent == nil {
		return zk.ErrNoNode, ""
	}
	if !mayDo(parent, zk.PermCreate, c.Auth) {
		return zk.ErrNoAuth, ""
	}
	if op.Mode == 2 || op.Mode == 3 || op.Mode == 6 {
		path += fmt.Sprintf("%010d", parent.creates)
	}
	if !validPath(path) {
		return zk.ErrBadArguments, ""
	}
	if m.nodes[path] != nil {
		return zk.ErrNodeExists, ""
	}
	if parent.kind == "ephemeral" {
		return zk.ErrNoChildrenForEphemerals, ""
	}
	if m.overQuota(c, path, 1, len(op.Data), o) {
		return zk.ErrQuotaExceeded, ""
	}
	n := &mnode{data: bytes.Clone(op.Data), acl: acl}
	n.stat = zk.Stat{Czxid: m.zxid, Mzxid: m.zxid, Pzxid: m.zxid, Ctime: env.TimeMs, Mtime: env.TimeMs}
	switch {
	case isTTL:
		n.kind, n.ttl = "ttl", op.TTL
	case op.Code == zk.OpCreateContainer:
		n.kind = "container"
	case op.Mode == 1 || op.Mode == 3:
		n.kind, n.owner = "ephemeral", c.Session
	}
	parent.creates++
	parent.stat.Pzxid = m.zxid
	m.nodes[path] = n
	return zk.OK, path
}

// validPath is PathUtils.validatePath, written from its sentences.
func validPath(path string) bool {
	if path == "/" {
		return true
	}
	if !strings.HasPrefix(path, "/") {
		return false
	}
	for _, name := range strings.Split(path[1:], "/") {
		if name == "" || name == "." || name == ".." {
			return false
		}
		for _, r := range name { // a byte that is not UTF-8 is U+FFFD
			if r < 0x20 || r >= 0x7f && r <= 0x9f || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0 {
				return false
			}
		}
	}
	return true
}

func fixup(acl []zk.ACL, auth []zk.ID) (out []zk.ACL, ok bool) {
	seen := map[zk.ACL]bool{}
	for _, a := range acl {
		if seen[a] {
			continue
		}
		seen[a] = true
		valid := false
		switch a.ID.Scheme {
		case "world":
			valid = a.ID.ID == "anyone"
		case "digest":
			valid = validDigests[a.ID.ID]
		case "ip":
			valid = validIPs[a.ID.ID]
		case "auth":
			for _, id := range auth {
				if id.Scheme == "digest" {
					valid = true
					out = append(out, zk.ACL{Perms: a.Perms, ID: id})
				}
			}
			if !valid {
				return nil, false
			}
			continue
		}
		if !valid {
			return nil, false
		}
		out = append(out, a)
	}
	return out, len(out) > 0
}

// The model knows by heart which of the expressions that the tests use are valid, and which of their addresses they mean.
var (
	validDigests = map[string]bool{"bob:x": true, ":x": true, "ann:y:": true}
	validIPs     = map[string]bool{"10.0.0.0/8": true, "10.1.2.3": true, "::1": true, "fe80::/10": true}
	ipMatches    = map[string]bool{"10.1.2.3 10.0.0.0/8": true, "10.1.2.3 10.1.2.3": true, "::1 ::1": true}
)

func mayDo(n *mnode, perm zk.Perms, auth []zk.ID) bool {
	if len(n.acl) == 0 {
		return true
	}
	for _, id := range auth {
		if id.Scheme == "super" {
			return true
		}
	}
	for _, a := range n.acl {
		if a.Perms&perm == 0 {
			continue
		}
		if a.ID == zk.WorldAnyone {
			return true
		}
		for _, id := range auth {
			switch {
			case id.Scheme != a.ID.Scheme:
			case id.Scheme == "digest" && id.ID == a.ID.ID:
				return true
			case id.Scheme == "ip" && ipMatches[id.ID+" "+a.ID.ID]:
				return true
			}
		}
	}
	return false
}

// compare says how a tree differs from the model, in everything that can be read.
func (m *model) compare(tr *tree.Tree) error {
	super := []zk.ID{{Scheme: "super"}}
	var size int64
	ephemerals := 0
	for _, p := range slices.Sorted(maps.Keys(m.nodes)) {
		n := m.nodes[p]
		size += int64(len(p) + len(n.data))
		data, stat, code := tr.Get(p, super)
		if code != zk.OK || !bytes.Equal(data, n.data) || (data == nil) != (n.data == nil) || stat != m.statOf(p) {
			return fmt.Errorf("%q: got %q %+v %v, want %q %+v", p, data, stat, code, n.data, m.statOf(p))
		}
		acl, _, _ := tr.ACL(p, super)
		if !slices.Equal(acl, n.acl) {
			return fmt.Errorf("%q: ACL %v, want %v", p, acl, n.acl)
		}
		var names []string
		tr.Children(p, super, func(name []byte) bool { names = append(names, string(name)); return true })
		sort.Strings(names)
		if !slices.Equal(names, m.children(p)) {
			return fmt.Errorf("%q: children %q, want %q", p, names, m.children(p))
		}
		below := 0
		for q := range m.nodes {
			if q != p && strings.HasPrefix(q, strings.TrimSuffix(p, "/")+"/") {
				below++
			}
		}
		if got, _ := tr.AllChildrenNumber(p, super); int(got) != below {
			return fmt.Errorf("%q: %d nodes below, want %d", p, got, below)
		}
		if c, mz, pz, ok := tr.WatchState(p); !ok || c != stat.Czxid || mz != max(stat.Mzxid, m.replaced) || pz != max(stat.Pzxid, m.replaced) {
			return fmt.Errorf("%q: WatchState %d %d %d", p, c, mz, pz)
		}
		if n.kind == "ephemeral" {
			ephemerals++
		}
	}
	if tr.NodeCount() != len(m.nodes) || tr.EphemeralCount() != ephemerals || tr.ApproximateDataSize() != size || tr.LastZxid() != m.zxid {
		return fmt.Errorf("count %d, ephemerals %d, size %d, zxid %d; want %d, %d, %d, %d",
			tr.NodeCount(), tr.EphemeralCount(), tr.ApproximateDataSize(), tr.LastZxid(), len(m.nodes), ephemerals, size, m.zxid)
	}
	return m.compareSessions(tr)
}

func (m *model) compareSessions(tr *tree.Tree) error {
	n := 0
	var err error
	tr.Sessions(func(s tree.SessionInfo) bool {
		n++
		want := m.sessions[s.ID]
		if want == nil || want.owner != s.Owner || want.timeout != s.TimeoutMs {
			err = fmt.Errorf("session %+v, want %+v", s, want)
			return false
		}
		var got, paths []string
		tr.Ephemerals(s.ID, "", func(p string) bool { got = append(got, p); return true })
		for p, n := range m.nodes {
			if n.kind == "ephemeral" && n.owner == s.ID {
				paths = append(paths, p)
			}
		}
		sort.Strings(got)
		sort.Strings(paths)
		if !slices.Equal(got, paths) {
			err = fmt.Errorf("session %d: ephemerals %q, want %q", s.ID, got, paths)
		}
		return err == nil
	})
	if err == nil && n != len(m.sessions) {
		err = fmt.Errorf("%d sessions, want %d", n, len(m.sessions))
	}
	return err
}
