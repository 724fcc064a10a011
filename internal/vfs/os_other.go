//go:build unix && !linux

package vfs

import "os"

// fdatasync is the strongest that os has: F_FULLFSYNC on Darwin, fsync elsewhere.
func fdatasync(f *os.File) error { return f.Sync() }

// openDirect: only Linux has the pair of flags that the log wants.
func openDirect(string) (File, bool) { return nil, false }
