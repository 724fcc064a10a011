package upstream

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gopherwood/e2e/internal/ensemble"
)

// need skips the test unless end-to-end tests were asked for.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv("GOPHERWOOD_E2E") == "" {
		t.Skip("the projects' own tests run with `make upstream`, a few of them with `make e2e` (GOPHERWOOD_E2E=1)")
	}
}

// all tells whether all tests run, or the quick ones.
func all() bool { return os.Getenv("GOPHERWOOD_UPSTREAM") == "all" }

// TestZooKeeper runs ZooKeeper's tests.
func TestZooKeeper(t *testing.T) {
	runJUnit(t, "zookeeper", "zookeeper-*-tests.jar")
}

// TestCurator runs the tests of Curator's recipes, framework and client.
func TestCurator(t *testing.T) {
	runJUnit(t, "curator", "curator-*-tests.jar")
}

func runJUnit(t *testing.T, project, pattern string) {
	need(t)
	l, dir, binary := prepare(t, project)
	cache := upstreamCache(t)
	jars, err := filepath.Glob(filepath.Join(cache, "lib", pattern))
	if err != nil || len(jars) == 0 {
		t.Fatalf("no %s in %s: %v", pattern, cache, err)
	}
	missing, err := l.unlisted(jars...)
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range missing {
		t.Errorf("%s.txt does not name %s", project, class)
	}
	j := &junit{project: project, list: l, dir: dir, binary: binary, cache: cache}
	results, again := j.runAll(t, chosen(l))
	started, err := j.started()
	if err != nil {
		t.Fatal(err)
	}
	s := summarize(project, l, results, started)
	s.again = again
	report(t, s, dir)
}

// prepare reads a project's list, makes its folder empty and finds the server's program.
func prepare(t *testing.T, project string) (l *list, dir, binary string) {
	t.Helper()
	l, err := readList(project + ".txt")
	if err == nil {
		err = l.check()
	}
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(upstreamCache(t), "run", project)
	if os.Getenv("GOPHERWOOD_UPSTREAM_ONLY") != "" {
		dir += "-only" // beside what a run of all left
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "servers"), 0o755); err != nil {
		t.Fatal(err)
	}
	if binary, err = ensemble.Binary(ensemble.Gopherwood); err != nil {
		t.Fatal(err)
	}
	return l, dir, binary
}

// chosen returns what is to run of a list.
func chosen(l *list) []string {
	names := l.quick
	if all() {
		names = l.run
	}
	only := os.Getenv("GOPHERWOOD_UPSTREAM_ONLY")
	if only != "" {
		names = l.run
	}
	parts := strings.Split(only, ",")
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(name, part) })
	})
}

// runAll runs the named classes and methods, several at a time. A class with an unexpected failure gets one more attempt, because these
// tests wait for real seconds on a machine that is busy; what passed only then is told.
func (j *junit) runAll(t *testing.T, names []string) (results []result, again []string) {
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		work = make(chan string)
	)
	for worker := range workers {
		wg.Go(func() {
			for name := range work {
				first, err := j.run(t.Context(), worker, name, "")
				var passedNow []string
				if err == nil && j.unexpected(first) && os.Getenv("GOPHERWOOD_UPSTREAM_ONCE") == "" {
					first, passedNow = j.secondAttempt(t.Context(), worker, name, first)
				}
				mu.Lock()
				if err != nil {
					t.Error(err)
				}
				results, again = append(results, first...), append(again, passedNow...)
				mu.Unlock()
			}
		})
	}
	for _, name := range names {
		work <- name
	}
	close(work)
	wg.Wait()
	slices.Sort(again)
	return results, again
}

func (j *junit) unexpected(results []result) bool {
	return slices.ContainsFunc(results, func(r result) bool { return r.outcome == failed && j.list.reason(r.class, r.method) == "" })
}

// secondAttempt runs a class again and returns its first results, with those that failed unexpectedly and passed now as passed.
func (j *junit) secondAttempt(ctx context.Context, worker int, name string, first []result) (results []result, again []string) {
	second, err := j.run(ctx, worker, name, ".again")
	if err != nil {
		return first, nil
	}
	failing := make(map[string]bool)
	for _, r := range second {
		if r.outcome == failed {
			failing[r.name()] = true
		}
	}
	for i, r := range first {
		if r.outcome == failed && j.list.reason(r.class, r.method) == "" && !failing[r.name()] {
			first[i].outcome = passed
			again = append(again, fmt.Sprintf("%s (at first: %s)", r.name(), r.message))
		}
	}
	return first, again
}

var summaries sync.Mutex

// report logs a summary, adds it to the file of summaries, and fails on what was unexpected.
func report(t *testing.T, s *summary, dir string) {
	t.Helper()
	t.Logf("\n%s", s)
	for _, line := range crashes(dir) {
		t.Error(line)
	}
	if n := len(s.unexpected); n > 0 {
		t.Errorf("%d tests failed that are not listed; their output is in %s", n, dir)
	}
	if s.passed == 0 {
		t.Error("nothing passed")
	}
	summaries.Lock()
	defer summaries.Unlock()
	f, err := os.OpenFile(filepath.Join(dir, "..", "..", "summary.txt"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	fmt.Fprintln(f, s)
}
