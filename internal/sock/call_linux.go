package sock

import (
	"syscall"
	"unsafe"
)

// maxCall bounds the bytes of one call: copying that much takes some tens of microseconds.
const maxCall = 256 << 10

// Read makes one read of a socket in non-blocking mode, of at most some 100 KB. No bytes and no error mean the end; syscall.EAGAIN, that nothing is
// there yet.
func Read(fd uintptr, b []byte) (int, error) { return call(syscall.SYS_READ, fd, b) }

// Write makes one write to a socket in non-blocking mode, which may take less than all. syscall.EAGAIN says that it takes nothing now.
func Write(fd uintptr, b []byte) (int, error) { return call(syscall.SYS_WRITE, fd, b) }

func call(trap, fd uintptr, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(min(len(b), maxCall)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
