package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/internal/raw"
)

// metric reads one number from a server's /metrics.
func metric(t *testing.T, s *ensemble.Server, name string) float64 {
	t.Helper()
	r, err := http.Get(s.AdminURL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(body)
	if m == nil {
		t.Fatalf("no %s in %s/metrics", name, s.AdminURL())
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// resident is a server's resident memory in bytes.
func resident(t *testing.T, s *ensemble.Server) int64 {
	t.Helper()
	n, err := s.ResidentBytes()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// settled waits until a server's resident memory has stopped falling and returns it: garbage is given back with a delay.
func settled(t *testing.T, s *ensemble.Server) int64 {
	t.Helper()
	least := resident(t, s)
	for quiet := 0; quiet < 4; quiet++ {
		time.Sleep(500 * time.Millisecond)
		if now := resident(t, s); now < least-least/100 {
			least, quiet = now, 0
		}
	}
	return least
}

// serves fails the test unless a new client can write through the server.
func serves(t *testing.T, s *ensemble.Server) {
	t.Helper()
	c, err := raw.Dial(s.Addr(), raw.Session{TimeoutMs: faultTimeoutMs})
	if err != nil {
		t.Fatalf("the server takes no client: %v\n%s", err, s.LogTail())
	}
	defer c.Close()
	path := fmt.Sprintf("/serves-%d", time.Now().UnixNano())
	for _, request := range [][]byte{raw.Create(nil, 1, path, nil, raw.Persistent), raw.Delete(nil, 2, path, -1), raw.CloseSession(nil, 3)} {
		if r, err := c.Call(request); err != nil || r.Err != 0 {
			t.Fatalf("the server does not serve: error %d, %v", r.Err, err)
		}
	}
}

// TestBoundsIdleSessions holds many sessions that do nothing and looks at what each costs.
func TestBoundsIdleSessions(t *testing.T) {
	need(t)
	n := setting(t, "GOPHERWOOD_E2E_SESSIONS", 2000)
	n = min(n, moreFiles(t, n+1000)-100) // both ends of a session are files, of two processes
	// A long tick, so that no session has to ping while the test lasts.
	e := ensemble.Start(t, ensemble.Options{Target: target(), TickMs: 30_000})
	s := e.Servers[0]
	serves(t, s)
	before := settled(t, s)
	var mu sync.Mutex
	var conns []*raw.Conn
	t.Cleanup(func() {
		for _, c := range conns {
			c.Close()
		}
	})
	var openers sync.WaitGroup
	for w := range 16 {
		openers.Go(func() {
			for i := w; i < n; i += 16 {
				c, err := raw.Dial(s.Addr(), raw.Session{TimeoutMs: 600_000})
				if err != nil {
					t.Errorf("session %d: %v", i, err)
					return
				}
				mu.Lock()
				conns = append(conns, c)
				mu.Unlock()
			}
		})
	}
	openers.Wait()
	if t.Failed() {
		t.FailNow()
	}
	after := settled(t, s)
	each := float64(after-before) / float64(n) / 1024
	t.Logf("FIGURE idle sessions: %d cost %.1f KiB resident each (%d MiB before, %d MiB with them)", n, each, before>>20, after>>20)
	if target() == ensemble.Gopherwood && n >= 10_000 && each > 12 {
		t.Errorf("%.1f KiB each, promised are 12", each)
	}
	for i, c := range conns[:min(n, 100)] {
		if r, err := c.Call(raw.Ping(nil)); err != nil || r.Xid != raw.XidPing {
			t.Fatalf("ping of session %d: %+v, %v", i, r, err)
		}
	}
	serves(t, s)
}

// moreFiles lets this process and its children open so many files, as root, and returns how many they may.
func moreFiles(t *testing.T, want int) int {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	if int(l.Cur) >= want {
		return int(l.Cur)
	}
	more := syscall.Rlimit{Cur: uint64(want), Max: max(l.Max, uint64(want))}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &more); err != nil {
		t.Logf("open files stay limited to %d: %v", l.Cur, err)
		return int(l.Cur)
	}
	return want
}

// TestBoundsSilentWatcher has a client that sets a watch on everything and never reads its events, while others write: it is closed at
// a bound, and the server's memory stays within it.
func TestBoundsSilentWatcher(t *testing.T) {
	need(t)
	if target() == ensemble.ZooKeeper {
		t.Skip("ZooKeeper queues without a bound")
	}
	e := ensemble.Start(t, ensemble.Options{Target: target()})
	s := e.Servers[0]
	watcher, err := raw.Dial(s.Addr(), raw.Session{TimeoutMs: faultTimeoutMs})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	if r, err := watcher.Call(raw.AddWatch(nil, 1, "/", 1)); err != nil || r.Err != 0 {
		t.Fatalf("addWatch: error %d, %v", r.Err, err)
	}
	writer, err := raw.Dial(s.Addr(), raw.Session{TimeoutMs: faultTimeoutMs})
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	path := "/" + string(bytes.Repeat([]byte("long-name-"), 50))
	if r, err := writer.Call(raw.Create(nil, 1, path, nil, raw.Persistent)); err != nil || r.Err != 0 {
		t.Fatalf("create: error %d, %v", r.Err, err)
	}
	before := settled(t, s)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		awaitHangUp(watcher)
	}()
	const most = 200_000 // events of some 550 bytes: over 100 MB
	sent := 0
	for ; sent < most; sent += 100 {
		select {
		case <-closed:
		default:
			if err := pipeline(writer, 100, func(b []byte, xid int32) []byte { return raw.Set(b, xid, path, nil, -1) }); err != nil {
				t.Fatal(err)
			}
			continue
		}
		break
	}
	<-closedOr(closed, 20*time.Second)
	select {
	case <-closed:
		t.Logf("the silent watcher was closed after %d events of it", sent)
	default:
		t.Errorf("the silent watcher is still connected after %d events", sent)
	}
	if grown := settled(t, s) - before; grown > 64<<20 {
		t.Errorf("the server grew by %d MiB", grown>>20)
	}
	serves(t, s)
}

// awaitHangUp returns when the server has ended a connection that nobody reads: found out by writing pings to it now and then, because
// to read would be to take events.
func awaitHangUp(c *raw.Conn) {
	for {
		time.Sleep(20 * time.Millisecond)
		if c.Send(raw.Ping(nil)) != nil || c.Flush() != nil {
			return
		}
	}
}

func closedOr(c <-chan struct{}, limit time.Duration) <-chan struct{} {
	either := make(chan struct{})
	go func() {
		defer close(either)
		select {
		case <-c:
		case <-time.After(limit):
		}
	}()
	return either
}

// pipeline sends n requests and reads n answers, all of which must succeed.
func pipeline(c *raw.Conn, n int, request func(b []byte, xid int32) []byte) error {
	var b []byte
	for i := range n {
		b = request(b[:0], int32(i+1))
		if err := c.Send(b); err != nil {
			return err
		}
	}
	if err := c.Flush(); err != nil {
		return err
	}
	for range n {
		r, err := c.Receive()
		if err != nil {
			return err
		}
		if r.Err != 0 {
			return fmt.Errorf("request %d: error %d", r.Xid, r.Err)
		}
	}
	return nil
}

// TestBoundsSilentReader has clients that ask for large data again and again and never read it: the server stops reading from them or
// closes them, its memory stays bounded, and others are served.
func TestBoundsSilentReader(t *testing.T) {
	need(t)
	if target() == ensemble.ZooKeeper {
		t.Skip("ZooKeeper queues without a bound")
	}
	e := ensemble.Start(t, ensemble.Options{Target: target()})
	s := e.Servers[0]
	setup, err := raw.Dial(s.Addr(), raw.Session{TimeoutMs: faultTimeoutMs})
	if err != nil {
		t.Fatal(err)
	}
	defer setup.Close()
	if r, err := setup.Call(raw.Create(nil, 1, "/large", make([]byte, 1_000_000), raw.Persistent)); err != nil || r.Err != 0 {
		t.Fatalf("create: error %d, %v", r.Err, err)
	}
	before := settled(t, s)
	const clients, asks = 20, 1000 // 20 GB, if they were all answered
	for range clients {
		c, err := raw.Dial(s.Addr(), raw.Session{TimeoutMs: faultTimeoutMs})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Net().SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		for i := range asks {
			if c.Send(raw.Read(nil, int32(i+1), raw.OpGetData, "/large")) != nil {
				break // the server does not read any more
			}
		}
		_ = c.Flush()
	}
	if grown := resident(t, s) - before; grown > 256<<20 {
		t.Errorf("the server grew by %d MiB for %d clients that do not read", grown>>20, clients)
	}
	serves(t, s)
}

// hostile are byte streams that no client sends. Each must cost its connection, or be answered with an error, and nothing else.
func hostile() map[string][]byte {
	frame := func(body ...[]byte) []byte {
		all := bytes.Join(body, nil)
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(all))), all...)
	}
	word := func(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
	connect := frame(word(0), make([]byte, 8), word(10_000), make([]byte, 8), word(16), make([]byte, 16), []byte{0})
	after := func(b ...[]byte) []byte { return append(bytes.Clone(connect), bytes.Join(b, nil)...) }
	header := func(op uint32) []byte { return append(word(1), word(op)...) }
	random := make([]byte, 4096)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	zeros := make([]byte, 1<<16)
	return map[string][]byte{
		"negative length":              word(0xffffffff),
		"largest length":               word(0x7fffffff),
		"length just over the limit":   word(1 << 20),
		"length zero":                  zeros[:4],
		"only zeros":                   zeros,
		"random":                       random,
		"http":                         []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"tls hello":                    {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3},
		"unknown word":                 []byte("zzzz"),
		"connect with long password":   frame(word(0), make([]byte, 8), word(10_000), make([]byte, 8), word(0x7fffffff)),
		"connect with bad password":    frame(word(0), make([]byte, 8), word(10_000), make([]byte, 8), word(0xfffffff0)),
		"connect cut short":            frame(word(0), make([]byte, 8)),
		"connect from the future":      frame(word(0), word(0x7fffffff), word(0), word(10_000), make([]byte, 8), word(16), make([]byte, 16), []byte{0}),
		"request before connect":       frame(header(raw.OpGetData), word(1), []byte("/"), []byte{0}),
		"negative length after hello":  after(word(0x80000000)),
		"huge length after hello":      after(word(0x7ffffff0)),
		"random after hello":           after(random),
		"zeros after hello":            after(zeros),
		"unknown operation":            after(frame(header(9999))),
		"negative operation":           after(frame(header(0xfffffff0))),
		"header cut short":             after(frame(word(1))),
		"path of huge length":          after(frame(header(raw.OpGetData), word(0x7fffffff))),
		"path of negative length":      after(frame(header(raw.OpGetData), word(0x80000000))),
		"path without its end":         after(frame(header(raw.OpGetData), word(100), []byte("/x"))),
		"path that is not utf-8":       after(frame(header(raw.OpGetData), word(4), []byte{'/', 0xff, 0xfe, 0xc0}, []byte{0})),
		"acl of huge count":            after(frame(header(raw.OpCreate), word(2), []byte("/x"), word(0), word(0x7fffffff))),
		"acl of negative count":        after(frame(header(raw.OpCreate), word(2), []byte("/x"), word(0), word(0x80000001))),
		"multi without its end":        after(frame(header(raw.OpMulti), word(raw.OpCreate), []byte{0}, word(0xffffffff))),
		"multi in a multi":             after(frame(header(raw.OpMulti), word(raw.OpMulti), []byte{0}, word(0xffffffff))),
		"watches of huge count":        after(frame(header(raw.OpSetWatches), make([]byte, 8), word(0x7fffffff))),
		"watches of negative count":    after(frame(header(raw.OpSetWatches), make([]byte, 8), word(0x80000000))),
		"many pings":                   after(bytes.Repeat(frame(word(0xfffffffe), word(raw.OpPing)), 10_000)),
		"second connect":               after(connect),
		"word after hello":             after([]byte("ruok")),
		"a frame whose end never came": after(word(1000), []byte("half")),
	}
}

// TestBoundsHostileClients sends what no client sends, many times at once, beside a client that works on.
func TestBoundsHostileClients(t *testing.T) {
	need(t)
	e := ensemble.Start(t, ensemble.Options{Target: target()})
	s := e.Servers[0]
	serves(t, s)
	before := settled(t, s)
	var broken atomic.Int64
	stop := make(chan struct{})
	var honest sync.WaitGroup
	honest.Go(func() { workOn(s.Addr(), stop, &broken) })
	for name, stream := range hostile() {
		t.Run(name, func(t *testing.T) {
			var attackers sync.WaitGroup
			for range 20 {
				attackers.Go(func() {
					if err := attack(s.Addr(), stream); err != nil {
						t.Error(err)
					}
				})
			}
			attackers.Wait()
		})
	}
	close(stop)
	honest.Wait()
	if n := broken.Load(); n > 0 {
		t.Errorf("an honest client failed %d times", n)
	}
	if !s.Running() {
		t.Fatalf("the server ended\n%s", s.LogTail())
	}
	serves(t, s)
	grown := settled(t, s) - before
	t.Logf("the server grew by %d MiB", grown>>20)
	if grown > 64<<20 && target() != ensemble.ZooKeeper {
		t.Errorf("the server grew by %d MiB", grown>>20)
	}
}

// attack sends a stream and waits a little for the server's reaction, which may be anything but a flood.
func attack(addr string, stream []byte) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := c.Write(stream); err != nil {
		return nil // hung up on: as it should be
	}
	if n, _ := io.Copy(io.Discard, io.LimitReader(c, 4<<20)); n >= 4<<20 {
		return errors.New("the server answers with a flood")
	}
	return nil
}

// workOn writes through one connection until it is told to stop, counting failures.
func workOn(addr string, stop <-chan struct{}, broken *atomic.Int64) {
	c, err := raw.Dial(addr, raw.Session{TimeoutMs: faultTimeoutMs})
	if err != nil {
		broken.Add(1)
		return
	}
	defer c.Close()
	for i := int32(1); ; i++ {
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
		if r, err := c.Call(raw.Create(nil, i, "/honest-", nil, raw.PersistentSequential)); err != nil || r.Err != 0 {
			broken.Add(1)
			return
		}
	}
}

// TestBoundsSilentConnections opens connections that never say a word: the server ends them by itself.
func TestBoundsSilentConnections(t *testing.T) {
	need(t)
	e := ensemble.Start(t, ensemble.Options{Target: target()})
	s := e.Servers[0]
	const n = 200
	var ended sync.WaitGroup
	for range n {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ended.Go(func() {
			if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Error(err)
			}
			_, err := c.Read(make([]byte, 1))
			if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
				t.Error("a connection that said nothing for a minute is still open")
			}
		})
	}
	serves(t, s)
	ended.Wait()
}
