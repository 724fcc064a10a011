//go:build linux && (amd64 || arm64)

package vfs

import (
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// aioFile is a direct file whose writes do not occupy a thread while the disk works: they are given to the kernel (io_submit) and waited for in the network
// poller, through an eventfd.
//
// A thread that blocks in a system call wakes the runtime's monitor, which polls every 20 µs for as long as that happens, and hands its processor to
// another thread and back. At 2,000 small writes a second that took more processor time than everything else that a server did.
//
// io_submit may block in its turn, on the file's metadata or for room in the device's queue. So it is first asked not to (RWF_NOWAIT), in a call
// that the scheduler is not told of, and where it would have to, once more in an ordinary one.
//
// O_DSYNC holds as for a plain write: the kernel completes the request only when the bytes are durable.
type aioFile struct {
	osFile

	mu      sync.Mutex // one write at a time
	plain   bool       // the kernel doesn't let this process have it
	closed  bool
	context uintptr  // the kernel's aio_context_t, for one request; 0 before the first write
	done    *os.File // the eventfd, counting completed requests
	poll    syscall.RawConn
	onPoll  func(fd uintptr) bool
	request iocb
	list    *iocb // what io_submit is given the address of
	result  ioEvent
	count   uint64
	pollErr error
	broken  error // a write whose end is not known
}

// iocb is struct iocb of linux/aio_abi.h, on a little-endian machine.
type iocb struct {
	_        uint64 // data
	_        uint32 // key
	rwFlags  uint32
	opcode   uint16
	_        int16 // priority
	fd       uint32
	buf      uint64
	bytes    uint64
	offset   int64
	_        uint64 // reserved
	flags    uint32
	resultFD uint32
}

// ioEvent is struct io_event.
type ioEvent struct {
	data, obj uint64
	res, res2 int64
}

// Of linux/aio_abi.h and linux/fs.h.
const (
	iocbPwrite    = 1
	iocbFlagResFD = 1
	rwfNoWait     = 0x8
)

// asynchronous is a direct file whose writes are asynchronous, where the kernel lets this process have that.
func asynchronous(f *os.File) File { return &aioFile{osFile: osFile{f}} }

// setUp prepares the first write.
func (a *aioFile) setUp() error {
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&a.context)), 0); errno != 0 {
		return errno // not built in, not allowed in this container, or fs.aio-max-nr is used up
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	a.done = os.NewFile(uintptr(fd), "eventfd")
	if a.poll, err = a.done.SyscallConn(); err != nil {
		return err
	}
	a.request = iocb{opcode: iocbPwrite, fd: uint32(a.Fd()), flags: iocbFlagResFD, resultFD: uint32(fd)}
	a.onPoll, a.list = a.completed, &a.request
	return nil
}

// tearDown waits for a request that is under way.
func (a *aioFile) tearDown() {
	if a.context != 0 {
		_, _, _ = unix.Syscall(unix.SYS_IO_DESTROY, a.context, 0, 0)
	}
	if a.done != nil {
		_ = a.done.Close() // nothing was written to it that could be lost
	}
	a.context, a.done = 0, nil
}

// Close implements File.
func (a *aioFile) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tearDown()
	a.closed = true
	return a.osFile.Close()
}

// WriteAt implements File.
func (a *aioFile) WriteAt(b []byte, off int64) (n int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.context == 0 && !a.plain && !a.closed && a.setUp() != nil {
		a.tearDown()
		a.plain = true
	}
	if a.plain || a.closed || len(b) == 0 {
		return a.osFile.WriteAt(b, off)
	}
	for n < len(b) && err == nil {
		var k int
		k, err = a.write(b[n:], off+int64(n))
		n += k
	}
	if err != nil {
		err = &os.PathError{Op: "write", Path: a.Name(), Err: err}
	}
	return n, err
}

// write makes one request and waits for it.
func (a *aioFile) write(b []byte, off int64) (int, error) {
	if a.broken != nil {
		return 0, a.broken
	}
	var pins runtime.Pinner
	pins.Pin(unsafe.SliceData(b))
	r := &a.request
	r.buf, r.bytes, r.offset = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), uint64(len(b)), off
	r.rwFlags = rwfNoWait
	n, err := a.submit()
	if err == unix.EAGAIN || err == unix.EOPNOTSUPP {
		r.rwFlags = 0
		n, err = a.submit()
	}
	if a.broken == nil {
		pins.Unpin() // else the kernel may still read b
	}
	if err == nil && n == 0 {
		err = io.ErrShortWrite
	}
	return n, err
}

// submit gives the request to the kernel, which may answer before it returns, and waits for its end.
func (a *aioFile) submit() (int, error) {
	for {
		var errno unix.Errno
		if a.request.rwFlags&rwfNoWait != 0 {
			_, _, errno = unix.RawSyscall(unix.SYS_IO_SUBMIT, a.context, 1, uintptr(unsafe.Pointer(&a.list)))
		} else {
			_, _, errno = unix.Syscall(unix.SYS_IO_SUBMIT, a.context, 1, uintptr(unsafe.Pointer(&a.list)))
		}
		if errno == 0 {
			break
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
	a.pollErr = nil
	err := a.poll.Read(a.onPoll)
	if err = errors.Join(err, a.pollErr); err == nil {
		err = a.reap()
	}
	if err != nil {
		a.broken = err
		return 0, err
	}
	if a.result.res < 0 {
		return 0, unix.Errno(-a.result.res)
	}
	return int(a.result.res), nil
}

// completed takes the eventfd's count; false is to be called again when there is one.
func (a *aioFile) completed(fd uintptr) bool {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&a.count)), unsafe.Sizeof(a.count))
		switch errno {
		case 0:
			return true
		case unix.EAGAIN:
			return false
		case unix.EINTR:
		default:
			a.pollErr = os.NewSyscallError("read eventfd", errno)
			return true
		}
	}
}

// reap takes the result of the one request.
func (a *aioFile) reap() error {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_IO_GETEVENTS, a.context, 1, 1, uintptr(unsafe.Pointer(&a.result)), 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno != 0:
			return os.NewSyscallError("io_getevents", errno)
		case n == 1:
			return nil
		default:
			return errors.New("vfs: the kernel reported the end of a write that it does not know")
		}
	}
}
