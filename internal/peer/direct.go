package peer

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// directWriter writes to a socket without ever waiting for it. One goroutine at a time.
type directWriter struct {
	raw   syscall.RawConn
	ready func(fd uintptr) bool // attempt, made once

	buf []byte
	n   int
	err error
}

// newDirectWriter returns nil for a connection that is no socket.
func newDirectWriter(conn net.Conn) *directWriter {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	w := &directWriter{raw: raw}
	w.ready = w.attempt
	return w
}

// write makes one system call. n < len(b) without an error says that the socket takes no more now.
func (w *directWriter) write(b []byte) (n int, err error) {
	w.buf, w.n, w.err = b, 0, nil
	err = w.raw.Write(w.ready)
	w.buf = nil
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, nil // the deadline of an earlier write by the goroutine; it will set another
	}
	if err != nil {
		return 0, err
	}
	return w.n, w.err
}

// attempt always reports that it is done: what is left is somebody else's.
func (w *directWriter) attempt(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), w.buf)
		switch err {
		case nil:
			w.n = n
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			w.err = err
		}
		return true
	}
}
