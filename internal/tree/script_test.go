package tree_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gopherwood/internal/tree"
	"gopherwood/zk"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts in testdata say now")

// TestScripts runs testdata/*.txt. A script is a list of blocks: lines of commands, a line "----", and what they print, up to an
// empty line. The commands:
//
//	session ID | attach ID [passwd=N] [timeout=MS] | close | expire ID... [term=N]
//	create|create2|container PATH [DATA] [mode=N]      ttl PATH MS [DATA] [mode=N]
//	delete|check PATH    set PATH [DATA]    setacl PATH     each with [v=N]
//	multi, followed by members on lines that start with "+"
//	reap PATH... [term=N] | reapable | config DATA | time MS
//	get|ls|acl|exists|count PATH | ephemerals ID [PREFIX] | quotas | snapshot
//
// DATA is a Go string, "null", or missing for empty. Common options: @ID the session (1), origin=N (1),
// auth=SCHEME:ID (may be repeated), acl=PERMS:SCHEME:ID (may be repeated; "acl=" for the empty list; open if missing), enforce (quotas).
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	in, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{tree: tree.New(tree.Options{Schemes: []string{"x509"}}), env: tree.Env{Term: 1, TimeMs: 1000}}
	var out strings.Builder
	for block := range strings.SplitSeq(strings.TrimSpace(string(in)), "\n\n") {
		commands, _, runs := strings.Cut(block, "\n----")
		if !runs { // a comment
			out.WriteString(block + "\n\n")
			continue
		}
		s.out.Reset()
		s.lines(strings.Split(commands, "\n"))
		if err := s.tree.Check(); err != nil {
			fmt.Fprintln(&s.out, err)
		}
		fmt.Fprintf(&out, "%s\n----\n%s\n", commands, s.out.String())
	}
	got := strings.TrimSpace(out.String()) + "\n"
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(in) {
		t.Errorf("%s says otherwise (-rewrite accepts this):\n%s", file, diffLines(string(in), got))
	}
}

func diffLines(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d\n- %s\n+ %s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines became %d", len(a), len(b))
}

type script struct {
	tree *tree.Tree
	env  tree.Env
	out  strings.Builder
	r    tree.Result
}

func (s *script) printf(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

// line is a command cut into words and options.
type line struct {
	words   []string
	session int64
	origin  uint64
	term    uint64
	version int32
	mode    zk.CreateMode
	passwd  byte
	timeout int32
	auth    []zk.ID
	acl     []zk.ACL
	enforce bool
}

func parse(text string) line {
	l := line{session: 1, origin: 1, term: 1, version: -1, acl: zk.OpenACL()}
	acls := 0
	for _, w := range splitWords(text) {
		k, v, option := strings.Cut(w, "=")
		switch {
		case strings.HasPrefix(w, "@"):
			l.session = number(w[1:])
		case w == "enforce":
			l.enforce = true
		case option && k == "origin":
			l.origin = uint64(number(v))
		case option && k == "term":
			l.term = uint64(number(v))
		case option && k == "v":
			l.version = int32(number(v))
		case option && k == "mode":
			l.mode = zk.CreateMode(number(v))
		case option && k == "passwd":
			l.passwd = byte(number(v))
		case option && k == "timeout":
			l.timeout = int32(number(v))
		case option && k == "auth":
			scheme, id, _ := strings.Cut(v, ":")
			l.auth = append(l.auth, zk.ID{Scheme: scheme, ID: id})
		case option && k == "acl":
			if acls++; acls == 1 {
				l.acl = nil
			}
			if f := strings.SplitN(v, ":", 3); len(f) == 3 {
				l.acl = append(l.acl, zk.ACL{Perms: zk.Perms(number(f[0])), ID: zk.ID{Scheme: f[1], ID: f[2]}})
			}
		default:
			l.words = append(l.words, w)
		}
	}
	return l
}

// splitWords cuts at spaces outside of quotes.
func splitWords(s string) (words []string) {
	quoted := false
	for _, w := range strings.FieldsFunc(s, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	}) {
		if strings.HasPrefix(w, `"`) {
			u, err := strconv.Unquote(w)
			if err != nil {
				panic(err)
			}
			w = u
		}
		words = append(words, w)
	}
	return words
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 0, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (l *line) word(i int) string {
	if i < len(l.words) {
		return l.words[i]
	}
	return ""
}

func (l *line) data(i int) []byte {
	if l.word(i) == "null" {
		return nil
	}
	return []byte(l.word(i))
}

var opCodes = map[string]zk.OpCode{
	"create": zk.OpCreate, "create2": zk.OpCreate2, "container": zk.OpCreateContainer, "ttl": zk.OpCreateTTL,
	"delete": zk.OpDelete, "set": zk.OpSetData, "setacl": zk.OpSetACL, "check": zk.OpCheck, "getdata": zk.OpGetData,
}

// op is the operation that a line means.
func (l *line) op() (tree.Op, bool) {
	code, ok := opCodes[l.words[0]]
	o := tree.Op{Code: code, Path: l.word(1), Mode: l.mode, Version: l.version}
	switch code {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer:
		o.Data, o.ACL = l.data(2), l.acl
	case zk.OpCreateTTL:
		o.TTL, o.Data, o.ACL = number(l.word(2)), l.data(3), l.acl
		if o.Mode == 0 {
			o.Mode = zk.ModeTTL
		}
	case zk.OpSetData:
		o.Data = l.data(2)
	case zk.OpSetACL:
		o.ACL = l.acl
	}
	return o, ok
}

func (s *script) lines(lines []string) {
	for i := 0; i < len(lines); i++ {
		if strings.HasPrefix(lines[i], "#") {
			continue
		}
		l := parse(lines[i])
		c := tree.Command{Session: l.session, Auth: l.auth, Term: l.term, Timeout: l.timeout, Passwd: [16]byte{l.passwd}, EnforceQuota: l.enforce}
		if l.words[0] == "multi" {
			c.Kind = tree.KindMulti
			for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "+") {
				i++
				m := parse(lines[i][1:])
				op, _ := m.op()
				c.Ops = append(c.Ops, op)
			}
			s.apply(&l, &c)
		} else if op, ok := l.op(); ok {
			c.Kind, c.Ops = tree.KindWrite, []tree.Op{op}
			s.apply(&l, &c)
		} else if s.command(&l, &c) {
			s.apply(&l, &c)
		} else {
			s.read(&l)
		}
	}
}

// command fills in a command that is no write; it says whether it was one.
func (s *script) command(l *line, c *tree.Command) bool {
	switch l.words[0] {
	case "session":
		c.Kind, c.Session = tree.KindCreateSession, number(l.word(1))
		if c.Timeout == 0 {
			c.Timeout = 4000
		}
	case "attach":
		c.Kind, c.Session = tree.KindAttachSession, number(l.word(1))
	case "close":
		c.Kind = tree.KindCloseSession
	case "expire":
		c.Kind = tree.KindExpire
		for _, w := range l.words[1:] {
			c.Sessions = append(c.Sessions, number(w))
		}
	case "reap":
		c.Kind = tree.KindReap
		for _, w := range l.words[1:] {
			c.Ops = append(c.Ops, tree.Op{Code: zk.OpDeleteContainer, Path: w})
		}
	case "config":
		c.Kind, c.Ops = tree.KindConfig, []tree.Op{{Code: zk.OpSetData, Data: l.data(1)}}
	default:
		return false
	}
	return true
}

func (s *script) apply(l *line, c *tree.Command) {
	s.env.Origin = l.origin
	s.env.Index++
	s.tree.Apply(s.env, c, &s.r)
	r := &s.r
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", r.Zxid, name(r.Code))
	if r.Path != "" {
		fmt.Fprintf(&b, " %s", r.Path)
	}
	if r.Session.ID != 0 {
		fmt.Fprintf(&b, " session %d timeout %d owner %d", r.Session.ID, r.Session.TimeoutMs, r.Session.Owner)
		if r.Session.PreviousOwner != 0 {
			fmt.Fprintf(&b, " before %d", r.Session.PreviousOwner)
		}
	}
	s.printf("%s", b.String())
	for _, o := range r.Ops {
		s.printf("  %s", strings.TrimSpace(fmt.Sprintf("type %d %s %s", o.Type, name(o.Code), o.Path)))
	}
	for _, e := range r.Events {
		s.printf("  event %s %s", eventNames[e.Type], e.Path)
	}
	for _, q := range r.Quotas {
		s.printf("  quota on %s: %s %d, limit %d, hard %v, refused %v", q.Path, q.Unit, q.Now, q.Limit, q.Hard, q.Refused)
	}
	for _, k := range r.Closed {
		s.printf("  closed %d of %d", k.ID, k.Owner)
	}
}

var eventNames = map[zk.EventType]string{
	zk.EventNodeCreated: "created", zk.EventNodeDeleted: "deleted", zk.EventNodeDataChanged: "changed", zk.EventNodeChildrenChanged: "children",
}

func name(c zk.Code) string {
	if c == zk.OK {
		return "ok"
	}
	return fmt.Sprintf("%v (%d)", c.String(), c)
}

func stat(s zk.Stat) string {
	return fmt.Sprintf("czxid %d mzxid %d pzxid %d ctime %d mtime %d v %d cv %d av %d owner %d len %d children %d",
		s.Czxid, s.Mzxid, s.Pzxid, s.Ctime, s.Mtime, s.Version, s.Cversion, s.Aversion, s.EphemeralOwner, s.DataLength, s.NumChildren)
}

func (s *script) read(l *line) {
	path := l.word(1)
	switch l.words[0] {
	case "get":
		data, st, code := s.tree.Get(path, l.auth)
		text := fmt.Sprintf("%q", data)
		if data == nil {
			text = "null"
		}
		s.answer(text, st, code)
	case "exists":
		st, code := s.tree.Exists(path, l.auth)
		s.answer("", st, code)
	case "ls":
		var names []string
		st, code := s.tree.Children(path, l.auth, func(n []byte) bool { names = append(names, string(n)); return true })
		s.answer(fmt.Sprint(names), st, code)
	case "acl":
		acl, st, code := s.tree.ACL(path, l.auth)
		var b strings.Builder
		for _, a := range acl {
			fmt.Fprintf(&b, "%d:%s:%s ", a.Perms, a.ID.Scheme, a.ID.ID)
		}
		s.answer(strings.TrimSpace(b.String()), st, code)
	case "count":
		n, code := s.tree.AllChildrenNumber(path, l.auth)
		s.printf("%s %d", name(code), n)
	case "ephemerals":
		s.tree.Ephemerals(number(path), l.word(2), func(p string) bool { s.printf("%s", p); return true })
	case "reapable":
		s.printf("%v", s.tree.Reapable(s.env.TimeMs, 10))
	case "time":
		s.env.TimeMs = number(path)
	case "totals":
		s.printf("zxid %d nodes %d ephemerals %d sessions %d size %d", s.tree.LastZxid(), s.tree.NodeCount(), s.tree.EphemeralCount(), s.tree.SessionCount(), s.tree.ApproximateDataSize())
	case "quotas":
		s.tree.Quotas(func(q tree.Quota) bool { s.printf("%+v", q); return true })
	case "snapshot":
		s.snapshot()
	default:
		s.printf("unknown command %q", l.words[0])
	}
}

func (s *script) answer(text string, st zk.Stat, code zk.Code) {
	if code != zk.OK {
		s.printf("%s", name(code))
		return
	}
	s.printf("%s", strings.TrimSpace(text+"\n  "+stat(st)))
}

// snapshot goes on with a tree that was written and read.
func (s *script) snapshot() {
	v := s.tree.View()
	defer v.Close()
	var b bytes.Buffer
	if _, err := v.WriteTo(&b); err != nil {
		s.printf("%v", err)
		return
	}
	fresh := tree.New(tree.Options{Schemes: []string{"x509"}})
	if err := fresh.Restore(&b); err != nil {
		s.printf("%v", err)
		return
	}
	s.printf("same digest: %v", fresh.Digest() == s.tree.Digest())
	s.tree = fresh
}
