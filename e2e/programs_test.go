package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
)

// program returns the path of the gopherwood program.
func program(t *testing.T) string {
	t.Helper()
	path, err := ensemble.Binary(ensemble.Gopherwood)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// toolRuns are commands of the shell tool, in this order, with what a script relies on: the output and the exit code.
var toolRuns = []struct {
	args   string
	code   int
	stdout string // a regular expression for the whole output
}{
	{"create /tool hello", 0, `/tool\n`},
	{"create /tool again", 4, ``},
	{"get /tool", 0, `hello\n?`},
	{"set /tool world", 0, `.*`},
	{"get --json /tool", 0, `(?s)\{.*world.*\}\n`},
	{"set --version 7 /tool x", 6, ``},
	{"create /tool/a", 0, `/tool/a\n`},
	{"create /tool/b", 0, `/tool/b\n`},
	{"ls /tool", 0, `a\nb\n`},
	{"stat /tool", 0, `(?si).*version.*`},
	{"get /missing", 3, ``},
	{"delete /tool", 7, ``},
	{"delete /tool/a", 0, `.*`},
	{"deleteall /tool", 0, `(?s).*`},
	{"get", 2, ``},
}

// TestTool runs the shell tool against the target, which may be ZooKeeper: it is a client of either.
func TestTool(t *testing.T) {
	need(t)
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 3})
	for _, c := range toolRuns {
		code, stdout, stderr := runTool(t, append(strings.Fields(c.args), "--server", e.Connect())...)
		if code != c.code || !regexp.MustCompile(`^(?:`+c.stdout+`)$`).MatchString(stdout) {
			t.Errorf("%s: code %d, want %d; printed %q, want %s; errors %q", c.args, code, c.code, stdout, c.stdout, stderr)
		}
		if c.code != 0 && strings.TrimSpace(stderr) == "" {
			t.Errorf("%s: failed without a word", c.args)
		}
	}
	if code, _, stderr := runTool(t, "get", "/x", "--timeout", "2s", "--server", "127.0.0.1:1"); code != 8 {
		t.Errorf("no server: code %d, want 8; errors %q", code, stderr)
	}
}

func runTool(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(suiteContext(t), program(t), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// TestDev runs `gopherwood dev` as its user would: it prints a connection string that works, and Ctrl-C ends all servers.
func TestDev(t *testing.T) {
	need(t)
	if target() == ensemble.ZooKeeper {
		t.Skip("not about ZooKeeper")
	}
	cmd := exec.CommandContext(suiteContext(t), program(t), "dev", "--client-port", "31811", "--data-dir", t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // when it has not ended by itself
	connect := make(chan string, 1)
	go func() {
		pattern := regexp.MustCompile(`127\.0\.0\.1:\d+(,127\.0\.0\.1:\d+){2}`)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := pattern.FindString(lines.Text()); m != "" {
				select {
				case connect <- m:
				default:
				}
			}
		}
		ended <- cmd.Wait()
	}()
	var servers string
	select {
	case servers = <-connect:
	case err := <-ended:
		t.Fatalf("dev ended: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("dev printed no connection string")
	}
	if code, _, stderr := runTool(t, "create", "/dev", "x", "--server", servers, "--timeout", "30s"); code != 0 {
		t.Errorf("create: code %d, %s", code, stderr)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("after Ctrl-C: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("dev did not end after Ctrl-C")
	}
	for server := range strings.SplitSeq(servers, ",") {
		if c, err := net.DialTimeout("tcp", server, time.Second); err == nil {
			c.Close()
			t.Errorf("%s still listens after dev has ended", server)
		}
	}
}
