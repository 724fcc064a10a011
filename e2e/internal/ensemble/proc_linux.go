package ensemble

import (
	"os/exec"
	"syscall"
)

// endWithParent makes the kernel end the process when the test process ends, however it ends.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
