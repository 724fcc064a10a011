package replica_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// module makes a module of somebody else's out of a program, which uses this one as it is here.
func module(t *testing.T, program string) (dir string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example.org/other\n\ngo 1.26.0\n\nrequire gopherwood v0.0.0\n\nreplace gopherwood => " + root + "\n",
		"go.sum":  string(sum),
		"main.go": program,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func goRun(t *testing.T, dir, want string) {
	t.Helper()
	run := exec.Command("go", "run", ".")
	run.Dir = dir
	run.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	out, err := run.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), want) {
		t.Errorf("%v: %s, want %q", err, out, want)
	}
}

// Nothing that one has to name is internal.
func TestAnotherModuleCanUseAllOfIt(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("testdata", "othermodule.go.txt"))
	if err != nil {
		t.Fatal(err)
	}
	goRun(t, module(t, string(source)), "all of it\n")
}

// The counter of the README runs as it is written there, and goes on counting.
func TestReadmeRunsAsWritten(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(text), "```go\n")
	code, _, ok := strings.Cut(code, "```")
	if !ok {
		t.Fatal("there is no program in the README")
	}
	dir := module(t, code)
	goRun(t, dir, "the total is 21\n")
	goRun(t, dir, "the total is 42\n")
}
