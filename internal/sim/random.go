package sim

import (
	"math"
	"math/rand/v2"
)

// random is one of the simulation's sources of chance. Every server, every link, every fault and every step of the clients has its own, so
// that when one of them is left out (Shrink) the others draw what they drew before.
type random struct{ *rand.Rand }

// The sources, as the first half of a stream's number; the second half says which one of that kind.
const (
	streamParams = iota
	streamPlan
	streamClients
	streamStep
	streamDisk
	streamTime
	streamNet
	streamLink
	streamFault
	streamJitter
	streamService
	streamTask
	streamLine
	streamSwarm
)

func newRandom(seed, kind, n uint64) random {
	return random{rand.New(rand.NewPCG(seed, mix(kind, n)))}
}

// chance is true with probability p.
func (r random) chance(p float64) bool { return p > 0 && r.Float64() < p }

// between is uniform in [low, high].
func (r random) between(low, high int64) int64 {
	if high <= low {
		return low
	}
	return low + r.Int64N(high-low+1)
}

// about is exponentially distributed with that mean, cut at ten times the mean.
func (r random) about(mean int64) int64 {
	if mean <= 0 {
		return 0
	}
	return int64(math.Min(r.ExpFloat64(), 10) * float64(mean))
}

// pick is one of the indices of weights, each as likely as its weight says.
func (r random) pick(weights []int) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	n := r.IntN(max(sum, 1))
	for i, w := range weights {
		if n -= w; n < 0 {
			return i
		}
	}
	return 0
}
