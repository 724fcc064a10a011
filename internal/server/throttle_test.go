package server

import (
	"math"
	"strings"
	"testing"
	"time"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// eventually waits until something holds that goroutines of the server bring about.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := 0; !holds(); n++ {
		if n > 20_000 {
			t.Fatal("it never holds")
		}
		<-tick.C
	}
}

func TestTokens(t *testing.T) {
	b := newTokens(Throttle{Tokens: 3, FillTimeMs: 10, FillCount: 1}, false)
	for i, want := range []struct {
		ms   int64
		take bool
	}{{0, true}, {0, true}, {0, true}, {0, false}, {10, false}, {11, true}, {11, false}, {60, true}, {60, true}, {60, true}, {60, false}} {
		if got := b.take(want.ms, false); got != want.take {
			t.Errorf("%d: at %d ms: %v", i, want.ms, got)
		}
	}
	if d := b.deficits(); d.count != 7 || d.high != 3 {
		t.Errorf("deficits %+v", d)
	}
	weighted := newTokens(Throttle{Tokens: 2, FillTimeMs: 1, FillCount: 1, Weighted: true, NewWeight: 3, RenewWeight: 2}, false)
	for i, want := range []bool{true, true, false} { // 6 tokens: 2 for the renewed, 3 for the new one, 1 left
		if got := weighted.take(0, i == 0); got != want {
			t.Errorf("weighted %d: %v", i, got)
		}
	}
}

// TestTokensDropAtRandom: the share of dropped openings rises while the bucket is empty, and falls when it is full again (BlueThrottle.checkBlue).
func TestTokensDropAtRandom(t *testing.T) {
	b := newTokens(Throttle{Tokens: 1, FillTimeMs: 1_000_000, FillCount: 1, FreezeMs: 10, DropIncrease: 0.5, DropDecrease: 0.25}, false)
	b.random = func() float64 { return 0.4 }
	b.take(1, false)
	if b.take(12, false); b.dropChance() != 0.5 {
		t.Errorf("share %v with an empty bucket", b.dropChance())
	}
	b.left = 1
	if b.take(13, false) {
		t.Error("not dropped at a share of 0.5 and a draw of 0.4")
	}
	if !b.take(30, false) || b.dropChance() != 0.25 {
		t.Errorf("share %v with a full bucket", b.dropChance())
	}
}

// TestTooManyOpenings: a connection without a token is closed, one that comes later gets its session.
func TestTooManyOpenings(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.Throttle = Throttle{Tokens: 1, FillTimeMs: 1 << 30} })
	s := e.members[0].server
	e.client(0).must(zk.OpPing, nil)
	late := newClient(t, e.dial(0))
	b, mark := wire.BeginFrame(nil)
	req := wire.ConnectRequest{TimeOut: 10_000}
	late.write(endFrame(req.Append(b), mark))
	late.ended()
	if s.stats.rejected.Load() != 1 {
		t.Errorf("%d rejected", s.stats.rejected.Load())
	}
	s.tokens.mu.Lock()
	s.tokens.left = 1
	s.tokens.mu.Unlock()
	e.client(0).must(zk.OpPing, nil)
}

// TestTurns: beyond the limit requests wait, the oldest first, and one whose client has gone gives its place up.
func TestTurns(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.Throttle.MaxRequests = 1 })
	s := e.members[0].server
	first, second, gone, third := e.client(0), e.client(0), e.client(0), e.client(0)
	e.hold()
	waiting := func() int {
		s.turns.mu.Lock()
		defer s.turns.mu.Unlock()
		return len(s.turns.waiting)
	}
	for i, c := range []*rawClient{first, second, gone, third} {
		c.send(zk.OpCreate, createReq("/n-", "", zk.ModePersistentSequential))
		e.await(1)
		eventually(t, func() bool { return waiting() == i })
	}
	s.sessionConn(gone.session).kill(reasonQuiet)
	gone.ended()
	eventually(t, func() bool { return waiting() == 2 })
	e.release()
	for i, c := range []*rawClient{first, second, third} {
		_, d := c.reply()
		if got, want := d.String(), "/n-000000000"+string(rune('0'+i)); got != want {
			t.Errorf("client %d got %q, not %q", i, got, want)
		}
	}
	e.quiet()
	if s.turns.inside != 0 || s.outstanding.Load() != 0 {
		t.Errorf("%d inside, %d outstanding", s.turns.inside, s.outstanding.Load())
	}
}

// TestWaitedTooLong: a request that has waited for its turn for too long is answered THROTTLEDOP and not carried out.
func TestWaitedTooLong(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.Throttle.MaxRequests, c.Throttle.OpWait = 1, 1 })
	first, second := e.client(0), e.client(0)
	e.hold()
	first.send(zk.OpCreate, createReq("/a", "", zk.ModePersistent))
	e.await(1)
	second.send(zk.OpCreate, createReq("/b", "", zk.ModePersistent))
	s := e.members[0].server
	eventually(t, func() bool { s.turns.mu.Lock(); defer s.turns.mu.Unlock(); return len(s.turns.waiting) == 1 })
	e.release()
	if h, _ := second.reply(); h.Err != zk.ErrThrottledOp {
		t.Errorf("%v", h.Err)
	}
	if h, _ := first.reply(); h.Err != zk.OK {
		t.Errorf("%v", h.Err)
	}
	if _, _, code := second.get("/b", false); code != zk.ErrNoNode {
		t.Errorf("/b: %v", code)
	}
}

// TestGlobalOutstanding: beyond the limit each connection has one request under way.
func TestGlobalOutstanding(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.Throttle.GlobalOutstanding = 2 })
	s := e.members[0].server
	a, b := e.client(0), e.client(0)
	e.hold()
	for range 5 {
		a.send(zk.OpCreate, createReq("/n-", "", zk.ModePersistentSequential))
	}
	eventually(t, func() bool { return s.outstanding.Load() == 3 })
	b.send(zk.OpCreate, createReq("/b", "", zk.ModePersistent))
	eventually(t, func() bool { return s.outstanding.Load() == 4 })
	e.release()
	for range 5 {
		if h, _ := a.reply(); h.Err != zk.OK {
			t.Error(h.Err)
		}
	}
	if h, _ := b.reply(); h.Err != zk.OK {
		t.Error(h.Err)
	}
}

// TestLargeRequests: one that would be too much together with those under way costs its connection; afterwards there is room again.
func TestLargeRequests(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.Throttle.LargeThreshold, c.Throttle.LargeMaxBytes = 1000, 5000 })
	s := e.members[0].server
	a, b := e.client(0), e.client(0)
	e.hold()
	a.send(zk.OpCreate, createReq("/a", strings.Repeat("x", 3000), zk.ModePersistent))
	e.await(1)
	b.send(zk.OpCreate, createReq("/small", strings.Repeat("x", 500), zk.ModePersistent))
	e.await(2)
	b.send(zk.OpCreate, createReq("/b", strings.Repeat("x", 3000), zk.ModePersistent))
	b.ended()
	e.release()
	if h, _ := a.reply(); h.Err != zk.OK {
		t.Error(h.Err)
	}
	e.quiet()
	if n := s.largeBytes.Load(); n != 0 || s.stats.largeRejected.Load() != 1 {
		t.Errorf("%d bytes of large requests, %d rejected", n, s.stats.largeRejected.Load())
	}
	a.must(zk.OpSetData, setReq("/a", strings.Repeat("y", 4000)))
}

// TestBusyServerKeepsSessions: a session whose request waits here does not expire, although nothing is heard of it.
func TestBusyServerKeepsSessions(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.Throttle.MaxRequests = 1 })
	s := e.members[0].server
	working, waiting, silent := e.client(0), e.client(0), e.client(0)
	e.mu.Lock()
	e.noSync = true
	e.mu.Unlock()
	working.send(zk.OpSync, &wire.SyncRequest{Path: "/"}) // takes the only turn
	eventually(t, func() bool { return s.outstanding.Load() == 1 })
	waiting.send(zk.OpCreate, createReq("/b", "", zk.ModePersistent))
	eventually(t, func() bool { s.turns.mu.Lock(); defer s.turns.mu.Unlock(); return len(s.turns.waiting) == 1 })
	e.tick(50)
	for at := int64(1000); at <= 30_000; at += 1000 { // the timeout is 10 s
		s.Housekeep(time.Duration(s.now()))
		e.quiet()
		e.tick(at)
	}
	silent.ended()
	e.mu.Lock()
	e.noSync = false
	e.log = append(e.log, e.syncs...)
	e.wake.Broadcast()
	e.mu.Unlock()
	for _, c := range []*rawClient{working, waiting} {
		if h, _ := c.reply(); h.Err != zk.OK {
			t.Errorf("%v", h.Err)
		}
	}
}

// TestSilentServer: the sessions of a server that reports nothing more have their full timeout from then on; those of one that reports do not.
func TestSilentServer(t *testing.T) {
	e := newEnsemble(t, 3, nil)
	dying, living := e.client(1), e.client(2)
	e.tick(50)
	ticks := func(from, to int64, reporting ...int) {
		for at := from; at <= to; at += 500 {
			for _, i := range reporting {
				e.members[i].server.Housekeep(0)
			}
			e.quiet()
			e.tick(at)
		}
	}
	ticks(500, 8000, 0, 1, 2) // nothing of the clients since their beginning
	ticks(8500, 16_000, 0, 2)
	living.ended() // after 10 s and a tick
	e.tick(16_050)
	dying.must(zk.OpPing, nil)
	ticks(16_500, 24_000, 0, 2)
	dying.ended() // 10 s after the silence was noticed, and a tick
}

// TestQuotasOfAServer: the key decides whether a client is bound, and what happened is in the metrics.
func TestQuotasOfAServer(t *testing.T) {
	e := newEnsemble(t, 2, func(c *Config) { c.EnforceQuota = c.ID == 1 })
	bound, free := e.client(0), e.client(1)
	for _, n := range [][2]string{{"/app", ""}, {"/zookeeper/quota/app", ""}, {"/zookeeper/quota/app/zookeeper_limits", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2"}, {"/zookeeper/quota/app/zookeeper_stats", ""}} {
		bound.create(n[0], n[1], zk.ModePersistent)
	}
	bound.create("/app/a", "12345", zk.ModePersistent)
	if h, _ := bound.call(zk.OpCreate, createReq("/app/b", "", zk.ModePersistent)); h.Err != zk.ErrQuotaExceeded {
		t.Errorf("beyond the hard limit: %v", h.Err)
	}
	free.create("/app/b", "", zk.ModePersistent)
	e.quiet()
	got := map[string]any{}
	for _, m := range e.members[0].server.monitor() {
		m.each(func(name string, v any) { got[name] = v })
	}
	for name, want := range map[string]int64{
		"app_quota_count_limit_per_namespace": 2, "app_quota_bytes_limit_per_namespace": -1, "app_quota_count_usage_per_namespace": 3,
		"app_quota_bytes_usage_per_namespace": 5, "app_quota_exceeded_error_per_namespace": 1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, not %d", name, got[name], want)
		}
	}
	if n := len(e.members[1].server.quotaRefused.counts()); n != 0 {
		t.Error("the other server has refused nothing")
	}
}

func TestNamespacesAreBounded(t *testing.T) {
	var q quotaRefusals
	for i := range maxNamespaces + 5 {
		q.add(string(rune('一' + i)))
	}
	if n := q.counts(); len(n) != maxNamespaces+1 || n[otherNamespaces] != 5 {
		t.Errorf("%d namespaces, %d others", len(n), n[otherNamespaces])
	}
}

func TestThrottleValidate(t *testing.T) {
	for _, bad := range []Throttle{{Tokens: -1}, {DropIncrease: 2}, {DecreaseRatio: math.NaN()}, {OpWait: -1}, {LargeMaxBytes: -1}} {
		if _, err := New(Config{Throttle: bad}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
