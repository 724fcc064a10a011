package sock

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// pair returns both ends of a loopback connection, wrapped.
func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	a, b = Wrap(dialled), Wrap(accepted)
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// Far more than the socket's buffers hold and than one call takes, so that both sides wait for each other.
func TestLargeTransfer(t *testing.T) {
	a, b := pair(t)
	sent := make([]byte, 20<<20)
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	wrote := make(chan error, 1)
	go func() {
		n, err := a.Write(sent)
		if err == nil && n != len(sent) {
			err = io.ErrShortWrite
		}
		wrote <- errors.Join(err, a.(*conn).CloseWrite())
	}()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("read %d bytes, %v; want %d as they were sent", len(got), err, len(sent))
	}
	if err := <-wrote; err != nil {
		t.Errorf("write: %v", err)
	}
}

func TestDeadlines(t *testing.T) {
	a, _ := pair(t)
	if err := a.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read past its deadline: %v", err)
	}
	if err := a.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := a.Write(make([]byte, 64<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == 64<<20 {
		t.Errorf("a write that nobody reads, past its deadline: %d bytes, %v", n, err)
	}
}

func TestCloseWakesTheReader(t *testing.T) {
	a, _ := pair(t)
	ended := make(chan error, 1)
	go func() {
		_, err := a.Read(make([]byte, 1))
		ended <- err
	}()
	a.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the reader of a closed connection: %v", err)
	}
}

func TestErrorsOfTheOtherSide(t *testing.T) {
	a, b := pair(t)
	if err := b.(*conn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a read after a reset: %v", err)
	}
	if _, err := a.Write([]byte{1}); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a write after a reset: %v", err)
	}
}

func TestNothingToDo(t *testing.T) {
	a, _ := pair(t)
	if n, err := a.Read(nil); n != 0 || err != nil {
		t.Errorf("a read into nothing: %d, %v", n, err)
	}
	if n, err := a.Write(nil); n != 0 || err != nil {
		t.Errorf("a write of nothing: %d, %v", n, err)
	}
}

func TestWhatIsNoSocketStaysAsItIs(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if Wrap(a) != a {
		t.Error("a pipe was wrapped")
	}
}
