package lan

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

var noSandbox error

func TestMain(m *testing.M) {
	code, isInside, err := Sandbox()
	if isInside || err != nil {
		noSandbox = err
		code = m.Run()
	}
	os.Exit(code)
}

// pair makes a LAN with two hosts, of which the first echoes on port 7.
func pair(t *testing.T) (l *LAN, server, client *Host) {
	t.Helper()
	if noSandbox != nil {
		t.Skip(noSandbox)
	}
	l, err := New(1, netip.MustParseAddr("10.73.0.254"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if server, err = l.Host(netip.MustParseAddr("10.73.0.1")); err != nil {
		t.Fatal(err)
	}
	if client, err = l.Host(netip.MustParseAddr("10.73.0.2")); err != nil {
		t.Fatal(err)
	}
	var listener net.Listener
	if err := server.Enter(func() (err error) {
		listener, err = net.Listen("tcp", "10.73.0.1:7")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	return l, server, client
}

// echo sends some bytes and returns how long they took to come back.
func echo(c net.Conn, n int, limit time.Duration) (time.Duration, error) {
	start := time.Now()
	if err := c.SetDeadline(start.Add(limit)); err != nil {
		return 0, err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, n))
		sent <- err
	}()
	got, err := io.ReadFull(c, make([]byte, n))
	if err == nil {
		err = <-sent
	}
	if err != nil {
		err = fmt.Errorf("%d of %d bytes are back: %w", got, n, err)
	}
	return time.Since(start), err
}

func TestLAN(t *testing.T) {
	l, server, client := pair(t)
	for _, from := range []*Host{client, {addr: netip.MustParseAddr("10.73.0.254"), lan: l}} {
		c, err := from.Dial("tcp", "10.73.0.1:7", 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := echo(c, 1<<20, 5*time.Second); err != nil {
			t.Error(err)
		}
	}
	c, err := client.Dial("tcp", "10.73.0.1:7", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	l.SetBoth(client.Addr(), server.Addr(), Weather{Delay: 50 * time.Millisecond})
	if took, err := echo(c, 100, 5*time.Second); err != nil || took < 100*time.Millisecond {
		t.Errorf("echo over a slow link took %v, %v", took, err)
	}
	l.SetBoth(client.Addr(), server.Addr(), Weather{Loss: 0.1, Duplicate: 0.1, Delay: time.Millisecond, Jitter: 3 * time.Millisecond, Overtake: true})
	if _, err := echo(c, 64<<10, 30*time.Second); err != nil {
		t.Errorf("TCP does not get through bad weather: %v", err)
	}
	s := l.Stats()
	if s.Passed == 0 || s.Lost == 0 || s.Late == 0 || s.Doubled == 0 {
		t.Errorf("counted %+v", s)
	}
	// One way only: the request arrives, nothing comes back until the link is whole again.
	l.Set(client.Addr(), server.Addr(), Weather{})
	l.Set(server.Addr(), client.Addr(), Weather{Cut: true})
	if _, err := echo(c, 100, 300*time.Millisecond); err == nil {
		t.Error("an echo comes over a link that is cut")
	}
	if _, err := client.Dial("tcp", "10.73.0.1:7", 300*time.Millisecond); err == nil {
		t.Error("a connection is made over a link that is cut")
	}
	l.Set(server.Addr(), client.Addr(), Weather{})
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 100)); err != nil {
		t.Errorf("the echo does not come after the link is whole: %v", err)
	}
}
