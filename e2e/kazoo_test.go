package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gopherwood/e2e/internal/ensemble"
)

// kazoo runs the suite of the Python client in the virtual environment that `make e2e-deps` made.
func kazoo(t *testing.T, connect string) {
	python := cached(t, "venv", "bin", "python")
	root, err := ensemble.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(suiteContext(t), python, filepath.Join(root, "e2e", "python", "suite.py"),
		"--connect", connect, "--root", suiteRoot(t))
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	runSuite(t, cmd)
}
