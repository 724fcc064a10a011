package upstream

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopherwood/e2e/internal/ensemble"
)

// kazooPort is where the ports of kazoo's three servers begin.
const kazooPort = "17500"

// TestKazoo runs kazoo's tests with pytest; its harness finds our java in the PATH.
func TestKazoo(t *testing.T) {
	need(t)
	l, dir, binary := prepare(t, "kazoo")
	cache := upstreamCache(t)
	root, err := ensemble.Root()
	if err != nil {
		t.Fatal(err)
	}
	packages, err := filepath.Glob(filepath.Join(cache, "venv", "lib", "python3*", "site-packages"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("the virtual environment has %d folders of packages: %v", len(packages), err)
	}
	modules, err := filepath.Glob(filepath.Join(packages[0], "kazoo", "tests", "test_*.py"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range modules {
		name := "kazoo.tests." + strings.TrimSuffix(filepath.Base(m), ".py")
		if !l.names(name) {
			t.Errorf("kazoo.txt names no class of %s", name)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), kazooLimit)
	defer cancel()
	xml := filepath.Join(dir, "report.xml")
	args := []string{"-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", packages[0], "--timeout", "180", "--junitxml", xml}
	for _, class := range chosen(l) {
		args = append(args, pytestName(packages[0], class))
	}
	cmd := exec.CommandContext(ctx, filepath.Join(cache, "venv", "bin", "python"), args...)
	out, err := os.Create(filepath.Join(dir, "output.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, dir
	cmd.Env = append(os.Environ(),
		"PATH="+filepath.Join(root, "e2e", "upstream", "python", "bin")+string(os.PathListSeparator)+os.Getenv("PATH"),
		"PYTHONDONTWRITEBYTECODE=1", "GOPHERWOOD_BINARY="+binary, "GOPHERWOOD_LOGS="+filepath.Join(dir, "servers"), "GOPHERWOOD_TLS=no",
		"ZOOKEEPER_VERSION=3.9.5", "ZOOKEEPER_PATH="+dir, "ZOOKEEPER_PORT_OFFSET="+kazooPort, "TMPDIR="+t.TempDir())
	group(cmd)
	runErr := cmd.Run() // pytest ends with 1 when a test failed
	results, err := readReport(xml)
	if err != nil {
		t.Fatalf("no report (pytest: %v); see %s", runErr, out.Name())
	}
	report(t, summarize("kazoo", l, results, nil), dir)
}

// pytestName turns module.Class, or module.Class#method, into pytest's file::Class::method. A module may stand for its functions.
func pytestName(packages, name string) string {
	class, method, _ := strings.Cut(name, "#")
	module, member := class, ""
	if dot := strings.LastIndexByte(class, '.'); !strings.HasPrefix(class[dot+1:], "test_") {
		module, member = class[:dot], "::"+class[dot+1:]
	}
	if method != "" {
		member += "::" + method
	}
	return filepath.Join(packages, strings.ReplaceAll(module, ".", "/")) + ".py" + member
}
