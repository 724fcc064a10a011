//go:build !linux

package main

import "os/exec"

// dieWithParent does nothing: only Linux can do it. Ctrl-C reaches the children all the same.
func dieWithParent(*exec.Cmd) {}
