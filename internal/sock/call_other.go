//go:build unix && !linux

package sock

import "syscall"

// Read makes one read of a socket in non-blocking mode. No bytes and no error mean the end; syscall.EAGAIN, that nothing is there yet.
func Read(fd uintptr, b []byte) (int, error) { return call(syscall.Read, fd, b) }

// Write makes one write to a socket in non-blocking mode, which may take less than all. syscall.EAGAIN says that it takes nothing now.
func Write(fd uintptr, b []byte) (int, error) { return call(syscall.Write, fd, b) }

func call(f func(int, []byte) (int, error), fd uintptr, b []byte) (int, error) {
	for {
		n, err := f(int(fd), b)
		if err == syscall.EINTR {
			continue
		}
		return max(n, 0), err
	}
}
