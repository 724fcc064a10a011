package server

import (
	"math/bits"
	"sync/atomic"
	"time"

	"gopherwood/zk"
)

// stats are a server's counters. Each is added to once per burst or batch, not per request.
type stats struct {
	received      atomic.Int64 // requests, connect requests and commands included
	sent          atomic.Int64 // replies and events
	recvBytes     atomic.Int64
	sentBytes     atomic.Int64
	accepted      atomic.Int64
	rejected      atomic.Int64 // connections beyond a limit, or without a leader
	dropped       atomic.Int64 // connections that ended without closeSession
	authFails     atomic.Int64
	tlsFails      atomic.Int64 // connections that ended in the TLS handshake, or before it
	tlsExceeded   atomic.Int64 // of them for MaxTLSHandshakes
	throttledOps  atomic.Int64 // requests that waited too long for their turn
	largeRejected atomic.Int64
	throttled     latency      // how long requests waited for their turn
	expired       atomic.Int64 // sessions that this server's commands expired
	reaped        atomic.Int64 // container and TTL nodes, likewise

	ensembleOK, ensembleFail, ensembleSkip atomic.Int64 // clients that named this ensemble, another, or none
	applied                                atomic.Int64 // commands
	looked                                 atomic.Int64 // times that the leader was lost
	lateHands                              atomic.Int64 // connections whose handshake took too long
	snapErrors                             atomic.Int64 // of the admin port's snapshots
	snapLimited                            atomic.Int64
	restoreErrors                          atomic.Int64 // of the admin port's restores
	restoreLimited                         atomic.Int64
	eventBytes                             atomic.Int64
	elections                              latency                                      // times without a leader
	snapshots                              latency                                      // times to write a snapshot
	restores                               latency                                      // times of restores over the admin port
	syncs                                  latency                                      // times to write and sync a batch of the log
	fired                                  [int(zk.EventNodeChildrenChanged) + 1]spread // connections told, by event type

	replies   sizes // of single replies
	proposals sizes // of the commands that this server has applied

	reads  latency // of a server that does not observe its operations one by one; see Server.latencies
	writes latency

	ops [opSlots]atomic.Int64
}

// reset is the command srst.
func (s *stats) reset() {
	s.received.Store(0)
	s.sent.Store(0)
	s.reads.reset()
	s.writes.reset()
	s.replies.reset()
}

// sizes is the last, the smallest and the largest of some sizes in bytes. One goroutine at a time adds, or several whose
// "last" does not matter; any reads.
type sizes struct {
	last, low, high atomic.Int64 // plus one; 0: none
}

// add takes in sizes of which these are the last, the smallest and the largest.
func (z *sizes) add(last, low, high int64) {
	z.last.Store(last + 1)
	if old := z.low.Load(); old == 0 || low+1 < old {
		z.low.Store(low + 1)
	}
	if old := z.high.Load(); high+1 > old {
		z.high.Store(high + 1)
	}
}

// get is -1 for what there is none of, as ZooKeeper's BufferStats has it.
func (z *sizes) get() (last, low, high int64) {
	return z.last.Load() - 1, z.low.Load() - 1, z.high.Load() - 1
}

func (z *sizes) reset() {
	z.last.Store(0)
	z.low.Store(0)
	z.high.Store(0)
}

// spread is the extremes and the sum of some numbers. One goroutine adds; any reads.
type spread struct {
	count, sum, low, high atomic.Int64
}

func (p *spread) add(n int64) {
	if p.count.Add(1) == 1 || n < p.low.Load() {
		p.low.Store(n)
	}
	if n > p.high.Load() {
		p.high.Store(n)
	}
	p.sum.Add(n)
}

func (p *spread) summarized() summary {
	return summary{count: p.count.Load(), sum: float64(p.sum.Load()), low: float64(p.low.Load()), high: float64(p.high.Load())}
}

// basic is a latency without quantiles, in ms.
func (l *latency) basic() summary {
	v := l.summarized()
	v.quantile = nil
	return v
}

// times is the latency of all requests, in ms.
func (s *Server) times() (minMs int64, avgMs float64, maxMs int64) {
	r, w := s.latencies()
	n := r.count.Load() + w.count.Load()
	if n == 0 {
		return 0, 0, 0
	}
	lowest := r.minNs.Load()
	if low := w.minNs.Load(); lowest == 0 || (low > 0 && low < lowest) {
		lowest = low
	}
	avgMs = float64(r.sumNs.Load()+w.sumNs.Load()) / float64(n) / 1e6
	return max(0, lowest-1) / 1e6, avgMs, max(r.maxNs.Load(), w.maxNs.Load()) / 1e6
}

// latency is a histogram of durations, each bucket an eighth of a power of two wide, in microseconds.
type latency struct {
	count atomic.Int64
	sumNs atomic.Int64
	maxNs atomic.Int64
	minNs atomic.Int64 // plus one; 0 while there is none
	bucks [latencyBuckets]atomic.Int64
}

const (
	subBits        = 3
	latencyBuckets = 32 << subBits // up to 2^32 µs
)

// add counts n requests that took d each.
func (l *latency) add(n int64, d time.Duration) {
	if n == 0 {
		return
	}
	ns := max(0, int64(d))
	l.count.Add(n)
	l.sumNs.Add(n * ns)
	l.bucks[bucketOf(ns/1000)].Add(n)
	for old := l.maxNs.Load(); ns > old && !l.maxNs.CompareAndSwap(old, ns); old = l.maxNs.Load() {
	}
	for old := l.minNs.Load(); (old == 0 || ns+1 < old) && !l.minNs.CompareAndSwap(old, ns+1); old = l.minNs.Load() {
	}
}

// merge adds what o has counted. Nobody else uses l.
func (l *latency) merge(o *latency) {
	l.count.Add(o.count.Load())
	l.sumNs.Add(o.sumNs.Load())
	l.maxNs.Store(max(l.maxNs.Load(), o.maxNs.Load()))
	if low := o.minNs.Load(); low > 0 && (l.minNs.Load() == 0 || low < l.minNs.Load()) {
		l.minNs.Store(low)
	}
	for i := range l.bucks {
		l.bucks[i].Add(o.bucks[i].Load())
	}
}

func (l *latency) reset() {
	l.count.Store(0)
	l.sumNs.Store(0)
	l.maxNs.Store(0)
	l.minNs.Store(0)
	for i := range l.bucks {
		l.bucks[i].Store(0)
	}
}

// bucketOf is the bucket of a duration in µs: exact below 8, then with three bits behind the leading one.
func bucketOf(us int64) int {
	if us < 1<<subBits {
		return int(us)
	}
	exp := bits.Len64(uint64(us)) - 1
	return min((exp-subBits+1)<<subBits+int(us>>(exp-subBits))&(1<<subBits-1), latencyBuckets-1)
}

// bucketTop is the upper end of a bucket, in µs.
func bucketTop(i int) int64 {
	if i < 1<<subBits {
		return int64(i)
	}
	exp := i>>subBits + subBits - 1
	return (int64(1<<subBits+i&(1<<subBits-1))+1)<<(exp-subBits) - 1
}

// quantileMs is the duration that a share q of the requests did not exceed, to within an eighth.
func (l *latency) quantileMs(q float64) float64 {
	var total int64
	var counts [latencyBuckets]int64
	for i := range counts {
		counts[i] = l.bucks[i].Load()
		total += counts[i]
	}
	rank := int64(q * float64(total))
	for i, n := range counts {
		if rank -= n; rank < 0 {
			return float64(bucketTop(i)) / 1e3
		}
	}
	return float64(l.maxNs.Load()) / 1e6
}
