package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf8"

	"gopherwood/zk"
)

// drawer makes scripts from a seed. It never sees an answer.
type drawer struct {
	rng     *rand.Rand
	belief  belief
	clients []string
	chroots map[string]string // of clients that have one
	client  string            // whose step is being drawn
}

// Draw returns n steps. The same seed and n give the same steps.
func Draw(seed uint64, n int) []Step {
	d := &drawer{rng: rand.New(rand.NewPCG(seed, 0x60f)), belief: newBelief(), chroots: map[string]string{}}
	var steps []Step
	for i := range 2 + d.rng.IntN(2) {
		name := fmt.Sprintf("c%d", i+1)
		d.clients = append(d.clients, name)
		s := Step{Client: name, Verb: "open"}
		if d.one(8) {
			s.Chroot = pick(d, "/a", "/b")
			d.chroots[name] = s.Chroot
		}
		steps = append(steps, s)
		if d.one(3) {
			steps = append(steps, Step{Client: name, Verb: "auth", Scheme: "digest", ID: pick(d, "bob:pw", "amy:pw", "bob:pw", SuperPassword)})
		}
	}
	for len(steps) < n {
		d.client = pick(d, d.clients...)
		s := d.step()
		s.Client = d.client
		if s.Verb == "expire" || s.Verb == "close" {
			d.belief.end(d.client)
		}
		if s.Verb == "open" {
			delete(d.chroots, d.client)
		}
		steps = append(steps, s)
	}
	return steps
}

func pick[T any](d *drawer, of ...T) T { return of[d.rng.IntN(len(of))] }

// one is true once in n.
func (d *drawer) one(n int) bool { return d.rng.IntN(n) == 0 }

// weights say how often a verb is drawn, in a thousand or so.
var weights = []struct {
	verb   string
	weight int
}{
	{"create", 110}, {"create2", 60}, {"createContainer", 20}, {"createTTL", 20}, {"delete", 90}, {"setData", 80}, {"setACL", 25},
	{"exists", 90}, {"getData", 90}, {"getChildren", 40}, {"getChildren2", 50}, {"getACL", 20}, {"getAllChildrenNumber", 12}, {"getEphemerals", 10},
	{"multi", 80}, {"multiRead", 20}, {"sync", 10}, {"ping", 10}, {"whoAmI", 5}, {"auth", 8}, {"addWatch", 45}, {"checkWatches", 15},
	{"removeWatches", 25}, {"setWatches", 6}, {"setWatches2", 12}, {"reconnect", 8}, {"move", 5}, {"badpass", 2}, {"future", 1},
	{"expire", 1}, {"close", 4}, {"open", 1}, {"check", 1}, {"raw", 2},
}

func (d *drawer) verb() string {
	total := 0
	for _, w := range weights {
		total += w.weight
	}
	n := d.rng.IntN(total)
	for _, w := range weights {
		if n -= w.weight; n < 0 {
			return w.verb
		}
	}
	panic("oracle: weights do not add up")
}

func (d *drawer) step() Step {
	s := Step{Verb: d.verb(), Data: []byte{}, ACL: anyone, Version: -1}
	switch s.Verb {
	case "create", "create2", "createContainer", "createTTL", "delete", "setData", "setACL", "check":
		d.write(&s)
	case "exists", "getData", "getChildren", "getChildren2":
		s.Path, s.Watch = d.path(), d.one(2)
	case "getACL", "getAllChildrenNumber", "sync":
		s.Path = d.path()
		if s.Verb == "getAllChildrenNumber" {
			s.Path = d.own(s.Path)
		} else if s.Verb == "sync" && !utf16Clean(s.Path) { // its reply would show what Java makes of such a string
			s.Path = "/a"
		}
	case "getEphemerals":
		s.Path = pick(d, "!", "!/", "/", "/a", "/q", "! ")
	case "multi":
		before, failed := d.belief.clone(), false
		for range d.rng.IntN(5) {
			m := Step{Verb: pick(d, "create", "create", "create2", "createContainer", "createTTL", "delete", "delete", "setData", "setData", "check"),
				Data: []byte{}, ACL: anyone, Version: -1}
			failed = !d.write(&m) || failed
			s.Members = append(s.Members, m)
		}
		if failed {
			d.belief = before
		}
	case "multiRead":
		for range d.rng.IntN(4) {
			s.Members = append(s.Members, Step{Verb: pick(d, "getData", "getChildren"), Path: d.path(), Data: []byte{}, ACL: anyone, Version: -1, Watch: d.one(4)})
		}
	case "auth":
		s.Scheme, s.ID = "digest", pick(d, "bob:pw", "amy:pw", "bob:other", "noname", "")
		if d.one(5) {
			s.Scheme, s.ID = pick(d, "nosuch", "world", "ip", "auth"), pick(d, "anyone", "127.0.0.1")
		}
	case "addWatch":
		s.Path, s.Mode = d.own(d.path()), int32(pick(d, 0, 1))
		if d.one(30) {
			s.Mode = pick[int32](d, -1, 2, 7)
		}
	case "checkWatches", "removeWatches":
		s.Path, s.Mode = d.path(), pick[int32](d, 1, 2, 3, 3, 4, 5)
		if d.one(30) {
			s.Mode = pick[int32](d, 0, -1, 6, 9)
		}
	case "setWatches", "setWatches2":
		d.setWatches(&s)
	case "open":
		s.Timeout = pick[int32](d, 0, 40000, 100000000)
	case "raw":
		s.Code, s.Body = pick[int32](d, 0, 10, 13, 23, 99, 108, -2, 1<<30), pick(d, []byte{}, []byte{0, 0, 0, 1}, []byte{255, 255, 255, 254, 0})
	}
	return s
}

func (d *drawer) setWatches(s *Step) {
	s.Rel = pick(d, "", "", "", "0", "future")
	lists := 3
	if s.Verb == "setWatches2" {
		lists = 5
	}
	for i := range lists {
		for range d.rng.IntN(3) {
			s.Paths[i] = append(s.Paths[i], d.plain())
		}
	}
}

// write draws the rest of a write or check, and says whether it is believed to succeed.
func (d *drawer) write(s *Step) bool {
	switch s.Verb {
	case "delete":
		if s.Path = d.path(); !d.one(4) {
			s.Path = d.last()
		}
		s.Path = d.spared(s.Path)
	case "check":
		s.Path = d.path()
	case "setData":
		s.Path = d.own(d.path())
		d.data(s)
	case "setACL":
		s.Path, s.ACL = d.own(d.spared(d.path())), d.acl()
		if d.one(4) {
			s.Version = pick[int32](d, 0, 1, 2)
		}
		return true
	default:
		d.create(s)
	}
	if d.one(4) {
		s.Version = pick[int32](d, 0, 1, 2, 5, -2)
		if n := d.belief.find(below(d.chroots[d.client], s.Path)); n != nil && !d.one(3) {
			s.Version = n.version
		}
	}
	return d.belief.apply(s, d.client, d.chroots[d.client])
}

// seen is the paths that the client believes to be there, as it calls them: those below its chroot.
func (d *drawer) seen() []string {
	root := d.chroots[d.client]
	paths := []string{"/"}
	for _, n := range d.belief.nodes[1:] {
		if rest, ok := strings.CutPrefix(n.path, root); ok && strings.HasPrefix(rest, "/") {
			paths = append(paths, rest)
		}
	}
	return paths
}

// last is one of the newest nodes: a leaf, most likely.
func (d *drawer) last() string {
	paths := d.seen()
	return pick(d, paths[max(0, len(paths)-4):]...)
}

func (d *drawer) create(s *Step) {
	s.Path = d.free()
	if d.one(20) {
		s.Path = d.odd()
	}
	d.data(s)
	if d.one(6) {
		s.ACL = d.acl()
	}
	switch s.Verb {
	case "createContainer":
		s.Flags = int32(zk.ModeContainer)
	case "createTTL":
		s.Flags, s.TTL = pick[int32](d, 5, 5, 6), pick[int64](d, 1, 600000, 600000, 1<<40-1)
		if d.one(12) {
			s.TTL = pick[int64](d, 0, 1<<40, 1<<62)
		}
	default:
		if s.Flags = pick[int32](d, 0, 0, 0, 0, 1, 1, 2, 3); d.one(30) {
			s.Flags = pick[int32](d, 4, 4, 5, 6, 7, -1)
		}
	}
	if strings.HasPrefix(s.Path, "!/") && zk.CreateMode(s.Flags).IsSequential() {
		s.Path = "/a" // the root's sequence numbers are all runs'
	}
}

// free is the path of a node that might be made: seldom below an ephemeral node, or where there is one.
func (d *drawer) free() string {
	path := ""
	for range 4 {
		parents := d.seen()
		if len(parents) > crowd {
			parents = parents[:crowd]
		}
		parent := pick(d, parents...)
		path = zk.Join(parent, pick(d, "a", "b", "c", "q-", "q-", "x"))
		above, there := d.belief.find(below(d.chroots[d.client], parent)), d.belief.find(below(d.chroots[d.client], path))
		if (above == nil || above.owner == "") && there == nil {
			break
		}
	}
	return path
}

// spared is path, but seldom the run's root: without it, or without a permission on it, all else fails.
func (d *drawer) spared(path string) string {
	if path == "!/zookeeper/quota" {
		return "!/zookeeper"
	}
	if path == "/" && !d.one(20) {
		return "/a"
	}
	return path
}

// own is path, but none that all runs share.
func (d *drawer) own(path string) string {
	if strings.HasPrefix(path, "!") {
		return "/a/b"
	}
	return path
}

// path is a node that is there, most likely.
func (d *drawer) path() string {
	if d.one(40) {
		return d.odd()
	}
	return d.plain()
}

func (d *drawer) plain() string {
	if !d.one(6) {
		return pick(d, d.seen()...)
	}
	return zk.Join(pick(d, "/", "/a", "/b", "/a/b"), pick(d, "a", "b", "c", "q-0000000001", "x"))
}

// odd paths: malformed, not ASCII, beyond the run's root.
func (d *drawer) odd() string {
	return pick(d, "!", "!/", "!/zookeeper", "!/zookeeper/quota", "!rel", "!rel/a", "!//", "/a/", "/a//b", "/a/./b", "/a/..", "/.", "/ü", "/漢/字", "/漢", "/a b", "/...",
		"/\x00", "/a\x01b", "/a\x7f", "/\u0085", "/\ue000", "/\ufff0", "/😀", "/a\xffb", "/zookeeper", "/"+string(make([]byte, 3)), "/%41", "/-", "/\u200b", "/e\u0301")
}

// utf16Clean says whether Java's encoder gives a path back as it was.
func utf16Clean(path string) bool {
	return utf8.ValidString(path) && !strings.ContainsFunc(path, func(r rune) bool { return r > 0xffff })
}

func (d *drawer) data(s *Step) {
	switch d.rng.IntN(12) {
	case 0:
		s.Data = nil
	case 1, 2:
		s.Data = []byte{}
	case 3:
		s.Data = []byte{0, 255, 13, 10}
	case 4:
		s.Fill = pick(d, 100, 1000, 10000, 10000)
		if d.one(40) {
			s.Fill = pick(d, 200000, 1000000, 1100000)
		}
	default:
		s.Data = fmt.Appendf(nil, "%d", d.rng.IntN(1000))
	}
}

// acl is one of many; some are invalid.
func (d *drawer) acl() []zk.ACL {
	id := func(scheme, name string, perms ...zk.Perms) zk.ACL {
		return zk.ACL{Perms: pick(d, perms...), ID: zk.ID{Scheme: scheme, ID: name}}
	}
	all := []zk.Perms{31, 31, 31, 1, 2, 4, 8, 16, 3, 15, 0}
	bob, amy := "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=", "amy:ytedbzoRRPHPjfCmtagR0pUO0cI="
	valid := func() zk.ACL {
		return pick(d, id("world", "anyone", all...), id("world", "anyone", all...), id("auth", "", all...), id("digest", bob, all...), id("digest", amy, all...),
			id("ip", "127.0.0.1", all...), id("ip", "127.0.0.0/8", all...), id("ip", "10.1.2.3", all...))
	}
	switch {
	case d.one(12):
		return pick(d, nil, []zk.ACL{}, []zk.ACL{id("nosuch", "x", 31)}, []zk.ACL{id("world", "someone", 31)}, []zk.ACL{id("digest", "no-colon", 31)},
			[]zk.ACL{id("ip", "300.1.1.1", 31)}, []zk.ACL{id("ip", "1.2.3.4/40", 31)}, []zk.ACL{id("world", "anyone", 64, -1, 63)}, []zk.ACL{id("super", "", 31)},
			[]zk.ACL{id("auth", "ignored", 31)}, []zk.ACL{id("x509", "CN=a", 31)}, []zk.ACL{id("sasl", "a", 31)})
	case d.one(2):
		return []zk.ACL{id("world", "anyone", 31, 31, 31, 1, 17, 30), valid()}
	case d.one(4):
		v := valid()
		return []zk.ACL{v, v}
	}
	return []zk.ACL{valid()}
}
