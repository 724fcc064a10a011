//go:build linux && !(amd64 || arm64)

package vfs

import "os"

// asynchronous leaves the file as it is: the kernel's structures are written down for other machines only (aio_linux.go).
func asynchronous(f *os.File) File { return osFile{f} }
