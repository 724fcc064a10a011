package server

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gopherwood/internal/watch"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHostileFrames: each of these ends its own connection; the session and everybody else are unharmed.
func TestHostileFrames(t *testing.T) {
	frame := func(length int32, body []byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(length)), body...)
	}
	get := &wire.GetDataRequest{Path: "/zookeeper"}
	for _, tc := range []struct {
		name string
		b    []byte
	}{
		{"negative length", frame(-1, nil)},
		{"most negative length", frame(-1<<31, nil)},
		{"one byte too long", frame(wire.DefaultMaxFrame+1, nil)},
		{"two gigabytes", frame(1<<31-1, nil)},
		{"no header", frame(0, nil)},
		{"half a header", frame(5, make([]byte, 5))},
		{"a path longer than the frame", frame(12, request1(1, zk.OpGetData, get)[4:16])},
		{"a negative path length", frame(13, append(request1(1, zk.OpGetData, nil)[4:], 0xff, 0xff, 0xff, 0xf0, 0))},
		{"a write cut short", frame(20, request1(1, zk.OpSetData, setReq("/a/long/path", "data"))[4:24])},
		{"a billion ACLs", request1(1, zk.OpCreate, rawRecord("\x00\x00\x00\x02/x\x00\x00\x00\x00\x3f\xff\xff\xff\x00\x00\x00\x00"))},
		{"a billion watches", request1(-8, zk.OpSetWatches, rawRecord("\x00\x00\x00\x00\x00\x00\x00\x01\x3f\xff\xff\xff"))},
		{"an endless multi", request1(1, zk.OpMulti, rawRecord(strings.Repeat("\x00\x00\x00\x02\x00\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00", 9)))},
		{"a sync without a path", request1(1, zk.OpSync, nil)},
		{"auth without anything", request1(-4, zk.OpAuth, nil)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := newEnsemble(t, 1, nil)
			other, c := e.client(0), e.client(0)
			c.write(tc.b)
			c.ended()
			again := newClient(t, e.dial(0))
			again.session, again.passwd = c.session, c.passwd
			if r := again.connect(); r.SessionID != c.session {
				t.Error("the session is gone")
			}
			other.create("/x", "", zk.ModePersistent)
		})
	}
}

type rawRecord string

func (r rawRecord) Append(b []byte) []byte { return append(b, r...) }

func TestHostileHandshakes(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	for name, b := range map[string]string{
		"a short frame":    "\x00\x00\x00\x04abcd",
		"an empty frame":   "\x00\x00\x00\x00",
		"a password of 2G": "\x00\x00\x00\x1c" + strings.Repeat("\x00", 24) + "\x7f\xff\xff\xff",
		"an unknown word":  "what",
		"HTTP":             "GET / HTTP/1.1\r\n\r\n",
		"TLS":              "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	} {
		c := newClient(t, e.dial(0))
		c.write([]byte(b))
		t.Run(name, func(t *testing.T) { c.t = t; c.ended() })
	}
	e.client(0).must(zk.OpPing, nil)
}

// TestHostilePipeline: a malformed read between writes that are under way. It ends the connection when its turn comes, and the requests
// behind it with it.
func TestHostilePipeline(t *testing.T) {
	bad := request1(3, zk.OpGetData, rawRecord("\x00\x00\x00\x09"))
	for _, batches := range [][]int{{1, 1, 1}, {3}} {
		e := newEnsemble(t, 1, nil)
		c, other := e.client(0), e.client(0)
		other.create("/a", "0", 0)
		e.hold()
		var b []byte
		for _, frame := range [][]byte{
			request1(1, zk.OpSetData, setReq("/a", "1")), request1(2, zk.OpGetData, &wire.GetDataRequest{Path: "/a"}), bad,
			request1(4, zk.OpGetData, &wire.GetDataRequest{Path: "/a"}), request1(5, zk.OpSetData, setReq("/a", "2")),
			request1(6, zk.OpSync, &wire.SyncRequest{Path: "/a"}), request1(7, zk.OpPing, nil),
		} {
			b = append(b, frame...)
		}
		c.write(b)
		left := 3 // two writes and the barrier
		for _, n := range batches {
			e.step(left, n)
			left -= n
		}
		e.release()
		if got := strings.Join(c.replies(3, nil), "|"); got != "1@4|2@4|3:zk: marshalling error" {
			t.Errorf("got %s", got)
		}
		c.ended()
		if data, _, _ := other.get("/a", false); data != "2" { // it was proposed, so it is carried out
			t.Errorf("read %q", data)
		}
	}
}

// TestHostileReaderHeldUp: the malformed read's turn comes while the connection's reader waits for room in the queue behind it.
func TestHostileReaderHeldUp(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.MaxOutstanding = 4 })
	c := e.client(0)
	e.hold()
	b := append(request1(1, zk.OpSetData, setReq("/", "1")), request1(2, zk.OpGetData, rawRecord("\x00\x00\x00\x09"))...)
	for i := range int32(10) {
		b = append(b, request1(3+i, zk.OpSetData, setReq("/", "2"))...)
	}
	c.write(b)
	e.await(3)
	e.release()
	if got := strings.Join(c.replies(2, nil), "|"); got != "1@2|2:zk: marshalling error" {
		t.Errorf("got %s", got)
	}
	c.ended()
}

// TestLargestFrame: 1,048,575 bytes are taken, in small pieces too; what was bought for them is given back.
func TestLargestFrame(t *testing.T) {
	for name, dial := range map[string]func(*ensemble) *rawClient{
		"socket": func(e *ensemble) *rawClient { return newClient(t, e.dial(0)) },
		"pipe":   func(e *ensemble) *rawClient { return newClient(t, e.pipe(0)) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnsemble(t, 1, nil)
			c := dial(e)
			c.connect()
			data := strings.Repeat("x", wire.DefaultMaxFrame-8-4-2-4-4-(4+4+4+5+4+6))
			b := request1(1, zk.OpCreate, createReq("/x", data, 0))
			if len(b) != wire.DefaultMaxFrame+4 {
				t.Fatalf("frame of %d", len(b))
			}
			c.write(b[:1])
			c.write(b[1:5000])
			c.write(b[5000:])
			if h, _ := c.reply(); h.Err != zk.OK {
				t.Fatal(h.Err)
			}
			c.xid = 1
			if got, _, _ := c.get("/x", false); got != data {
				t.Errorf("%d bytes came back", len(got))
			}
		})
	}
}

// TestSilentClient: who connects and says nothing, or half of something, is closed after the time for handshakes.
func TestSilentClient(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	s := e.members[0].server
	silent, half := newClient(t, e.dial(0)), newClient(t, e.dial(0))
	half.write([]byte{0, 0, 0, 44, 0})
	good := e.client(0)
	s.Housekeep(time.Duration(s.now()))
	s.Housekeep(time.Duration(s.now()) + s.cfg.HandshakeTimeout + time.Second)
	silent.ended()
	half.ended()
	good.must(zk.OpPing, nil)
}

// TestLengthAllocatesNothing: a length alone does not buy a buffer.
func TestLengthAllocatesNothing(t *testing.T) {
	s, err := New(Config{Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	in := inbox{}
	in.acquire(s)
	in.end = copy(in.buf, "\x00\x0f\xff\xff")
	grow := func(want int) {
		if err := in.makeRoom(s, want); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		grow(0xfffff)
	}
	if len(in.buf) != readBufferBytes {
		t.Fatalf("a buffer of %d", len(in.buf))
	}
	size := len(in.buf)
	for in.end < 0xfffff { // as bytes come, it doubles
		in.end = len(in.buf)
		grow(0xfffff + 4)
		if len(in.buf) > 2*size || len(in.buf) > 0xfffff+4 {
			t.Fatalf("grew from %d to %d", size, len(in.buf))
		}
		size = len(in.buf)
	}
	if n := s.inTotal.Load(); n != int64(size) {
		t.Errorf("%d bytes are counted for a buffer of %d", n, size)
	}
	in.release(s)
	if n := s.inTotal.Load(); n != 0 {
		t.Errorf("%d bytes are counted for nothing", n)
	}
}

// TestInputBound: long requests that do not end are bounded for all clients together.
func TestInputBound(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.MaxInTotal = 320 << 10 })
	s := e.members[0].server
	big := request1(1, zk.OpCreate, createReq("/x", strings.Repeat("x", 150<<10), 0))
	first, second, third := e.client(0), e.client(0), e.client(0)
	before := s.stats.recvBytes.Load()
	first.write(big[:140<<10])
	for s.stats.recvBytes.Load() < before+140<<10 { // until its buffer does not grow any more: it must not be the one that meets the bound
		time.Sleep(time.Millisecond)
	}
	second.nc.Write(big[:140<<10])
	second.ended()
	first.write(big[140<<10:])
	if h, _ := first.reply(); h.Err != zk.OK {
		t.Error(h.Err)
	}
	for s.inTotal.Load() != 0 {
		third.must(zk.OpPing, nil)
	}
}

// TestClientThatNeverReads: its events pile up to the bound, then it is closed; the others go on all the while.
func TestClientThatNeverReads(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.MaxOutBytes = 32 << 10 })
	s := e.members[0].server
	deaf := newClient(t, e.pipe(0)) // without a socket's own buffers
	deaf.connect()
	deaf.must(zk.OpAddWatch, &wire.AddWatchRequest{Path: "/", Mode: zk.AddWatchPersistentRecursive})
	c := e.client(0)
	for i := 0; len(s.conns()) == 2; i++ {
		c.create(fmt.Sprintf("/%064d", i), "", zk.ModePersistent)
		if i > 5000 {
			t.Fatal("no bound")
		}
	}
	c.must(zk.OpPing, nil)
	if n := s.outTotal.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

// TestReaderThatReadsSlowly: someone who asks for much and takes it slowly gets everything, and the server never holds more of it
// than a little.
func TestReaderThatReadsSlowly(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	s := e.members[0].server
	setup := e.client(0)
	data := strings.Repeat("d", 100<<10)
	setup.create("/big", data, zk.ModePersistent)
	c := newClient(t, e.pipe(0))
	c.connect()
	go func() {
		var frames []byte
		for i := range int32(100) {
			frames = append(frames, request1(i, zk.OpGetData, &wire.GetDataRequest{Path: "/big"})...)
		}
		c.nc.Write(frames)
	}()
	for i := range int32(100) {
		h, d := c.reply()
		if got, _, _ := getReply(h, d); h.Xid != i || got != data {
			t.Fatalf("reply %d: xid %d, %d bytes", i, h.Xid, len(got))
		}
		if total := s.outTotal.Load(); total > outHigh+2*int64(len(data)) {
			t.Fatalf("%d bytes wait", total)
		}
	}
}

// TestTotalBound: what waits for all clients together is bounded; who exceeds it is closed.
func TestTotalBound(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.MaxOutTotal = 200 << 10 })
	setup := e.client(0)
	setup.create("/big", strings.Repeat("d", 150<<10), zk.ModePersistent)
	first := newClient(t, e.pipe(0))
	first.connect()
	first.send(zk.OpGetData, &wire.GetDataRequest{Path: "/big"})
	for e.members[0].server.outTotal.Load() == 0 {
		setup.must(zk.OpPing, nil)
	}
	second := newClient(t, e.pipe(0))
	second.connect()
	second.send(zk.OpGetData, &wire.GetDataRequest{Path: "/big"})
	second.ended()
	if h, _ := first.reply(); h.Err != zk.OK {
		t.Error(h.Err)
	}
}

func TestReplyBound(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.MaxReplyBytes = 2000 })
	c := e.client(0)
	for i := range 50 {
		c.create(fmt.Sprintf("/%040d", i), strings.Repeat("x", 100), 0)
	}
	multi := &wire.MultiRequest{}
	for range 50 {
		multi.Ops = append(multi.Ops, wire.Op{Type: zk.OpGetData, Path: fmt.Sprintf("/%040d", 1)})
	}
	for op, r := range map[zk.OpCode]record{
		zk.OpGetChildren: &wire.GetChildrenRequest{Path: "/"}, zk.OpGetChildren2: &wire.GetChildren2Request{Path: "/"}, zk.OpMultiRead: multi,
	} {
		c := e.client(0)
		c.send(op, r)
		c.ended()
	}
	c.must(zk.OpGetChildren, &wire.GetChildrenRequest{Path: "/zookeeper"})
}

// TestOutstanding: a client with many writes under way is read no further, and goes on when they are answered.
func TestOutstanding(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.MaxOutstanding = 5 })
	c := e.client(0)
	c.create("/a", "", 0)
	e.hold()
	go func() {
		var frames []byte
		for i := range int32(40) {
			frames = append(frames, request1(100+2*i, zk.OpSetData, setReq("/a", fmt.Sprint(i)))...)
			frames = append(frames, request1(101+2*i, zk.OpGetData, &wire.GetDataRequest{Path: "/a"})...)
		}
		c.nc.Write(frames)
	}()
	e.await(3)
	e.members[0].server.Housekeep(0)
	e.mu.Lock()
	waiting := len(e.log)
	e.mu.Unlock()
	if waiting > 5 {
		t.Errorf("%d writes were taken, the bound is 5", waiting)
	}
	e.release()
	for i := range int32(40) {
		if h, _ := c.reply(); h.Xid != 100+2*i || h.Err != zk.OK {
			t.Fatalf("%+v", h)
		}
		h, d := c.reply()
		if got, _, _ := getReply(h, d); h.Xid != 101+2*i || got != fmt.Sprint(i) {
			t.Fatalf("%d: %q", h.Xid, got)
		}
	}
}

func TestWatchBound(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.Watches = watch.Options{PerWatcher: 3} })
	c := e.client(0)
	for i := range 3 {
		c.call(zk.OpExists, &wire.ExistsRequest{Path: fmt.Sprint("/", i), Watch: true})
	}
	c.call(zk.OpExists, &wire.ExistsRequest{Path: "/1", Watch: true})
	c.send(zk.OpExists, &wire.ExistsRequest{Path: "/4", Watch: true})
	c.ended()
	s := e.members[0].server
	for s.watchCounts().Records > 0 { // they go with the connection
		e.client(0)
	}
}

func TestConnectionBounds(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.MaxConns = 3; c.MaxConnsPerIP = 2 })
	a, b := e.client(0), e.client(0)
	newClient(t, e.dial(0)).ended() // the third of its address
	p := newClient(t, e.pipe(0))
	p.connect()
	newClient(t, e.pipe(0)).ended() // the fourth of all
	a.must(zk.OpCloseSession, nil)
	a.ended()
	for e.members[0].server.connCount.Load() == 3 {
		b.must(zk.OpPing, nil)
	}
	e.client(0)
}

func TestTooManyIdentities(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	c := e.client(0)
	for i := range maxIdentities - 1 {
		c.must(zk.OpAuth, &wire.AuthPacket{Scheme: "digest", Auth: fmt.Appendf(nil, "u%d:x", i)})
	}
	if h, _ := c.call(zk.OpAuth, &wire.AuthPacket{Scheme: "digest", Auth: []byte("one:more")}); h.Err != zk.ErrAuthFailed {
		t.Errorf("got %v", h.Err)
	}
	c.ended()

	c = e.client(0)
	if h, _ := c.call(zk.OpAuth, &wire.AuthPacket{Scheme: "digest", Auth: []byte(strings.Repeat("u", maxIdentityBytes))}); h.Err != zk.ErrAuthFailed {
		t.Errorf("a long one: %v", h.Err)
	}
	c.ended()
}

// FuzzConnection sends bytes as a first frame and as requests of a session. The server must neither panic nor hang.
func FuzzConnection(f *testing.F) {
	f.Add(request1(1, zk.OpGetData, &wire.GetDataRequest{Path: "/", Watch: true}))
	f.Add(request1(1, zk.OpMulti, &wire.MultiRequest{Ops: []wire.Op{{Type: zk.OpCheck, Path: "/"}, {Type: zk.OpDelete, Path: "/x"}}}))
	f.Add(request1(-8, zk.OpSetWatches2, &wire.SetWatches2{SetWatches: wire.SetWatches{DataWatches: []string{"/", "/x"}}, PersistentWatches: []string{"/"}}))
	f.Add(append(request1(2, zk.OpCreate, createReq("/x", "y", zk.ModeEphemeralSequential)), request1(3, zk.OpGetChildren2, &wire.GetChildren2Request{Path: "/"})...))
	f.Add([]byte("ruokmntr"))
	f.Add([]byte{0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		e := newEnsemble(t, 1, nil)
		for _, connect := range []bool{false, true} {
			c := newClient(t, e.dial(0))
			if connect {
				c.connect()
			}
			c.nc.Write(b)
			c.nc.(interface{ CloseWrite() error }).CloseWrite()
			c.ended()
		}
		e.client(0).must(zk.OpPing, nil)
	})
}

// TestRandomBytes is the fuzz test's poor sister: many connections with noise at once.
func TestRandomBytes(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	good := e.client(0)
	good.create("/a", "", 0)
	valid := [][]byte{
		request1(1, zk.OpSetData, setReq("/a", "xyz")), request1(2, zk.OpGetData, &wire.GetDataRequest{Path: "/a", Watch: true}),
		request1(3, zk.OpSync, &wire.SyncRequest{Path: "/a"}), request1(-2, zk.OpPing, nil),
		request1(4, zk.OpMulti, &wire.MultiRequest{Ops: []wire.Op{{Type: zk.OpCheck, Path: "/a", Version: -1}, {Type: zk.OpSetData, Path: "/a"}}}),
		request1(-4, zk.OpAuth, &wire.AuthPacket{Scheme: "digest", Auth: []byte("a:b")}),
		request1(5, zk.OpCreate, createReq("/e", "", zk.ModeEphemeralSequential)), request1(6, zk.OpGetChildren2, &wire.GetChildren2Request{Path: "/", Watch: true}),
		request1(-8, zk.OpSetWatches2, &wire.SetWatches2{SetWatches: wire.SetWatches{DataWatches: []string{"/a", "/b"}}, PersistentRecursiveWatches: []string{"/"}}),
		request1(7, zk.OpGetData, rawRecord("\x7f\xff\xff\xff")), request1(8, zk.OpCloseSession, nil), request1(9, 99, nil),
	}
	for i := range 400 {
		c := e.client(0)
		var b []byte
		for range 1 + rng.IntN(30) {
			b = append(b, valid[rng.IntN(len(valid))]...)
		}
		for range rng.IntN(4) {
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		}
		c.nc.Write(b[:1+rng.IntN(len(b))])
		c.nc.(interface{ CloseWrite() error }).CloseWrite()
		c.ended()
		if i%20 == 0 {
			good.must(zk.OpPing, nil)
		}
	}
	if _, _, code := good.get("/a", false); code != zk.OK {
		t.Error(code)
	}
}
