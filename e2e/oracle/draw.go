package oracle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"

	"gopherwood/zk"
)

// drawer makes scripts from a seed. It believes that its requests succeed: that is a model good enough to hit nodes that are there,
// their parents and their sequence numbers about as often as not.
type drawer struct {
	rng     *rand.Rand
	live    []string       // paths that are believed to be there; the first is "/"
	counter map[string]int // creates per parent
	clients []string
	chroots map[string]string
}

// Draw returns n steps. The same seed and n give the same steps.
func Draw(seed uint64, n int) []Step {
	d := &drawer{rng: rand.New(rand.NewPCG(seed, 0x60f)), live: []string{"/"}, counter: map[string]int{}, chroots: map[string]string{}}
	var steps []Step
	for i := range 2 + d.rng.IntN(2) {
		name := fmt.Sprintf("c%d", i+1)
		d.clients = append(d.clients, name)
		s := Step{Client: name, Verb: "open"}
		if d.one(8) {
			s.Chroot = pick(d, "/a", "/b")
		}
		steps = append(steps, s)
		if d.one(3) {
			steps = append(steps, Step{Client: name, Verb: "auth", Scheme: "digest", ID: pick(d, "bob:pw", "amy:pw", "bob:pw", SuperPassword)})
		}
	}
	for len(steps) < n {
		s := d.step()
		s.Client = pick(d, d.clients...)
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
		for range d.rng.IntN(5) {
			m := Step{Verb: pick(d, "create", "create", "create2", "createContainer", "createTTL", "delete", "delete", "setData", "check"), Data: []byte{}, ACL: anyone, Version: -1}
			d.write(&m)
			s.Members = append(s.Members, m)
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

// write draws the rest of a write or check, and believes that it succeeds.
func (d *drawer) write(s *Step) {
	if s.Version = -1; d.one(4) {
		s.Version = pick[int32](d, 0, 1, 2, 5, -2)
	}
	switch s.Verb {
	case "delete", "check":
		s.Path = d.path()
		if s.Verb == "delete" && d.one(2) {
			s.Path = d.live[len(d.live)-1] // a leaf, most likely
		}
		if s.Verb == "delete" {
			s.Path = d.spared(s.Path)
			d.forget(s.Path)
		}
	case "setData":
		s.Path = d.own(d.path())
		d.data(s)
	case "setACL":
		s.Path, s.ACL = d.own(d.spared(d.path())), d.acl()
	default:
		d.create(s)
	}
}

func (d *drawer) create(s *Step) {
	parent := pick(d, d.live...)
	s.Path = zk.Join(parent, pick(d, "a", "b", "c", "q-", "q-", "x"))
	odd := d.one(15)
	if odd {
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
	if odd {
		if strings.HasPrefix(s.Path, "!/") && zk.CreateMode(s.Flags).IsSequential() {
			s.Path = "/a" // the root's sequence numbers are all runs'
		}
		return
	}
	if zk.CreateMode(s.Flags).IsSequential() {
		d.live = append(d.live, fmt.Sprintf("%s%010d", s.Path, d.counter[parent]))
	} else if !slices.Contains(d.live, s.Path) {
		d.live = append(d.live, s.Path)
	}
	d.counter[parent]++
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

func (d *drawer) forget(path string) {
	if i := slices.Index(d.live, path); i > 0 {
		d.live = slices.Delete(d.live, i, i+1)
	}
}

// path is a node that is there, most likely.
func (d *drawer) path() string {
	if d.one(40) {
		return d.odd()
	}
	return d.plain()
}

func (d *drawer) plain() string {
	if !d.one(4) {
		return pick(d, d.live...)
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
