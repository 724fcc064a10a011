package e2e

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
)

// shellReply bounds the wait for one command's output.
const shellReply = 30 * time.Second

// shellCommands are typed into one running shell of ZooKeeper, in this order. $R is the test's own folder. Each want is a regular
// expression that must be found in the command's output, in order; an empty list wants no output at all.
var shellCommands = []struct {
	command string
	want    []string
}{
	{"create $R root", []string{`Created \$R`}},
	{"create $R/a one", []string{`Created \$R/a\b`}},
	{"create $R/a again", []string{`Node already exists: \$R/a`}},
	{"create $R/no/such x", []string{`Node does not exist: \$R/no/such`}},
	{"ls $R", []string{`(?m)^\[a\]$`}},
	{"ls -s $R", []string{`\[a\]`, `cversion = 1`, `numChildren = 1`}},
	{"get $R/a", []string{`(?m)^one$`}},
	{"get -s $R/a", []string{`(?m)^one$`, `dataVersion = 0`, `ephemeralOwner = 0x0\b`, `dataLength = 3`}},
	{"get -b $R/a", []string{`b25l`}},
	{"set $R/a two", nil},
	{"set -s -v 1 $R/a three", []string{`dataVersion = 2`, `dataLength = 5`}},
	{"set -v 1 $R/a four", []string{`version No is not valid : \$R/a`}},
	{"stat $R/a", []string{`cZxid = 0x[0-9a-f]+`, `dataVersion = 2`, `aclVersion = 0`}},
	{"stat $R/none", []string{`Node does not exist: \$R/none`}},
	{"get $R/none", []string{`Node does not exist: \$R/none`}},
	{"delete $R/none", []string{`Node does not exist: \$R/none`}},
	{"create -s $R/a/n- x", []string{`Created \$R/a/n-0000000000`}},
	{"create -s $R/a/n- x", []string{`Created \$R/a/n-0000000001`}},
	{"create -e $R/eph", []string{`Created \$R/eph`}},
	{"create -e -s $R/eph- ", []string{`Created \$R/eph-\d{10}`}},
	{"create $R/eph/x y", []string{`Ephemerals cannot have children`}},
	{"create -c $R/container", []string{`Created \$R/container`}},
	{"create -t 600000 $R/ttl v", []string{`Created \$R/ttl`}},
	{"ls -R $R/a", []string{`(?m)^\$R/a$`, `(?m)^\$R/a/n-0000000000$`, `(?m)^\$R/a/n-0000000001$`}},
	{"getAllChildrenNumber $R", []string{`(?m)^7$`}},
	{"getEphemerals $R/eph", []string{`\[\$R/eph.*\$R/eph.*\]`}},
	{"delete $R/a", []string{`Node not empty: \$R/a`}},
	{"delete -v 5 $R/eph", []string{`version No is not valid`}},
	{"delete $R/eph", nil},
	{"deleteall $R/a", nil},
	{"ls $R/a", []string{`Node does not exist: \$R/a`}},
	{"create $R/acl x world:anyone:cdrwa", []string{`Created \$R/acl`}},
	{"getAcl $R/acl", []string{`'world,'anyone`, `: cdrwa`}},
	{"setAcl -s $R/acl world:anyone:ra", []string{`aclVersion = 1`}},
	{"set $R/acl y", []string{`(?i)insufficient permission|NoAuth|Authentication is not valid`}},
	{"addauth digest anna:secret", nil},
	{"create $R/mine hidden auth::cdrwa", []string{`Created \$R/mine`}},
	{"getAcl $R/mine", []string{`'digest,'anna:[A-Za-z0-9+/=]{28}`, `: cdrwa`}},
	{"whoami", []string{`Auth scheme: User`, `(?m)^digest: anna$|^ip: 127\.0\.0\.1$`, `(?m)^digest: anna$|^ip: 127\.0\.0\.1$`}},
	{"sync $R", []string{`Sync is OK`}},
	{"addWatch -m PERSISTENT_RECURSIVE $R/w", nil},
	{"create $R/w x", []string{`type:NodeCreated path:\$R/w zxid: \d+`}},
	{"create $R/w/below x", []string{`type:NodeCreated path:\$R/w/below zxid: \d+`}},
	{"set $R/w y", []string{`type:NodeDataChanged path:\$R/w zxid: \d+`}},
	{"removewatches $R/w", []string{`type:PersistentWatchRemoved path:\$R/w zxid: -1`}},
	{"set $R/w z", nil},
	{"get -w $R/w", []string{`(?m)^z$`}},
	{"set $R/w zz", []string{`type:NodeDataChanged path:\$R/w`}},
	{"ls -w $R/w", []string{`\[below\]`}},
	{"delete $R/w/below", []string{`type:NodeChildrenChanged path:\$R/w`}},
	{"setquota -n 5 $R/w", nil},
	{"listquota $R/w", []string{`Output quota for \$R/w.*count=5`}},
	{"delquota $R/w", nil},
	{"config -s", []string{`(?s)cZxid|version`}},
	{"deleteall $R", nil},
	{"ls /", []string{`\[.*\bzookeeper\b.*\]`}},
	{"bogus", []string{`Command not found`}},
}

// shellRuns start a shell of their own for one command, as a script does, and look at the exit code.
var shellRuns = []struct {
	args []string
	code int
	want string
}{
	{[]string{"create", "$R", "script"}, 0, `Created \$R`},
	{[]string{"get", "$R"}, 0, `(?m)^script$`},
	{[]string{"ls", "$R"}, 0, `(?m)^\[\]$`},
	{[]string{"create", "$R", "script"}, 1, `Node already exists: \$R`},
	{[]string{"get", "$R/none"}, 1, `Node does not exist: \$R/none`},
	{[]string{"delete", "$R"}, 0, ``},
}

// shell runs ZooKeeper's own shell: many commands in one session, then some as single runs.
func shell(t *testing.T, connect string) {
	root := suiteRoot(t)
	t.Run("session", func(t *testing.T) {
		sh := startShell(t, connect)
		for _, c := range shellCommands {
			command := strings.ReplaceAll(c.command, "$R", root)
			out, err := sh.run(command)
			if err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
			if len(c.want) == 0 && strings.TrimSpace(out) != "" {
				t.Errorf("%s: printed\n%s\nwant nothing", command, out)
			}
			// Events are printed by another thread of the shell than answers: a missing one may be a moment late.
			for more := 0; !inOrder(out, c.want, root) && more < 20; more++ {
				time.Sleep(50 * time.Millisecond)
				late, err := sh.run("")
				if err != nil {
					t.Fatalf("%s: %v\n%s", command, err, late)
				}
				out += late
			}
			if !inOrder(out, c.want, root) {
				t.Errorf("%s: printed\n%s\nwant %s", command, out, c.want)
			}
		}
	})
	t.Run("script", func(t *testing.T) {
		for _, c := range shellRuns {
			args := strings.Split(strings.ReplaceAll(strings.Join(c.args, " "), "$R", root+"-script"), " ")
			out, err := shellCommand(t, connect, args...).CombinedOutput()
			code := 0
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != c.code || !shellPattern(c.want, root+"-script").Match(out) {
				t.Errorf("%s: code %d, want %d, printed\n%s\nwant %s", args, code, c.code, out, c.want)
			}
		}
	})
}

// inOrder tells whether each pattern is found behind the one before it.
func inOrder(text string, patterns []string, root string) bool {
	for _, pattern := range patterns {
		at := shellPattern(pattern, root).FindStringIndex(text)
		if at == nil {
			return false
		}
		text = text[at[1]:]
	}
	return true
}

func shellPattern(pattern, root string) *regexp.Regexp {
	return regexp.MustCompile(strings.ReplaceAll(pattern, `\$R`, regexp.QuoteMeta(root)))
}

func shellCommand(t *testing.T, connect string, args ...string) *exec.Cmd {
	t.Helper()
	return zookeeperMain(t, append([]string{"-waitforconnection", "-server", connect}, args...)...)
}

// zookeeperMain is ZooKeeper's shell with its bare arguments.
func zookeeperMain(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	classPath, err := ensemble.ClassPath()
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(suiteContext(t), "java", append([]string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", classPath, "org.apache.zookeeper.ZooKeeperMain"}, args...)...)
}

// runningShell is a shell that takes commands from its standard input.
type runningShell struct {
	in    io.WriteCloser
	out   *output
	count int
}

func startShell(t *testing.T, connect string) *runningShell {
	t.Helper()
	cmd := shellCommand(t, connect)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := &output{wake: make(chan struct{}, 1)}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		io.WriteString(in, "quit\n")
		in.Close()
		_ = cmd.Wait() // its exit code is that of its last command
	})
	sh := &runningShell{in: in, out: out}
	if banner, err := sh.run(""); err != nil || !strings.Contains(banner, "Welcome to ZooKeeper!") {
		t.Fatalf("the shell did not start: %v\n%s", err, banner)
	}
	return sh
}

// run types a command and returns what the shell printed for it. Its end is marked by a second command whose output is known: a
// look at a znode that does not exist, answered in order after the first command and after the events that it caused.
func (s *runningShell) run(command string) (string, error) {
	s.count++
	marker := fmt.Sprintf("/end-of-command-%d", s.count)
	if _, err := fmt.Fprintf(s.in, "%s\nstat %s\n", command, marker); err != nil {
		return "", err
	}
	return s.out.upTo("Node does not exist: "+marker+"\n", shellReply)
}

// output collects what a program prints; safe for one writer and one reader.
type output struct {
	mu   sync.Mutex
	text string
	wake chan struct{}
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	o.text += string(b)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return len(b), nil
}

// upTo waits for a text and returns and forgets what came before it.
func (o *output) upTo(end string, limit time.Duration) (string, error) {
	timeout := time.After(limit)
	for {
		o.mu.Lock()
		before, after, found := strings.Cut(o.text, end)
		if found {
			o.text = after
		}
		o.mu.Unlock()
		if found {
			return before, nil
		}
		select {
		case <-o.wake:
		case <-timeout:
			return before, fmt.Errorf("no %q after %v", end, limit)
		}
	}
}
