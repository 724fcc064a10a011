package e2e

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
)

// suiteLimit bounds one suite's run; the programs have limits for their single checks.
const suiteLimit = 8 * time.Minute

// need skips the test unless end-to-end tests were asked for.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv("GOPHERWOOD_E2E") == "" {
		t.Skip("end-to-end tests run with `make e2e` (GOPHERWOOD_E2E=1)")
	}
}

// target returns what the suites run against.
func target() ensemble.Target {
	if v := os.Getenv("GOPHERWOOD_E2E_TARGET"); v != "" {
		return ensemble.Target(v)
	}
	return ensemble.Gopherwood
}

// cached returns a path below the folder that `make e2e-deps` fills, and fails the test when it is not there.
func cached(t *testing.T, elements ...string) string {
	t.Helper()
	cache, err := ensemble.Cache()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(append([]string{cache}, elements...)...)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run `make e2e-deps`", err)
	}
	return path
}

// A suite's program prints one such line for each check, followed by indented lines that explain a failure.
var checkLine = regexp.MustCompile(`^(PASS|FAIL|SKIP) (\S+?):?(?: (.*))?$`)

// check is what a suite said of one check.
type check struct {
	verdict, name, detail string
}

// runSuite runs a program that prints PASS, FAIL and SKIP lines and relays each as a subtest. The last line must be the count, so
// that a program that died half way is not taken for one that passed.
func runSuite(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	runSuiteWith(t, cmd, func() {})
}

// runSuiteWith is runSuite for a program that once prints READY, on which ready is called.
func runSuiteWith(t *testing.T, cmd *exec.Cmd, ready func()) {
	t.Helper()
	checks, end := readChecks(t, cmd, ready)
	passed := 0
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			switch c.verdict {
			case "FAIL":
				t.Error(c.detail)
			case "SKIP":
				t.Skip(c.detail)
			}
		})
		if c.verdict == "PASS" {
			passed++
		}
	}
	if end == "" || passed == 0 {
		t.Errorf("the suite did not run to its end: %v\n%s", cmd.ProcessState, tail(cmd))
		return
	}
	t.Log(end)
}

func readChecks(t *testing.T, cmd *exec.Cmd, ready func()) (checks []check, end string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		switch m := checkLine.FindStringSubmatch(line); {
		case line == "READY":
			ready()
		case m != nil:
			checks = append(checks, check{m[1], m[2], m[3]})
		case strings.HasPrefix(line, "    ") && len(checks) > 0:
			checks[len(checks)-1].detail += "\n" + line
		case strings.Contains(line, " passed, "):
			end = line
		}
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // the count of failures says the same as the exit code
	return checks, end
}

// tail returns the end of what a finished program wrote to its standard error.
func tail(cmd *exec.Cmd) string {
	f, ok := cmd.Stderr.(*os.File)
	if !ok {
		return ""
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4096):])
}

// suiteContext bounds a suite's program.
func suiteContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), suiteLimit)
	t.Cleanup(cancel)
	return ctx
}
