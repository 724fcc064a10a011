package server

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

var rewrite = flag.Bool("rewrite", false, "write the scripts' output into testdata")

// TestScripts runs testdata/*.txt: clients at work on two servers. "name = I" connects a client to server I; other lines are a
// client and its request, see script.request. What was answered follows after "→": result @zxid, and before it the events that
// came first, each in brackets. # starts a comment.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run("tls/"+filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := runScript(t, string(raw), anonymousGuard(t)); got != string(raw) {
				t.Errorf("output differs over TLS:\n%s", got)
			}
		})
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(raw), nil)
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(raw) {
				t.Errorf("output differs (-rewrite accepts it):\n%s", got)
			}
		})
	}
}

// runScript is the script with what its clients see, who connect through g.
func runScript(t *testing.T, text string, g *guard) string {
	s := &script{t: t, e: newEnsemble(t, 2, func(c *Config) { c.SuperDigest = (&Server{}).digestID("super:duper") }), clients: map[string]*rawClient{}}
	s.e.guard = g
	var out strings.Builder
	for line := range strings.Lines(text) {
		command := strings.TrimSpace(strings.SplitN(line, "→", 2)[0])
		if command == "" || command[0] == '#' {
			out.WriteString(line)
			continue
		}
		fmt.Fprintf(&out, "%-44s → %s\n", command, s.run(strings.Fields(command)))
	}
	return out.String()
}

type script struct {
	t       *testing.T
	e       *ensemble
	clients map[string]*rawClient
}

func (s *script) run(f []string) string {
	defer s.e.quiet()
	if len(f) == 3 && f[1] == "=" {
		i, err := strconv.Atoi(f[2])
		if err != nil {
			s.t.Fatal(err)
		}
		s.clients[f[0]] = s.e.client(i)
		return "connected"
	}
	c := s.clients[f[0]]
	if c == nil {
		s.t.Fatalf("no client %q", f[0])
	}
	if f[1] == "ended" {
		c.ended()
		return "yes"
	}
	op, r, show := s.request(f[1], f[2:])
	h, d := c.call(op, r)
	var out strings.Builder
	for _, e := range c.events {
		fmt.Fprintf(&out, "[%s] ", e)
	}
	c.events = nil
	switch {
	case h.Err != zk.OK:
		fmt.Fprintf(&out, "%v", h.Err)
		if d.Remaining() != 0 {
			fmt.Fprintf(&out, " and %d bytes", d.Remaining())
		}
	case show == nil:
		out.WriteString("ok")
	default:
		out.WriteString(show(d))
	}
	if d.Err() != nil || d.Remaining() != 0 {
		fmt.Fprintf(&out, " (%d bytes left, %v)", d.Remaining(), d.Err())
	}
	fmt.Fprintf(&out, " @%d", h.Zxid)
	return out.String()
}

var modes = map[string]zk.CreateMode{"": 0, "ephemeral": zk.ModeEphemeral, "seq": zk.ModePersistentSequential, "container": zk.ModeContainer, "ttl": zk.ModeTTL}

// request makes an operation of words. Words with = are options, "-" is a watch.
//
//	create|create2|container|createttl PATH [DATA] mode= acl= ttl=   delete PATH [VERSION]   set PATH DATA [VERSION]
//	get|exists|ls|ls2 PATH [-]   getacl PATH   setacl PATH acl= [VERSION]   count PATH   ephemerals [PREFIX]   sync PATH
//	multi OP,PATH,DATA…   multiread get,PATH ls,PATH…   auth SCHEME CREDENTIALS   whoami   ping   close
//	setwatches ZXID data= exist= child= persistent= recursive=   addwatch PATH MODE   check|remove PATH TYPE   op N
func (s *script) request(name string, f []string) (zk.OpCode, record, func(*wire.Decoder) string) {
	opts := map[string]string{}
	words := slices.DeleteFunc(slices.Clone(f), func(w string) bool {
		k, v, ok := strings.Cut(w, "=")
		if ok {
			opts[k] = v
		}
		return ok
	})
	word := func(i int) string {
		if i >= 0 && i < len(words) {
			return words[i]
		}
		return ""
	}
	num := func(w string, or int64) int64 {
		if w == "" {
			return or
		}
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return n
	}
	acl := zk.OpenACL()
	if a, ok := opts["acl"]; ok {
		acl = parseACL(a)
	}
	path, watch := word(0), word(len(words)-1) == "-"
	create := wire.CreateRequest{Path: path, Data: []byte(word(1)), ACL: acl, Flags: modes[opts["mode"]]}
	list := func(k string) []string {
		if opts[k] == "" {
			return nil
		}
		return strings.Split(opts[k], ",")
	}
	switch name {
	case "create":
		return zk.OpCreate, &create, func(d *wire.Decoder) string { return d.String() }
	case "create2":
		return zk.OpCreate2, &create, showPathStat
	case "container":
		create.Flags = zk.ModeContainer
		return zk.OpCreateContainer, &create, showPathStat
	case "createttl":
		return zk.OpCreateTTL, &wire.CreateTTLRequest{Path: path, Data: create.Data, ACL: acl, Flags: zk.ModeTTL, TTL: num(opts["ttl"], 1000)}, showPathStat
	case "delete":
		return zk.OpDelete, &wire.DeleteRequest{Path: path, Version: int32(num(word(1), -1))}, nil
	case "set":
		return zk.OpSetData, &wire.SetDataRequest{Path: path, Data: []byte(word(1)), Version: int32(num(word(2), -1))}, showStat
	case "get":
		return zk.OpGetData, &wire.GetDataRequest{Path: path, Watch: watch}, func(d *wire.Decoder) string { return fmt.Sprintf("%q ", d.Buffer()) + showStat(d) }
	case "exists":
		return zk.OpExists, &wire.ExistsRequest{Path: path, Watch: watch}, showStat
	case "ls":
		return zk.OpGetChildren, &wire.GetChildrenRequest{Path: path, Watch: watch}, showNames
	case "ls2":
		return zk.OpGetChildren2, &wire.GetChildren2Request{Path: path, Watch: watch}, func(d *wire.Decoder) string { return showNames(d) + " " + showStat(d) }
	case "getacl":
		return zk.OpGetACL, &wire.GetACLRequest{Path: path}, func(d *wire.Decoder) string { return fmt.Sprint(d.ACLs(nil), " ") + showStat(d) }
	case "setacl":
		return zk.OpSetACL, &wire.SetACLRequest{Path: path, ACL: acl, Version: int32(num(word(1), -1))}, showStat
	case "count":
		return zk.OpGetAllChildrenNumber, &wire.GetAllChildrenNumberRequest{Path: path}, func(d *wire.Decoder) string { return fmt.Sprint(d.Int32()) }
	case "ephemerals":
		return zk.OpGetEphemerals, &wire.GetEphemeralsRequest{PrefixPath: path}, showNames
	case "sync":
		return zk.OpSync, &wire.SyncRequest{Path: path}, func(d *wire.Decoder) string { return d.String() }
	case "multi", "multiread":
		return s.multi(name, words)
	case "auth":
		return zk.OpAuth, &wire.AuthPacket{Scheme: path, Auth: []byte(word(1))}, nil
	case "whoami":
		return zk.OpWhoAmI, nil, func(d *wire.Decoder) string {
			var r wire.WhoAmIResponse
			r.Decode(d)
			return fmt.Sprint(r.ClientInfo)
		}
	case "ping":
		return zk.OpPing, nil, nil
	case "close":
		return zk.OpCloseSession, nil, nil
	case "setwatches":
		sw := wire.SetWatches{RelativeZxid: num(path, 0), DataWatches: list("data"), ExistWatches: list("exist"), ChildWatches: list("child")}
		if p, r := list("persistent"), list("recursive"); p != nil || r != nil {
			return zk.OpSetWatches2, &wire.SetWatches2{SetWatches: sw, PersistentWatches: p, PersistentRecursiveWatches: r}, nil
		}
		return zk.OpSetWatches, &sw, nil
	case "addwatch":
		return zk.OpAddWatch, &wire.AddWatchRequest{Path: path, Mode: zk.AddWatchMode(num(word(1), 0))}, func(d *wire.Decoder) string { return fmt.Sprint("ok ", d.Int32()) }
	case "check":
		return zk.OpCheckWatches, &wire.CheckWatchesRequest{Path: path, Type: zk.WatcherType(num(word(1), 3))}, nil
	case "remove":
		return zk.OpRemoveWatches, &wire.RemoveWatchesRequest{Path: path, Type: zk.WatcherType(num(word(1), 3))}, nil
	case "op":
		return zk.OpCode(num(path, 0)), &create, nil
	}
	s.t.Fatalf("no request %q", name)
	return 0, nil, nil
}

// multi is OP,PATH,DATA members; a set or delete may have a version as a fourth.
func (s *script) multi(name string, words []string) (zk.OpCode, record, func(*wire.Decoder) string) {
	ops := map[string]zk.OpCode{"create": zk.OpCreate, "create2": zk.OpCreate2, "container": zk.OpCreateContainer, "ttl": zk.OpCreateTTL,
		"delete": zk.OpDelete, "set": zk.OpSetData, "check": zk.OpCheck, "get": zk.OpGetData, "ls": zk.OpGetChildren}
	r := &wire.MultiRequest{}
	for _, w := range words {
		p := append(strings.Split(w, ","), "", "", "")
		o := wire.Op{Type: ops[p[0]], Path: p[1], Data: []byte(p[2]), ACL: zk.OpenACL(), Version: -1}
		if p[3] != "" {
			v, err := strconv.Atoi(p[3])
			if err != nil {
				s.t.Fatal(err)
			}
			o.Version = int32(v)
		}
		switch o.Type {
		case zk.OpCreateContainer:
			o.Flags = zk.ModeContainer
		case zk.OpCreateTTL:
			o.Flags, o.TTL = zk.ModeTTL, 1000
		}
		r.Ops = append(r.Ops, o)
	}
	op := zk.OpMulti
	if name == "multiread" {
		op = zk.OpMultiRead
	}
	return op, r, func(d *wire.Decoder) string {
		var m wire.MultiResponse
		m.Decode(d)
		var parts []string
		for _, x := range m.Results {
			switch x.Type {
			case zk.OpError:
				parts = append(parts, fmt.Sprintf("error %d", x.Err))
			case zk.OpGetChildren:
				slices.Sort(x.Children)
				parts = append(parts, fmt.Sprintf("%d %v", x.Type, x.Children))
			default:
				parts = append(parts, strings.TrimSpace(fmt.Sprintf("%d %s %s v%d", x.Type, x.Path, x.Data, x.Stat.Version)))
			}
		}
		return strings.Join(parts, "; ")
	}
}

// parseACL is "scheme:id:perms" parts joined by "|".
func parseACL(text string) (acl []zk.ACL) {
	for p := range strings.SplitSeq(text, "|") {
		if p == "" {
			continue
		}
		i := strings.LastIndexByte(p, ':')
		scheme, id, _ := strings.Cut(p[:i], ":")
		perms, _ := strconv.Atoi(p[i+1:])
		acl = append(acl, zk.ACL{Perms: zk.Perms(perms), ID: zk.ID{Scheme: scheme, ID: id}})
	}
	return acl
}

func showStat(d *wire.Decoder) string {
	var s zk.Stat
	d.Stat(&s)
	text := fmt.Sprintf("czxid %d mzxid %d pzxid %d versions %d/%d/%d length %d children %d",
		s.Czxid, s.Mzxid, s.Pzxid, s.Version, s.Cversion, s.Aversion, s.DataLength, s.NumChildren)
	if s.EphemeralOwner != 0 {
		text += " ephemeral"
	}
	return text
}

func showPathStat(d *wire.Decoder) string { return d.String() + " " + showStat(d) }

func showNames(d *wire.Decoder) string {
	names := d.Strings(nil)
	slices.Sort(names)
	return fmt.Sprint(names)
}
