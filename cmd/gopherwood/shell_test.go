package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopherwood/internal/bench"
	"gopherwood/internal/fakezk"
	"gopherwood/zk"
)

// outcome is what a command did, as a shell sees it.
type outcome struct {
	out, err string
	code     int
}

// run executes a command line as main does.
func run(ctx context.Context, stdin string, args ...string) outcome {
	var out bytes.Buffer
	o := runTo(ctx, &out, stdin, args...)
	o.out = out.String()
	return o
}

// runTo is run for a command whose output is wanted before it ends.
func runTo(ctx context.Context, out io.Writer, stdin string, args ...string) outcome {
	root := newRootCmd()
	var errs bytes.Buffer
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(out)
	root.SetErr(&errs)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		errs.WriteString(explain(err))
	}
	return outcome{err: errs.String(), code: exitCode(err)}
}

// fake is an ensemble of one address that GOPHERWOOD_SERVER names.
func fake(t *testing.T) *fakezk.Server {
	t.Helper()
	s := fakezk.New()
	t.Cleanup(s.Close)
	addr, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(serverVariable, addr)
	return s
}

// Each line is a command on the same tree: what it prints, what it says on standard error, its exit code.
func TestShell(t *testing.T) {
	s := fake(t)
	s.Hook(func(r fakezk.Request) (v fakezk.Verdict) {
		if strings.HasPrefix(r.Path, "/secret") && r.Op != zk.OpExists {
			v.Code = zk.ErrNoAuth
		}
		return v
	})
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Do(zk.OpCreate, "/secret", "x")
	for _, tt := range []struct {
		args  string
		stdin string
		out   string
		err   string
		code  int
	}{
		{args: "create /a hello", out: "/a\n"},
		{args: "create /a hello", err: "create /a: node exists", code: exitExists},
		{args: "create -p /a", out: "/a\n"},
		{args: "get /a", out: "hello"},
		{args: "get --sync /a", out: "hello"},
		{args: "get /none", err: "get /none: node does not exist", code: exitNoNode},
		{args: "get none", err: `bad path "none": no slash at the start at byte 0`, code: exitUsage},
		{args: "get", err: "accepts 1 arg(s), received 0; usage: gopherwood get PATH [flags]", code: exitUsage},
		{args: "get /a --what", err: "unknown flag: --what", code: exitUsage},
		{args: "get /a --timeout soon", err: `invalid argument "soon" for "--timeout" flag: time: invalid duration "soon"`, code: exitUsage},
		{args: "get /secret", err: "get /secret: not authorised", code: exitNoAuth},
		{args: "get /a --sasl plain:bob:sesame", err: `--sasl must be mechanism:user or mechanism:user:password, with digest-md5 or scram-sha-256, as in scram-sha-256:bob`, code: exitUsage},
		{args: "get /a --sasl digest-md5:bob", err: `--sasl has no password; put it into the environment variable GOPHERWOOD_SASL_PASSWORD, or behind the user`, code: exitUsage},
		{args: "get /a --auth digest", err: `--auth must be scheme:credentials, as in digest:user:password`, code: exitUsage},
		{args: "get /a --auth digest:u:p", out: "hello"},
		{args: "set /a - --version 0", stdin: "\x00\x01", out: ""},
		{args: "get /a", out: "\x00\x01"},
		{args: "set /a @" + file},
		{args: "get /a", out: "from a file"},
		{args: "set /a @/none/such", err: "open /none/such: no such file or directory", code: exitUsage},
		{args: "set /a x --version 0", err: "set /a: version differs", code: exitBadVersion},
		{args: "create /a/b"},
		{args: "create -s /a/s- v", out: "/a/s-0000000001\n"},
		{args: "create -s /a/ v", out: "/a/0000000002\n"},
		{args: "create -p /p/q/r", out: "/p/q/r\n"},
		{args: "create -c /a/c", out: "/a/c\n"},
		{args: "create -t 1m /a/t", out: "/a/t\n"},
		{args: "create -c -t 1m /a/x", err: "--ephemeral, --container and --ttl exclude each other", code: exitUsage},
		{args: "create -c -s /a/x", err: "a container node cannot be sequential", code: exitUsage},
		{args: "create /a/x v --acl world:anyone:z", err: `ACL "world:anyone:z": permission 'z', must be of cdrwa`, code: exitUsage},
		{args: "ls /a", out: "0000000002\nb\nc\ns-0000000001\nt\n"},
		{args: "ls -R /p", out: "/p\n/p/q\n/p/q/r\n"},
		{args: "ls -R /", out: "/\n/a\n/a/0000000002\n/a/b\n/a/c\n/a/s-0000000001\n/a/t\n/p\n/p/q\n/p/q/r\n/zookeeper\n/zookeeper/config\n/zookeeper/quota\n",
			err: "children /secret: not authorised", code: exitNoAuth},
		{args: "ls", out: "a\np\nsecret\nzookeeper\n"},
		{args: "ls /none", err: "children /none: node does not exist", code: exitNoNode},
		{args: "delete /a", err: "delete /a: node has children", code: exitNotEmpty},
		{args: "rm /a/b --version 3", err: "delete /a/b: version differs", code: exitBadVersion},
		{args: "delete /a/b --version 0"},
		{args: "stat /none", err: "stat /none: node does not exist", code: exitNoNode},
		{args: "deleteall /", err: "deleteall /: refused; name a node of yours", code: exitUsage},
		{args: "rmr /zookeeper/config", err: "deleteall /zookeeper/config: refused; name a node of yours", code: exitUsage},
		{args: "deleteall /none", err: "children /none: node does not exist", code: exitNoNode},
		{args: "deleteall /p --json", out: `{"path":"/p","deleted":3}` + "\n"},
		{args: "deleteall /a"},
		{args: "create /acl"},
		{args: "acl get /acl", out: "world:anyone:cdrwa\n"},
		{args: "acl set /acl world:anyone:r,digest:u:h/=:rw,ip:fe80::1:a"},
		{args: "acl get /acl", out: "world:anyone:r\ndigest:u:h/=:rw\nip:fe80::1:a\n"},
		{args: "acl get /acl --json", out: `{"path":"/acl","acl":[{"scheme":"world","id":"anyone","perms":"r"},{"scheme":"digest","id":"u:h/=","perms":"rw"},{"scheme":"ip","id":"fe80::1","perms":"a"}],"aversion":1}` + "\n"},
		{args: "acl set /acl world:anyone", err: `ACL "world:anyone": must be scheme:id:perms, as in world:anyone:cdrwa`, code: exitUsage},
		{args: "sync"},
		{args: "whoami --auth digest:u:p", out: "ip:127.0.0.1\ndigest:u:p\n"},
		{args: "whoami --auth none:u", err: "scheme none: authentication failed", code: exitNoAuth},
		{args: "multi create|/m|\"a\\x20b\" set|/m|c|0 check|/m|1 delete|/m", out: "/m\n"},
		{args: "multi -", stdin: "# a comment\ncreate /m x\n\n set /m \"y z\"\n", out: "/m\n"},
		{args: "get /m", out: "y z"},
		{args: "multi delete|/m create|/none/x", err: "multi: operation 1 (create /none/x): node does not exist", code: exitNoNode},
		{args: "multi set|/m", err: `operation "set /m": no data`, code: exitUsage},
		{args: "multi dig|/m", err: `operation "dig": must be create, set, delete or check`, code: exitUsage},
		{args: "multi delete|/m|one", err: `operation "delete /m one": version "one" is not a number`, code: exitUsage},
		{args: "multi delete|/m|1|2", err: `operation "delete /m 1 2": "2" is too much`, code: exitUsage},
		{args: "multi set|/m|\"x", err: `operation "set /m \"x": must be create, set, delete or check, a path and what belongs to it`, code: exitUsage},
		{args: "get /m --json --server ,", err: `connect string ",": a server without a name`, code: exitUsage},
		{args: "bench dig", err: `operation "dig", must be one of create, set, get, mixed, watch, connect`, code: exitUsage},
		{args: "bench set --depth 0 --connections -1", err: "-1 connections, must be between 1 and 100000", code: exitUsage},
	} {
		args := strings.Split(tt.args, " ")
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "|", " ")
		}
		if args[0] == "create" && tt.out == "" && tt.code == 0 {
			tt.out = args[1] + "\n"
		}
		got := run(t.Context(), tt.stdin, args...)
		if got.out != tt.out || got.err != tt.err || got.code != tt.code {
			t.Errorf("%s\n got  %d %q %q\n want %d %q %q", tt.args, got.code, got.out, got.err, tt.code, tt.out, tt.err)
		}
	}
	if n := s.Sessions(); n != 1 { // that of the refused identity: its server hung up first
		t.Errorf("%d sessions were left open", n)
	}
}

func TestJSON(t *testing.T) {
	s := fake(t)
	s.Do(zk.OpCreate, "/a", "text")
	s.Do(zk.OpCreate, "/s", "")
	s.Do(zk.OpCreate, "/a/b", "\xff\x00")
	for args, want := range map[string]string{
		"get /a --json":          `"path":"/a","data":"text","stat":{"czxid":"0x1"`,
		"get /a/b --json":        `"dataBase64":"/wA="`,
		"stat /a --json":         `{"path":"/a","czxid":"0x1","mzxid":"0x1","pzxid":"0x`,
		"ls /a --json":           `{"path":"/a","children":["b"]}`,
		"ls /a/b --json":         `{"path":"/a/b","children":[]}`,
		"ls -l /a --json":        `{"path":"/a","children":[{"name":"b","stat":{"czxid":"0x3"`,
		"set /s x --json":        `"version":1`,
		"create /c --json":       `{"path":"/c"}`,
		"whoami --json":          `[{"scheme":"ip","id":"127.0.0.1"}]`,
		"ephemerals --json":      `[]`,
		"multi create|/m --json": `[{"path":"/m","stat":{"czxid"`,
		"version --json":         `"go":"go1`,
	} {
		words := strings.Split(args, " ")
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "|", " ")
		}
		got := run(t.Context(), "", words...)
		if !json.Valid([]byte(got.out)) || !strings.Contains(got.out, want) || got.code != 0 {
			t.Errorf("%s: %d %s %s, want %s", args, got.code, got.out, got.err, want)
		}
	}
}

func TestCannotConnect(t *testing.T) {
	fake(t)
	s := fakezk.New()
	t.Cleanup(s.Close)
	headless, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	s.Refuse(headless, io.EOF)
	got := run(t.Context(), "", "get", "/a", "--server", "127.0.0.1:1,"+headless)
	want := "cannot connect: 127.0.0.1:1: connection refused; " + headless + ": the server accepts connections but grants no session (no quorum?)"
	if got.code != exitNoServer || got.err != want {
		t.Errorf("%+v", got)
	}
	if got := run(t.Context(), "", "bench", "get", "--server", "127.0.0.1:1"); got.code != exitNoServer {
		t.Errorf("bench: %+v", got)
	}
}

func TestNoAnswer(t *testing.T) {
	s := fake(t)
	s.Hook(func(fakezk.Request) fakezk.Verdict { return fakezk.Verdict{Fate: fakezk.Silent} })
	got := run(t.Context(), "", "set", "/a", "x", "--timeout", "50ms")
	if got.code != exitNoServer || got.err != "set /a: no answer in time (no quorum?) (it may have been carried out)" {
		t.Errorf("%+v", got)
	}
}

func TestEphemeral(t *testing.T) {
	s := fake(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan outcome, 1)
	r, w := io.Pipe()
	go func() { done <- runTo(ctx, w, "", "create", "-e", "/e") }()
	if line, err := bufio.NewReader(r).ReadString('\n'); line != "/e\n" {
		t.Fatalf("%q, %v", line, err)
	}
	got := run(t.Context(), "", "ephemerals")
	if !strings.HasPrefix(got.out, "/e\t0x") || got.code != 0 {
		t.Errorf("%+v", got)
	}
	cancel() // as Ctrl-C does
	if got := <-done; got.err != "" || got.code != 0 {
		t.Errorf("%+v", got)
	}
	if n := s.Nodes(); n != 4 {
		t.Errorf("%d nodes: the ephemeral one stayed", n)
	}
}

func TestWatch(t *testing.T) {
	s := fake(t)
	armed := make(chan struct{}, 1)
	s.Hook(func(r fakezk.Request) fakezk.Verdict {
		if r.Op == zk.OpAddWatch {
			armed <- struct{}{}
		}
		return fakezk.Verdict{}
	})
	type change struct {
		op         zk.OpCode
		path, data string
	}
	all := []change{{zk.OpCreate, "/a", "one"}, {zk.OpCreate, "/a/b", ""}, {zk.OpSetData, "/a", "two"}, {zk.OpDelete, "/a/b", ""}, {zk.OpDelete, "/a", ""}}
	stamp := regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z`)
	for _, tt := range []struct {
		args    string
		changes []change
		want    string
	}{
		{"watch /a -n 5", all, `^T NodeCreated /a\nT NodeChildrenChanged /a\nT NodeDataChanged /a\nT NodeChildrenChanged /a\nT NodeDeleted /a\n$`},
		{"watch /a -n 5 -R --json", all, `^({"time":"T","type":"[A-Za-z]+","path":"/a(/b)?","zxid":"0x[0-9a-f]+"}\n){5}$`},
		{"watch /a -n 1 -d", all[:1], `^T NodeCreated /a "one"\n$`},
	} {
		done := make(chan outcome, 1)
		go func() { done <- run(t.Context(), "", strings.Fields(tt.args)...) }()
		<-armed
		for _, c := range tt.changes {
			s.Do(c.op, c.path, c.data)
		}
		got := <-done
		if text := stamp.ReplaceAllString(got.out, "T"); !regexp.MustCompile(tt.want).MatchString(text) || got.code != 0 {
			t.Errorf("%s: %+v", tt.args, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan outcome, 1)
	go func() { done <- run(ctx, "", "watch", "/a") }()
	<-armed
	cancel()
	if got := <-done; got.code != 0 || got.out != "" {
		t.Errorf("Ctrl-C: %+v", got)
	}
	if got := run(t.Context(), "", "watch", "a"); got.code != exitUsage {
		t.Errorf("bad path: %+v", got)
	}
}

func TestBench(t *testing.T) {
	fake(t)
	got := run(t.Context(), "", "bench", "mixed", "--connections", "2", "--keys", "10", "--duration", "50ms", "--warmup", "0s", "--depth", "2")
	if got.code != 0 || got.err != "" || !strings.Contains(got.out, "mixed: 2 connections × depth 2, 100 B, 10 keys, 90% reads on 127.0.0.1:") {
		t.Errorf("%+v", got)
	}
	got = run(t.Context(), "", "bench", "connect", "--connections", "2", "--duration", "50ms", "--warmup", "0s", "--json", "--pid", "1", "--pid", "2")
	if !json.Valid([]byte(got.out)) || got.code != 0 {
		t.Errorf("%+v", got)
	}
	s := fake(t)
	s.Hook(func(r fakezk.Request) (v fakezk.Verdict) {
		if r.Op == zk.OpGetData {
			v.Code = zk.ErrNoAuth
		}
		return v
	})
	got = run(t.Context(), "", "bench", "get", "--connections", "1", "--duration", "20ms", "--warmup", "0s")
	if got.code != exitOther || !strings.Contains(got.out, "not authorised") || !strings.HasSuffix(got.err, "operations failed") {
		t.Errorf("%+v", got)
	}
}

func TestProgressLine(t *testing.T) {
	for want, p := range map[string]bench.Progress{
		"prepare 3 s": {Phase: "prepare", Elapsed: 3 * time.Second},
		"measure 2 of 10 s   500 op/s   p50 1.235ms   p99 2ms":    {Phase: "measure", Elapsed: 2 * time.Second, Of: 10 * time.Second, Operations: 1000, P50: 1234567, P99: 2e6},
		"measure 1 of 10 s   0 op/s   p50 0s   p99 0s   7 errors": {Phase: "measure", Elapsed: time.Second, Of: 10 * time.Second, Errors: 7},
	} {
		if got := progressLine(p); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	var b bytes.Buffer
	line := &progress{w: &b}
	line.show(bench.Progress{Phase: "prepare", Elapsed: 10 * time.Second})
	line.show(bench.Progress{Phase: "x", Elapsed: time.Second})
	line.clear()
	if got := b.String(); got != "\rprepare 10 s\rx 1 s       \r     \r" {
		t.Errorf("%q", got)
	}
	if newProgress(&b) != nil {
		t.Error("progress where nobody looks")
	}
}
