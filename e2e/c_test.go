package e2e

import (
	"os/exec"
	"testing"
)

// cClient runs the suite of the C client, which `make e2e-deps` compiles.
func cClient(t *testing.T, connect string) {
	runSuite(t, exec.CommandContext(suiteContext(t), cached(t, "c", "suite"), "--connect", connect, "--root", suiteRoot(t)))
}
