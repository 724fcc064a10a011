package oracle_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/oracle"
)

// dashes end a script in testdata; what ZooKeeper answered follows.
const dashes = "----\n"

// TestScripts holds Gopherwood, alone and as one of three servers, to what ZooKeeper has answered to the scripts of testdata; and ZooKeeper
// itself, so that they stay true.
func TestScripts(t *testing.T) {
	need(t)
	scripts(t, "testdata/*.txt", map[string]*oracle.Target{
		"zookeeper":     start(t, ensemble.ZooKeeper, 1),
		"gopherwood":    start(t, ensemble.Gopherwood, 1),
		"three servers": start(t, ensemble.Gopherwood, 3),
	})
}

// TestReap is TestScripts for nodes that servers remove by themselves, with servers that do so all the time.
func TestReap(t *testing.T) {
	need(t)
	const reapMs = 100
	scripts(t, "testdata/reap/*.txt", map[string]*oracle.Target{
		"zookeeper":  startReaping(t, ensemble.ZooKeeper, 1, reapMs),
		"gopherwood": startReaping(t, ensemble.Gopherwood, 1, reapMs),
	})
}

func scripts(t *testing.T, pattern string, targets map[string]*oracle.Target) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		script, recorded, _ := strings.Cut(string(b), dashes)
		steps, err := oracle.Parse(script)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if os.Getenv("GOPHERWOOD_ORACLE_REWRITE") != "" {
			got, err := targets["zookeeper"].Run(steps)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			recorded = got.String()
			if err := os.WriteFile(file, []byte(script+dashes+recorded), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			for name, target := range targets {
				t.Run(name, func(t *testing.T) {
					got, err := target.Run(steps)
					if err != nil {
						t.Fatal(err)
					}
					if got.String() != recorded {
						t.Errorf("recorded was (-), answered is (+):\n%s", differing(recorded, got.String()))
					}
				})
			}
		})
	}
}

// differing is the first lines in which two texts differ, with a few of those around them.
func differing(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	out := append([]string{}, a[max(0, at-3):at]...)
	for _, line := range a[at:min(at+6, len(a))] {
		out = append(out, "- "+line)
	}
	for _, line := range b[at:min(at+6, len(b))] {
		out = append(out, "+ "+line)
	}
	return strings.Join(out, "\n")
}
