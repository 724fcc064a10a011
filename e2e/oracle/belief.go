package oracle

import (
	"fmt"
	"slices"

	"gopherwood/zk"
)

// belief is what a drawer thinks is below the run's root: a model good enough to hit nodes that are there, their versions and their sequence
// numbers more often than not. It knows no ACLs, so it is wrong at times.
type belief struct {
	nodes []node // in the order of their creation; the first is the root
}

type node struct {
	path    string
	owner   string // client, of an ephemeral node
	version int32
	creates int // of children, ever
}

func newBelief() belief { return belief{nodes: []node{{path: zk.Root}}} }

func (b *belief) clone() belief { return belief{nodes: slices.Clone(b.nodes)} }

// find is the node at path, or nil. It lasts until the next change.
func (b *belief) find(path string) *node {
	i := slices.IndexFunc(b.nodes, func(n node) bool { return n.path == path })
	if i < 0 {
		return nil
	}
	return &b.nodes[i]
}

// apply is what becomes of a client's write; false if it fails.
func (b *belief) apply(s *Step, client, chroot string) bool {
	path := below(chroot, s.Path)
	n := b.find(path)
	matches := n != nil && (s.Version == -1 || s.Version == n.version)
	switch s.Verb {
	case "create", "create2", "createContainer", "createTTL":
		return b.create(s, client, path)
	case "delete":
		if !matches || path == zk.Root || slices.ContainsFunc(b.nodes, func(m node) bool { return m.path != zk.Root && zk.Parent(m.path) == path }) {
			return false
		}
		b.nodes = slices.DeleteFunc(b.nodes, func(m node) bool { return m.path == path })
	case "setData":
		if matches {
			n.version++
		}
	}
	return matches
}

func (b *belief) create(s *Step, client, path string) bool {
	mode := zk.CreateMode(s.Flags)
	if zk.ValidatePath(path) != nil || !mode.IsValid() || mode.IsTTL() != (s.Verb == "createTTL") || len(s.ACL) == 0 {
		return false
	}
	parent := b.find(zk.Parent(path))
	if parent == nil || parent.owner != "" {
		return false
	}
	if mode.IsSequential() {
		path = fmt.Sprintf("%s%010d", path, parent.creates)
	}
	if b.find(path) != nil {
		return false
	}
	parent.creates++
	n := node{path: path}
	if mode.IsEphemeral() && s.Verb != "createContainer" {
		n.owner = client
	}
	b.nodes = append(b.nodes, n)
	return true
}

// end is what becomes of the nodes when a client's session ends.
func (b *belief) end(client string) {
	b.nodes = slices.DeleteFunc(b.nodes, func(n node) bool { return n.owner == client })
}

// below is a client's path as one without a chroot has it.
func below(chroot, path string) string {
	if chroot == "" || path != zk.Root {
		return chroot + path
	}
	return chroot
}
