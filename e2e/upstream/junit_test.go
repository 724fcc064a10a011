package upstream

import (
	"archive/zip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gopherwood/e2e/internal/ensemble"
)

// launcher is JUnit's own console program. --fail-if-no-tests tells a class without tests, or a misspelled one, from one that passed.
const launcher = "org.junit.platform.console.ConsoleLauncher"

// junit runs classes of one project, each in a JVM of its own, as ZooKeeper's and Curator's builds do: their tests set system
// properties and leave them.
type junit struct {
	project string
	list    *list
	dir     string // of everything these runs write
	binary  string // the gopherwood to run
	cache   string
}

// run runs a class, or one method of it, and returns what its report says. A JVM that ends without a report is an error.
func (j *junit) run(ctx context.Context, worker int, name, attempt string) ([]result, error) {
	class, method, _ := strings.Cut(name, "#")
	dir := filepath.Join(j.dir, name+attempt)
	if err := os.MkdirAll(filepath.Join(dir, "servers"), 0o755); err != nil {
		return nil, err
	}
	out, err := os.Create(filepath.Join(dir, "output.txt"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	args := append(j.jvm(dir, worker), launcher, "execute", "--disable-banner", "--details=summary", "--fail-if-no-tests",
		"--config=junit.jupiter.execution.timeout.testable.method.default="+strconv.Itoa(int(methodLimit.Seconds()))+"s",
		"--reports-dir="+dir)
	if method != "" {
		args = append(args, "--select-method="+name)
	} else {
		args = append(args, "--select-class="+class)
	}
	for _, m := range j.list.apartMethods(class) {
		args = append(args, "--exclude-methodname="+regexp.QuoteMeta(class+"#"+m))
	}
	ctx, cancel := context.WithTimeout(ctx, classLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "java", args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = out, out
	group(cmd)
	runErr := cmd.Run() // JUnit ends with 1 when a test failed
	results, err := readReport(filepath.Join(dir, "TEST-junit-jupiter.xml"))
	if err != nil {
		return nil, fmt.Errorf("%s: no report (java: %v); see %s", name, runErr, out.Name())
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("%s: no tests; see %s", name, out.Name())
	}
	return results, nil
}

// jvm returns the arguments of java up to the main class. ZooKeeper's tests take their ports from a range for each worker.
func (j *junit) jvm(dir string, worker int) []string {
	return []string{
		"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx640m",
		"-cp", filepath.Join(j.cache, "classes") + string(os.PathListSeparator) + filepath.Join(j.cache, "lib", "*"),
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-Dbuild.test.dir=" + filepath.Join(dir, "build"),
		"-Dtest.data.dir=" + filepath.Join(dir, "build"),
		"-Dtest.junit.threads=" + strconv.Itoa(workers+1),
		"-Dzookeeper.junit.threadid=" + strconv.Itoa(worker+1),
		"-Dgopherwood.binary=" + j.binary,
		"-Dgopherwood.logs=" + filepath.Join(dir, "servers"),
	}
}

// group makes the JVM and the servers that it starts one process group, and kills all of it when the time is up.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killLimit
}

// started returns the tests, and the classes, that started a server.
func (j *junit) started() (map[string]bool, error) {
	started := make(map[string]bool)
	files, err := filepath.Glob(filepath.Join(j.dir, "*", "servers", "starts.txt"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(b)) {
			started[strings.TrimSpace(line)] = true
		}
	}
	return started, nil
}

// crash is what a server prints in its last moments.
var crash = regexp.MustCompile(`(?m)^(panic: |fatal error: |WARNING: DATA RACE|unexpected fault address).*`)

// crashes returns the first line of every crash in the servers' logs below a folder.
func crashes(dir string) []string {
	var found []string
	for _, pattern := range []string{"*/servers/*.log", "servers/*.log"} {
		files, _ := filepath.Glob(filepath.Join(dir, pattern)) // the pattern is well formed
		for _, f := range files {
			if b, err := os.ReadFile(f); err == nil {
				if line := crash.Find(b); line != nil {
					found = append(found, fmt.Sprintf("%s: %s", f, line))
				}
			}
		}
	}
	return found
}

// testClass finds the classes of a jar that may hold tests, by the two ways in which the projects name them.
var testClass = regexp.MustCompile(`^(?:.*/)?(?:Test[A-Z]\w*|\w+Tests?)\.class$`)

// unlisted returns the test classes of jars that a list does not name.
func (l *list) unlisted(jars ...string) ([]string, error) {
	var found []string
	for _, jar := range jars {
		z, err := zip.OpenReader(jar)
		if err != nil {
			return nil, err
		}
		for _, f := range z.File {
			class := strings.ReplaceAll(strings.TrimSuffix(f.Name, ".class"), "/", ".")
			if testClass.MatchString(f.Name) && !slices.Contains(l.run, class) && l.apart[class] == "" {
				found = append(found, class)
			}
		}
		if err := z.Close(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// upstreamCache returns the folder that `make upstream-deps` fills.
func upstreamCache(t *testing.T) string {
	t.Helper()
	cache, err := ensemble.Cache()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "upstream")
	for _, stamp := range []string{"classes.stamp", "venv.stamp"} {
		if _, err := os.Stat(filepath.Join(cache, stamp)); err != nil {
			t.Fatalf("%v: run `make upstream-deps`", err)
		}
	}
	return cache
}
