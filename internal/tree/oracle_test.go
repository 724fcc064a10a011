//go:build oracle

package tree_test

// The oracle test sends the same random commands to a running ZooKeeper and to the tree, and compares codes, zxids, Stats, ACLs,
// children, multi results and events. The server must be fresh and standalone (its zxids start at 1), know the super user and
// have extended types:
//
//	java -Dzookeeper.extendedTypesEnabled=true -Dznode.container.checkIntervalMs=100000000 \
//	     -Dzookeeper.DigestAuthenticationProvider.superDigest=super:0bX78nEegDzJM3ju0iLBEJdWzjg= … ZooKeeperServerMain zoo.cfg
//	ZOOKEEPER=127.0.0.1:2181 go test -tags oracle -run TestOracle ./internal/tree
//
// ORACLE_STEPS and ORACLE_SEED choose how much and what.

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopherwood/internal/tree"
	"gopherwood/zk"
)

// jute builds and reads ZooKeeper's records. After an error everything read is zero.
type jute struct{ b []byte }

func (j *jute) int(v int32)     { j.b = binary.BigEndian.AppendUint32(j.b, uint32(v)) }
func (j *jute) long(v int64)    { j.b = binary.BigEndian.AppendUint64(j.b, uint64(v)) }
func (j *jute) string(s string) { j.int(int32(len(s))); j.b = append(j.b, s...) }
func (j *jute) bool(v bool) {
	if v {
		j.b = append(j.b, 1)
	} else {
		j.b = append(j.b, 0)
	}
}
func (j *jute) buffer(d []byte) {
	if d == nil {
		j.int(-1)
		return
	}
	j.string(string(d))
}
func (j *jute) acl(acl []zk.ACL) {
	j.int(int32(len(acl)))
	for _, a := range acl {
		j.int(int32(a.Perms))
		j.string(a.ID.Scheme)
		j.string(a.ID.ID)
	}
}

func (j *jute) take(n int) []byte {
	if n > len(j.b) {
		panic("reply cut short")
	}
	v := j.b[:n]
	j.b = j.b[n:]
	return v
}
func (j *jute) readInt() int32  { return int32(binary.BigEndian.Uint32(j.take(4))) }
func (j *jute) readLong() int64 { return int64(binary.BigEndian.Uint64(j.take(8))) }
func (j *jute) readBool() bool  { return j.take(1)[0] != 0 }
func (j *jute) readData() []byte {
	n := j.readInt()
	if n < 0 {
		return nil
	}
	return append([]byte{}, j.take(int(n))...)
}
func (j *jute) readString() string { return string(j.readData()) }
func (j *jute) readStat() zk.Stat {
	return zk.Stat{Czxid: j.readLong(), Mzxid: j.readLong(), Ctime: j.readLong(), Mtime: j.readLong(), Version: j.readInt(), Cversion: j.readInt(),
		Aversion: j.readInt(), EphemeralOwner: j.readLong(), DataLength: j.readInt(), NumChildren: j.readInt(), Pzxid: j.readLong()}
}
func (j *jute) readACL() (acl []zk.ACL) {
	for n := j.readInt(); n > 0; n-- {
		acl = append(acl, zk.ACL{Perms: zk.Perms(j.readInt()), ID: zk.ID{Scheme: j.readString(), ID: j.readString()}})
	}
	return acl
}

// peer is one connection to ZooKeeper, and its session.
type peer struct {
	t      *testing.T
	conn   net.Conn
	xid    int32
	id     int64
	auth   []zk.ID
	events []string
}

func (p *peer) send(b []byte) {
	if _, err := p.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) receive() jute {
	var n [4]byte
	p.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(p.conn, n[:]); err != nil {
		p.t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(n[:]))
	if _, err := io.ReadFull(p.conn, b); err != nil {
		p.t.Fatal(err)
	}
	return jute{b}
}

func connect(t *testing.T, password string) *peer {
	conn, err := net.Dial("tcp", os.Getenv("ZOOKEEPER"))
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, conn: conn, auth: []zk.ID{{Scheme: "ip", ID: "127.0.0.1"}}}
	var j jute
	j.int(0)
	j.long(0)
	j.int(600000)
	j.long(0)
	j.buffer(make([]byte, 16))
	j.bool(false)
	p.send(j.b)
	r := p.receive()
	r.readInt()
	r.readInt()
	p.id = r.readLong()
	if password != "" {
		var j jute
		j.int(-4)
		j.int(100)
		j.int(0)
		j.string("digest")
		j.string(password)
		p.send(j.b)
		r := p.receive()
		r.readInt()
		r.readLong()
		if err := r.readInt(); err != 0 {
			t.Fatal("auth: ", err)
		}
		user, _, _ := strings.Cut(password, ":")
		if user == "super" {
			p.auth = append(p.auth, zk.ID{Scheme: "super"})
		}
		p.auth = append(p.auth, zk.ID{Scheme: "digest", ID: digests[password]})
	}
	return p
}

// digests is what DigestAuthenticationProvider makes of the passwords.
var digests = map[string]string{
	"super:pw": "super:0bX78nEegDzJM3ju0iLBEJdWzjg=",
	"bob:pw":   "bob:" + bobDigest,
}

const bobDigest = "ikIaKsbtGweaHnb/jKn7OHqbunM="

// call sends one request and waits for its reply; events that come before it are noted.
func (p *peer) call(op zk.OpCode, body func(j *jute)) (zk.Code, int64, jute) {
	p.xid++
	var j jute
	j.int(p.xid)
	j.int(int32(op))
	body(&j)
	p.send(j.b)
	for {
		r := p.receive()
		xid, zxid, code := r.readInt(), r.readLong(), zk.Code(r.readInt())
		if xid == -1 {
			typ := zk.EventType(r.readInt())
			r.readInt()
			p.events = append(p.events, fmt.Sprintf("%d %d %s", zxid, typ, r.readString()))
			continue
		}
		if xid != p.xid {
			p.t.Fatalf("reply %d to request %d", xid, p.xid)
		}
		return code, zxid, r
	}
}

func writeOp(j *jute, o *tree.Op) {
	j.string(o.Path)
	switch o.Code {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		j.buffer(o.Data)
		j.acl(o.ACL)
		j.int(int32(o.Mode))
		if o.Code == zk.OpCreateTTL {
			j.long(o.TTL)
		}
	case zk.OpSetData:
		j.buffer(o.Data)
		j.int(o.Version)
	case zk.OpSetACL:
		j.acl(o.ACL)
		j.int(o.Version)
	default:
		j.int(o.Version)
	}
}

// timeless is a Stat without the times of two different clocks.
func timeless(s zk.Stat) zk.Stat {
	s.Ctime, s.Mtime = 0, 0
	return s
}

// rival is a tree beside a ZooKeeper.
type rival struct {
	t      *testing.T
	rng    *rand.Rand
	tree   *tree.Tree
	r      tree.Result
	peers  []*peer
	super  *peer
	log    []string // last commands
	heard  []string // events of the tree, as the super user's persistent recursive watch of / hears of them
	counts map[string]int
}

func (v *rival) fatal(format string, args ...any) {
	v.t.Helper()
	v.t.Fatalf("%s\nlast commands:\n%s", fmt.Sprintf(format, args...), strings.Join(v.log[max(0, len(v.log)-12):], "\n"))
}

func (v *rival) apply(c *tree.Command) {
	v.tree.Apply(tree.Env{Term: 1, TimeMs: time.Now().UnixMilli(), Origin: 1}, c, &v.r)
	if c.Kind == tree.KindCloseSession {
		return // the order is another: see close
	}
	for _, e := range v.r.Events {
		if e.Type != zk.EventNodeChildrenChanged {
			v.heard = append(v.heard, fmt.Sprintf("%d %d %s", e.Zxid, e.Type, e.Path))
		}
	}
}

func (v *rival) open(password string) *peer {
	p := connect(v.t, password)
	v.apply(&tree.Command{Kind: tree.KindCreateSession, Session: p.id, Timeout: 600000})
	return p
}

// close ends a session on both sides. ZooKeeper's order of its nodes is that of a hash, so what the super user hears is sorted.
func (v *rival) close(p *peer) {
	v.log = append(v.log, fmt.Sprintf("close %x", p.id))
	v.listen()
	code, zxid, _ := p.call(zk.OpCloseSession, func(*jute) {})
	p.conn.Close()
	v.apply(&tree.Command{Kind: tree.KindCloseSession, Session: p.id})
	if code != v.r.Code || zxid != v.r.Zxid {
		v.fatal("close: ZooKeeper %v %d, tree %v %d", code, zxid, v.r.Code, v.r.Zxid)
	}
	v.super.call(zk.OpExists, func(j *jute) { j.string("/"); j.bool(false) })
	var mine []string
	for _, e := range v.r.Events {
		if e.Type != zk.EventNodeChildrenChanged {
			mine = append(mine, fmt.Sprintf("%d %d %s", e.Zxid, e.Type, e.Path))
		}
	}
	sort.Strings(mine)
	sort.Strings(v.super.events)
	if !slices.Equal(mine, v.super.events) {
		v.fatal("close: ZooKeeper fires %q, tree %q", v.super.events, mine)
	}
	v.super.events = nil
}

// listen compares the events so far. They reach a connection before the reply to its next request.
func (v *rival) listen() {
	v.super.call(zk.OpExists, func(j *jute) { j.string("/"); j.bool(false) })
	if !slices.Equal(v.super.events, v.heard) {
		v.fatal("ZooKeeper fires %q, tree %q", v.super.events, v.heard)
	}
	v.super.events, v.heard = nil, nil
}

func (v *rival) write(p *peer, o tree.Op) {
	v.log = append(v.log, fmt.Sprintf("%x as %v: %+v", p.id, p.auth, o))
	code, zxid, r := p.call(o.Code, func(j *jute) { writeOp(j, &o) })
	v.apply(&tree.Command{Kind: tree.KindWrite, Session: p.id, Auth: p.auth, Ops: []tree.Op{o}})
	if code != v.r.Code || zxid != v.r.Zxid {
		v.fatal("ZooKeeper %v zxid %d, tree %v zxid %d", code, zxid, v.r.Code, v.r.Zxid)
	}
	v.counts[fmt.Sprintf("op %d: %v", o.Code, code)]++
	if code != zk.OK {
		return
	}
	v.compareResult(o.Code, &r, tree.OpResult{Path: v.r.Path, Stat: v.r.Stat})
}

func (v *rival) compareResult(op zk.OpCode, r *jute, got tree.OpResult) {
	switch op {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		if path := r.readString(); path != got.Path {
			v.fatal("ZooKeeper created %q, tree %q", path, got.Path)
		}
		if op == zk.OpCreate {
			return
		}
		fallthrough
	case zk.OpSetData, zk.OpSetACL:
		if s := r.readStat(); timeless(s) != timeless(got.Stat) {
			v.fatal("ZooKeeper %+v, tree %+v", s, got.Stat)
		}
	}
}

func (v *rival) multi(p *peer, ops []tree.Op) {
	v.log = append(v.log, fmt.Sprintf("%x as %v: multi %+v", p.id, p.auth, ops))
	code, zxid, r := p.call(zk.OpMulti, func(j *jute) {
		for i := range ops {
			j.int(int32(ops[i].Code))
			j.bool(false)
			j.int(-1)
			writeOp(j, &ops[i])
		}
		j.int(-1)
		j.bool(true)
		j.int(-1)
	})
	v.apply(&tree.Command{Kind: tree.KindMulti, Session: p.id, Auth: p.auth, Ops: ops})
	if code != v.r.Code || zxid != v.r.Zxid {
		v.fatal("multi: ZooKeeper %v zxid %d, tree %v zxid %d", code, zxid, v.r.Code, v.r.Zxid)
	}
	v.counts[fmt.Sprintf("multi: %v", v.r.Failed())]++
	for i := 0; ; i++ {
		typ, done, err := zk.OpCode(r.readInt()), r.readBool(), zk.Code(r.readInt())
		if done {
			if i != len(v.r.Ops) {
				v.fatal("multi: ZooKeeper has %d results, tree %d", i, len(v.r.Ops))
			}
			return
		}
		got := v.r.Ops[i]
		if typ != got.Type || err != got.Code {
			v.fatal("multi: result %d: ZooKeeper %d %v, tree %d %v", i, typ, err, got.Type, got.Code)
		}
		if typ == zk.OpError {
			r.readInt()
			continue
		}
		v.compareResult(typ, &r, got)
	}
}

// read compares every read of one path.
func (v *rival) read(p *peer, path string) {
	pathOnly := func(j *jute) { j.string(path) }
	unwatched := func(j *jute) { j.string(path); j.bool(false) }
	check := func(what string, code, mine zk.Code) bool {
		if code != mine {
			v.fatal("%s %q as %v: ZooKeeper %v, tree %v", what, path, p.auth, code, mine)
		}
		return code == zk.OK
	}
	code, zxid, r := p.call(zk.OpExists, unwatched)
	stat, mine := v.tree.Exists(path, p.auth)
	if check("exists", code, mine) {
		if s := r.readStat(); timeless(s) != timeless(stat) {
			v.fatal("exists %q: ZooKeeper %+v, tree %+v", path, s, stat)
		}
	}
	if zxid != v.tree.LastZxid() {
		v.fatal("ZooKeeper is at zxid %d, tree at %d", zxid, v.tree.LastZxid())
	}
	code, _, r = p.call(zk.OpGetData, unwatched)
	data, stat, mine := v.tree.Get(path, p.auth)
	if check("get", code, mine) {
		if d := r.readData(); !bytes.Equal(d, data) || (d == nil) != (data == nil) {
			v.fatal("get %q: ZooKeeper %q, tree %q", path, d, data)
		}
		if s := r.readStat(); timeless(s) != timeless(stat) {
			v.fatal("get %q: ZooKeeper %+v, tree %+v", path, s, stat)
		}
	}
	code, _, r = p.call(zk.OpGetChildren2, unwatched)
	var names, theirs []string
	_, mine = v.tree.Children(path, p.auth, func(n []byte) bool { names = append(names, string(n)); return true })
	if check("children", code, mine) {
		for n := r.readInt(); n > 0; n-- {
			theirs = append(theirs, r.readString())
		}
		sort.Strings(names)
		sort.Strings(theirs)
		if !slices.Equal(names, theirs) {
			v.fatal("children of %q: ZooKeeper %q, tree %q", path, theirs, names)
		}
	}
	code, _, r = p.call(zk.OpGetACL, pathOnly)
	acl, _, mine := v.tree.ACL(path, p.auth)
	if check("ACL", code, mine) {
		if a := r.readACL(); !slices.Equal(a, acl) {
			v.fatal("ACL of %q: ZooKeeper %v, tree %v", path, a, acl)
		}
	}
	if path != "" { // there ZooKeeper counts its two names of the root
		code, _, r = p.call(zk.OpGetAllChildrenNumber, pathOnly)
		n, mine := v.tree.AllChildrenNumber(path, p.auth)
		if check("count", code, mine) {
			if m := r.readInt(); m != n {
				v.fatal("nodes below %q: ZooKeeper %d, tree %d", path, m, n)
			}
		}
	}
}

// drawn adapts the generators of the property test to this one's identities.
func (v *rival) op(inMulti bool) tree.Op {
	o := genOp.Example(int(v.rng.Uint32() >> 1))
	o.Data = o.Data[:min(len(o.Data), 20)]
	o.ACL = slices.Clone(o.ACL)
	for i := range o.ACL {
		if o.ACL[i].ID == bob {
			o.ACL[i].ID.ID = digests["bob:pw"]
		}
		if o.ACL[i].ID == home {
			o.ACL[i].ID.ID = "127.0.0.1"
		}
	}
	if v.rng.IntN(3) > 0 {
		o.Version = -1
	}
	switch {
	case !inMulti && o.Code == zk.OpCheck: // its reply cannot be written (FinalRequestProcessor)
		return v.op(inMulti)
	case o.Code == zk.OpCreateTTL && !o.Mode.IsTTL() && o.TTL < 0: // throws in DataTree
		return v.op(inMulti)
	case inMulti && (o.Code == zk.OpSetACL || !o.Mode.IsValid() || o.Mode.IsTTL() && o.Code != zk.OpCreateTTL): // does not decode
		return v.op(inMulti)
	case inMulti && o.Code == zk.OpCreateTTL && !o.Mode.IsTTL():
		return v.op(inMulti)
	}
	return o
}

func environment(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func TestOracle(t *testing.T) {
	if os.Getenv("ZOOKEEPER") == "" {
		t.Skip("ZOOKEEPER is not set")
	}
	seed := environment("ORACLE_SEED", int(time.Now().UnixNano()))
	t.Log("seed ", seed)
	v := &rival{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 1)), tree: tree.New(tree.Options{}), counts: map[string]int{}}
	passwords := []string{"", "bob:pw", "super:pw", "", "bob:pw"}
	for _, w := range passwords {
		v.peers = append(v.peers, v.open(w))
	}
	v.super = v.open("super:pw")
	if code, _, _ := v.super.call(zk.OpAddWatch, func(j *jute) { j.string("/"); j.int(1) }); code != zk.OK {
		t.Fatal("addWatch: ", code)
	}
	for step := range environment("ORACLE_STEPS", 20000) {
		i := v.rng.IntN(len(v.peers))
		switch n := v.rng.IntN(100); {
		case n < 55:
			v.write(v.peers[i], v.op(false))
		case n < 80:
			var ops []tree.Op
			for range v.rng.IntN(5) {
				ops = append(ops, v.op(true))
			}
			v.multi(v.peers[i], ops)
		case n < 98:
			v.read(v.peers[i], genPath.Example(step))
		case n < 99:
			v.close(v.peers[i])
			v.peers[i] = v.open(passwords[i])
		default:
			v.listen()
		}
	}
	for _, what := range slices.Sorted(func(yield func(string) bool) {
		for k := range v.counts {
			if !yield(k) {
				return
			}
		}
	}) {
		t.Logf("%6d × %s", v.counts[what], what)
	}
}
