package fakezk

import (
	"maps"
	"slices"
	"strings"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

type node struct {
	data []byte
	acl  []zk.ACL
	stat zk.Stat
	next int32 // sequence number of the next child
}

type tree struct {
	nodes map[string]*node
	held  *[]func() // inside a multi: events to fire if it succeeds
}

func newTree() tree {
	t := tree{nodes: make(map[string]*node)}
	for _, p := range []string{"/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"} {
		t.nodes[p] = &node{acl: zk.OpenACL()}
	}
	t.nodes["/"].stat.NumChildren = 1
	t.nodes["/zookeeper"].stat.NumChildren = 2
	return t
}

func (t *tree) clone() tree {
	c := tree{nodes: make(map[string]*node, len(t.nodes))}
	for p, n := range t.nodes {
		m := *n
		c.nodes[p] = &m
	}
	return c
}

func (t *tree) children(path string) []string {
	var names []string
	for p := range t.nodes {
		if p != "/" && zk.Parent(p) == path {
			names = append(names, zk.Base(p))
		}
	}
	slices.Sort(names)
	return names
}

// below is the sorted paths at and under path that pass.
func (t *tree) below(path string, pass func(*node) bool) []string {
	prefix := strings.TrimSuffix(path, "/") + "/"
	var all []string
	for _, p := range slices.Sorted(maps.Keys(t.nodes)) {
		if (p == path || strings.HasPrefix(p, prefix)) && pass(t.nodes[p]) {
			all = append(all, p)
		}
	}
	return all
}

// write carries out one write with the present zxid. ss is nil for the server's own.
func (s *Server) write(ss *session, o *wire.Op) (wire.MultiResult, zk.Code) {
	n := s.tree.nodes[o.Path]
	switch o.Type {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		return s.create(ss, o)
	}
	if n == nil {
		return wire.MultiResult{}, zk.ErrNoNode
	}
	if o.Type == zk.OpSetACL {
		if o.Version != -1 && o.Version != n.stat.Aversion {
			return wire.MultiResult{}, zk.ErrBadVersion
		}
		n.acl = slices.Clone(o.ACL)
		n.stat.Aversion++
		return wire.MultiResult{Stat: n.stat}, zk.OK
	}
	if o.Version != -1 && o.Version != n.stat.Version {
		return wire.MultiResult{}, zk.ErrBadVersion
	}
	switch o.Type {
	case zk.OpDelete:
		if n.stat.NumChildren > 0 {
			return wire.MultiResult{}, zk.ErrNotEmpty
		}
		delete(s.tree.nodes, o.Path)
		s.childChanged(o.Path, -1)
		s.fire(zk.EventNodeDeleted, o.Path)
		s.fire(zk.EventNodeChildrenChanged, zk.Parent(o.Path))
	case zk.OpSetData:
		n.data = slices.Clone(o.Data)
		n.stat.Version++
		n.stat.Mzxid, n.stat.DataLength = s.zxid, int32(len(o.Data))
		s.fire(zk.EventNodeDataChanged, o.Path)
		return wire.MultiResult{Type: zk.OpSetData, Stat: n.stat}, zk.OK
	}
	return wire.MultiResult{Type: o.Type}, zk.OK
}

func (s *Server) create(ss *session, o *wire.Op) (wire.MultiResult, zk.Code) {
	path := o.Path
	parent := s.tree.nodes[zk.Parent(path)]
	if parent == nil {
		return wire.MultiResult{}, zk.ErrNoNode
	}
	if parent.stat.EphemeralOwner != 0 {
		return wire.MultiResult{}, zk.ErrNoChildrenForEphemerals
	}
	if o.Flags.IsSequential() {
		path = string(zk.AppendSequence([]byte(path), parent.next))
	}
	if s.tree.nodes[path] != nil {
		return wire.MultiResult{}, zk.ErrNodeExists
	}
	n := &node{data: slices.Clone(o.Data), acl: slices.Clone(o.ACL)}
	n.stat = zk.Stat{Czxid: s.zxid, Mzxid: s.zxid, Pzxid: s.zxid, DataLength: int32(len(o.Data))}
	if o.Flags.IsEphemeral() && ss != nil {
		n.stat.EphemeralOwner = ss.id
	}
	s.tree.nodes[path] = n
	parent.next++
	s.childChanged(path, 1)
	s.fire(zk.EventNodeCreated, path)
	s.fire(zk.EventNodeChildrenChanged, zk.Parent(path))
	code := o.Type
	if code != zk.OpCreate {
		code = zk.OpCreate2
	}
	return wire.MultiResult{Type: code, Path: path, Stat: n.stat}, zk.OK
}

func (s *Server) childChanged(path string, by int32) {
	p := s.tree.nodes[zk.Parent(path)]
	p.stat.NumChildren += by
	p.stat.Cversion++
	p.stat.Pzxid = s.zxid
}
