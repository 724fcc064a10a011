package main

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel stop a child when the thread that starts it ends, however it ends.
func dieWithParent(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
