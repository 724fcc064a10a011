package server

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// Throttle is what a server lets its clients do at a time. Zero fields mean what ZooKeeper does without the key: no limit, or the default
// that is named.
type Throttle struct {
	// Tokens is a bucket that each opening of a session takes from (connection_throttle_tokens); 0: no limit. Every FillTimeMs, 0: 1 ms, it
	// gets FillCount, 0: 1, back.
	Tokens, FillTimeMs, FillCount int
	// FreezeMs is how often the share of openings that are dropped at random changes (BlueThrottle); 0: none is. It grows by DropIncrease,
	// 0: 0.02, if the bucket is empty, and falls by DropDecrease, 0: 0.002, if no more than DecreaseRatio of the bucket is gone.
	FreezeMs                                  int
	DropIncrease, DropDecrease, DecreaseRatio float64
	// Weighted makes a new session take NewWeight tokens, 0: 3, a local one LocalWeight, 0: 1, and one that comes back RenewWeight, 0: 2. The bucket is
	// NewWeight times as large.
	Weighted                            bool
	NewWeight, RenewWeight, LocalWeight int

	// GlobalOutstanding: while more requests than this are unanswered, a connection with one of them is not read (globalOutstandingLimit); 0: no limit.
	GlobalOutstanding int
	// MaxRequests: so many writes and syncs are under way at a time, further ones wait, the oldest first (request_throttle_max_requests); 0: no limit.
	MaxRequests int
	// OpWait: a request that has waited longer for MaxRequests is answered THROTTLEDOP (throttled_op_wait_time); 0: none is.
	OpWait time.Duration

	// LargeThreshold is the size in bytes from which on a request is a large one; 0: there are none. All that are under way may have
	// LargeMaxBytes, 0: 100 MiB; the connection that would exceed it is closed.
	LargeThreshold, LargeMaxBytes int
}

func (t *Throttle) withDefaults() {
	def(&t.FillTimeMs, 1)
	def(&t.FillCount, 1)
	def(&t.DropIncrease, 0.02)
	def(&t.DropDecrease, 0.002)
	def(&t.NewWeight, 3)
	def(&t.RenewWeight, 2)
	def(&t.LocalWeight, 1)
	def(&t.LargeMaxBytes, 100<<20)
}

func (t *Throttle) validate() error {
	for _, n := range []int{t.Tokens, t.FillTimeMs, t.FillCount, t.FreezeMs, t.NewWeight, t.RenewWeight, t.LocalWeight, t.GlobalOutstanding, t.MaxRequests, t.LargeThreshold, t.LargeMaxBytes} {
		if n < 0 {
			return fmt.Errorf("server: a throttle of %d", n)
		}
	}
	for _, f := range []float64{t.DropIncrease, t.DropDecrease, t.DecreaseRatio} {
		if !(f >= 0 && f <= 1) {
			return fmt.Errorf("server: a throttle's share of %v", f)
		}
	}
	if t.OpWait < 0 {
		return fmt.Errorf("server: a throttle's wait of %v", t.OpWait)
	}
	return nil
}

// tokens is the bucket (BlueThrottle). The zero time is the server's start.
type tokens struct {
	cfg    Throttle
	max    int64
	local  bool // new sessions are local
	random func() float64

	mu sync.Mutex
	// guarded by mu
	left     int64
	filledMs int64
	frozenMs int64
	drop     float64
	deficit  levels
}

func newTokens(cfg Throttle, local bool) *tokens {
	b := &tokens{cfg: cfg, max: int64(cfg.Tokens), local: local, random: rand.Float64}
	if cfg.Weighted {
		b.max *= int64(cfg.NewWeight)
	}
	b.left = b.max
	return b
}

// weight is what opening a session takes.
func (b *tokens) weight(renew bool) int64 {
	switch {
	case !b.cfg.Weighted:
		return 1
	case renew:
		return int64(b.cfg.RenewWeight)
	case b.local:
		return int64(b.cfg.LocalWeight)
	}
	return int64(b.cfg.NewWeight)
}

// take says whether a session may be opened, a new one or one that comes back.
func (b *tokens) take(nowMs int64, renew bool) bool {
	if b.max == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if since := nowMs - b.filledMs; since > int64(b.cfg.FillTimeMs) {
		fill := int64(b.cfg.FillCount)
		if b.cfg.Weighted {
			fill *= int64(b.cfg.NewWeight)
		}
		b.left = int64(math.Min(float64(b.left)+float64(since)*float64(fill)/float64(b.cfg.FillTimeMs), float64(b.max)))
		b.filledMs = nowMs
	}
	need := b.weight(renew)
	if (b.cfg.FreezeMs > 0 && b.drops(nowMs)) || b.left < need {
		return false
	}
	b.left -= need
	b.deficit.add(b.max - b.left)
	return true
}

// drops draws whether this opening is one that is dropped.
func (b *tokens) drops(nowMs int64) bool {
	if nowMs-b.frozenMs > int64(b.cfg.FreezeMs) {
		gone := b.max - b.left
		switch {
		case gone == b.max:
			b.drop = min(b.drop+b.cfg.DropIncrease, 1)
		case float64(gone) <= math.Round(float64(b.max)*b.cfg.DecreaseRatio):
			b.drop = max(b.drop-b.cfg.DropDecrease, 0)
		}
		b.frozenMs = nowMs
	}
	return b.random() < b.drop
}

// dropChance is the share that is dropped at random.
func (b *tokens) dropChance() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.drop
}

func (b *tokens) deficits() summary {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.deficit.summary()
}

// levels are a figure's count, sum and extremes.
type levels struct{ count, sum, low, high int64 }

func (l *levels) add(v int64) {
	if l.count == 0 || v < l.low {
		l.low = v
	}
	l.high = max(l.high, v)
	l.count++
	l.sum += v
}

func (l *levels) summary() summary {
	return summary{count: l.count, sum: float64(l.sum), low: float64(l.low), high: float64(l.high)}
}

// turnstile lets so many in at a time; the others wait, and who has waited longest is next. Waiting costs a place in a list, of which there are at
// most as many as connections.
type turnstile struct {
	limit int // constant; 0: it is always open

	mu sync.Mutex
	// guarded by mu
	inside  int
	waiting []*conn // oldest first
}

// enter waits until there is room for c. false: the connection ends, and is not in. Only c's reader calls it, with no lock held.
func (t *turnstile) enter(c *conn) bool {
	return t.tryEnter() || t.await(c)
}

// tryEnter is enter if nobody has to wait.
func (t *turnstile) tryEnter() bool {
	if t.limit == 0 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside >= t.limit || len(t.waiting) > 0 {
		return false
	}
	t.inside++
	return true
}

func (t *turnstile) await(c *conn) bool {
	t.mu.Lock()
	if t.inside < t.limit && len(t.waiting) == 0 { // meanwhile
		t.inside++
		t.mu.Unlock()
		return true
	}
	t.waiting = append(t.waiting, c)
	t.mu.Unlock()
	c.mu.Lock()
	alive := c.waitLocked(waitTurn)
	c.turn = false
	c.mu.Unlock()
	if !alive && !t.giveUp(c) { // it was let in meanwhile
		t.leave(1)
	}
	return alive
}

// giveUp takes c out of those who wait; false: it is not among them any more.
func (t *turnstile) giveUp(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, w := range t.waiting {
		if w == c {
			t.waiting = append(t.waiting[:i], t.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// leave says that n are out again, and lets in who is next. No lock may be held.
func (t *turnstile) leave(n int) {
	if t.limit == 0 || n == 0 {
		return
	}
	t.mu.Lock()
	t.inside -= n
	free := max(0, min(t.limit-t.inside, len(t.waiting)))
	next := t.waiting[:free:free]
	if t.waiting = t.waiting[free:]; len(t.waiting) == 0 {
		t.waiting = nil
	}
	t.inside += free
	t.mu.Unlock()
	for _, c := range next {
		c.mu.Lock()
		c.turn = true
		c.wakeLocked()
		c.mu.Unlock()
	}
}

// throttled waits for a request's turn and says whether it waited too long to be carried out. Not in means that the connection ends.
func (r *run) throttled(h *wire.RequestHeader) (in, late bool) {
	c, s := r.c, r.c.srv
	if s.turns.tryEnter() {
		return true, false
	}
	start := s.now()
	if !s.turns.await(c) {
		return false, false
	}
	waited := time.Duration(s.now() - start)
	s.stats.throttled.add(1, waited)
	if s.cfg.Throttle.OpWait > 0 && waited > s.cfg.Throttle.OpWait && h.Type != zk.OpCloseSession {
		s.turns.leave(1)
		s.stats.throttledOps.Add(1)
		return true, true
	}
	return true, false
}

// errTooLarge is returned when large requests that are under way have too much memory together.
var errTooLarge = errors.New("server: too many large requests are under way from all clients together (largeRequestMaxBytes)")

// isLarge says whether a request of n bytes counts as a large one.
func (s *Server) isLarge(n int) bool {
	return s.cfg.Throttle.LargeThreshold > 0 && n > s.cfg.Throttle.LargeThreshold
}

// expectLarge refuses a request of n bytes that is announced and would be one too many (ZooKeeperServer.checkRequestSizeWhenReceivingMessage).
func (s *Server) expectLarge(n int) error {
	if !s.isLarge(n) || s.largeBytes.Load()+int64(n) <= int64(s.cfg.Throttle.LargeMaxBytes) {
		return nil
	}
	s.stats.largeRejected.Add(1)
	return errTooLarge
}

// takeLarge counts a write or a sync of n bytes until it is answered.
func (s *Server) takeLarge(q *request, n int) error {
	if !s.isLarge(n) {
		return nil
	}
	if s.largeBytes.Add(int64(n)) > int64(s.cfg.Throttle.LargeMaxBytes) {
		s.largeBytes.Add(-int64(n))
		s.stats.largeRejected.Add(1)
		return errTooLarge
	}
	q.large = n
	return nil
}

func (s *Server) giveLarge(q *request) {
	if q.large > 0 {
		s.largeBytes.Add(-int64(q.large))
		q.large = 0
	}
}

// finished says that n requests that were under way are so no more. No lock of a connection may be held.
func (s *Server) finished(n int64) {
	s.outstanding.Add(-n)
	s.turns.leave(int(n))
}

// mayOpen says whether a connection gets its session now. Who is turned away is held up for a random moment first, so that many who were
// do not come back as one (their libraries wait for different times, but some for none).
func (c *conn) mayOpen(renew bool) bool {
	if c.srv.tokens.take(c.srv.now()/1e6, renew) {
		return true
	}
	c.srv.stats.rejected.Add(1)
	c.srv.pause(rand.N(turnAwayWithin))
	return false
}

// throttleSamples are the figures of this file.
func (s *Server) throttleSamples() []sample {
	st := &s.stats
	return []sample{
		{"connection_drop_probability", s.tokens.dropChance(), gauge, "Share of new connections that are dropped at random."},
		{"connection_token_deficit", s.tokens.deficits(), gauge, "Tokens that were gone from the bucket when a connection took some."},
		{"large_requests_rejected", st.largeRejected.Load(), counter, "Connections closed because large requests had too much memory together."},
		{"throttled_ops", st.throttledOps.Load(), counter, "Requests answered THROTTLEDOP because they had waited too long."},
		{"request_throttle_wait_count", st.throttled.count.Load(), counter, "Requests that had to wait for their turn."},
		{"request_throttle_queue_time_ms", st.throttled.summarized(), gauge, "Time that requests waited for their turn, in ms."},
	}
}
