//go:build unix

package server

import (
	"os"
	"syscall"
)

// descriptors is how many file descriptors the process has open and may have; -1 where that is not known.
func descriptors() (open, limit int64) {
	open, limit = -1, -1
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		open = int64(len(entries))
	}
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err == nil {
		limit = int64(r.Cur)
	}
	return open, limit
}
