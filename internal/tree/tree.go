package tree

import (
	"math/rand/v2"

	"gopherwood/zk"
)

// Options of a tree. The zero value is good.
type Options struct {
	// Seed keys the hash of the path index. 0: a random one. It has no influence on results, digests or snapshots.
	Seed uint64
	// Schemes are the identity schemes known besides world, auth, digest and ip: "x509", "sasl". An ACL with any other is
	// refused. It must be the same on every server of an ensemble, as it decides what a command does.
	Schemes []string
}

// Tree is the replicated state: znodes, sessions, ACLs and the last zxid. See the package comment for who may call what.
type Tree struct {
	// constant
	options Options
	schemes []string
	hash    hasher

	cow      cow
	nodes    arena[record]
	freeNode uint32 // first freed record
	blobs    blobs
	index    index
	acls     aclTable
	sessions sessionTable
	reap     reapTable // container and ttl nodes
	reapNext uint32    // where Reapable was
	zxid     int64     // of the last transaction
	sum      totals
	staged   *staged // nil: nothing; see stage.go
	replaced int64   // zxid of the last KindRestore; 0: none

	views    []*View
	kept     []keptBlob // replaced blobs that a live View shows
	reclaim  []keptBlob // those of closed Views, to be released bit by bit
	undo     []undo     // of the command being applied
	quotas   quotaTrie  // follows from the nodes below /zookeeper/quota
	fixed    []zk.ACL   // scratch of fixACL
	doomed   []doomed   // scratch of endSession
	quotaBuf []byte     // scratch of putFigures
}

// totals are the figures that a failed multi puts back at once.
type totals struct {
	digest     uint64 // sum of all terms
	count      int    // znodes, the root among them
	ephemerals int
	size       int64 // bytes of paths and data
}

// New is a tree with what every ZooKeeper has from the start: /, /zookeeper, /zookeeper/quota and /zookeeper/config.
func New(o Options) *Tree {
	t := &Tree{options: o}
	t.reset()
	return t
}

// clear makes the tree empty, without even a root.
func (t *Tree) clear() {
	o := t.options
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	*t = Tree{options: t.options, schemes: o.Schemes, hash: newHasher(o.Seed), cow: cow{epoch: 1}, blobs: newBlobs(), index: newIndex(), acls: newACLTable()}
	t.nodes = newArena[record](&t.cow)
	t.sessions = newSessionTable(&t.cow)
	t.reap.arena = newArena[reapEntry](&t.cow)
}

func (t *Tree) reset() {
	t.clear()
	t.plant(0, zk.Root, record{acl: openID})
	top := t.plant(root, zookeeperPath, record{acl: openID})
	t.plant(top, quotaPath, record{acl: openID})
	readable := t.acls.intern([]zk.ACL{{Perms: zk.PermRead, ID: zk.WorldAnyone}})
	t.plant(top, configPath, record{acl: readable, aversion: -1}) // as DataTree.addConfigNode leaves it
}

// plant adds a node that no transaction made (DataTree's constructor). Its parent's counter does not move.
func (t *Tree) plant(parent uint32, path string, like record) uint32 {
	id := t.newRecord()
	r := t.nodes.edit(id)
	*r = like
	t.acls.hold(r.acl)
	t.putBlob(r, zk.Base(path), []byte{})
	if parent != 0 {
		t.link(id, parent)
		t.index.insert(t.hash.tag(path), id)
	}
	p := pathDigest(path)
	t.sum.digest += t.nodeBody(p, r) + tailDigest(p, r) + t.nodeGuard(p, r)
	t.sum.count++
	t.sum.size += int64(len(path))
	return id
}

// The special paths, which no client can delete (DataTree.isSpecialPath).
const (
	zookeeperPath = "/zookeeper"
	quotaPath     = "/zookeeper/quota"
	configPath    = "/zookeeper/config"
)

func isSpecial(path string) bool {
	return path == zk.Root || path == zookeeperPath || path == quotaPath || path == configPath
}

// Apply carries out one command of the log and says in r what came of it. It never fails: a command that makes no sense gets a
// code. r's slices are reused, so what it held before is gone.
func (t *Tree) Apply(env Env, c *Command, r *Result) {
	t.acls.sweep()
	t.drain()
	t.forgetStaged(env.TimeMs)
	r.reset(t.zxid)
	x := txn{env: env, session: c.Session, auth: c.Auth, enforce: c.EnforceQuota, local: c.Local, r: r}
	switch c.Kind {
	case KindWrite:
		t.applyWrite(&x, c)
	case KindMulti:
		t.applyMulti(&x, c)
	case KindCreateSession:
		t.createSession(&x, c)
	case KindAttachSession:
		t.attachSession(&x, c)
	case KindCloseSession:
		t.closeSession(&x, c)
	case KindExpire:
		t.expire(&x, c)
	case KindReap:
		t.reapNodes(&x, c)
	case KindConfig:
		t.setConfig(&x, c)
	case KindStage:
		t.stage(&x, c)
	case KindRestore:
		t.restoreStaged(&x, c)
	case KindUnstage:
		if t.staged != nil && t.staged.id == c.Stage {
			t.unstage()
		}
	default:
		r.Code = zk.ErrUnimplemented
	}
}

// txn is the command being applied.
type txn struct {
	env     Env
	session int64
	auth    []zk.ID
	enforce bool // of quotas
	local   bool // the session is not in the table
	zxid    int64
	r       *Result
}

// begin gives the transaction its zxid.
func (t *Tree) begin(x *txn) {
	t.zxid++
	x.zxid = t.zxid
	x.r.Zxid = t.zxid
}

func (x *txn) event(e zk.EventType, path string, acl uint32) {
	x.r.Events = append(x.r.Events, Event{Type: e, Path: path, Zxid: x.zxid, ACL: acl})
}
