package lan

import (
	"math/rand/v2"
	"time"
)

// Weather is what befalls packets in one direction between two hosts. The zero value is a good day.
type Weather struct {
	Cut            bool          // nothing passes
	Loss           float64       // chance of a packet to be lost, 0 to 1
	Duplicate      float64       // chance to come twice
	Delay          time.Duration // of every packet
	Jitter         time.Duration // up to so much more, drawn for each; packets overtake each other then only if Overtake
	Overtake       bool
	BytesPerSecond int // 0: no limit
}

// fair says whether packets pass at once.
func (w *Weather) fair() bool { return *w == Weather{} }

// link is one direction between two hosts. The LAN's lock guards it.
type link struct {
	Weather
	last time.Time // when the last packet arrives or has arrived
	free time.Time // when a throttled link can take the next packet
}

// pass draws a packet's fate: when it arrives, perhaps twice, or never.
func (k *link) pass(r *rand.Rand, now time.Time, size int) (arrivals []time.Time) {
	if k.Cut || r.Float64() < k.Loss {
		return nil
	}
	start := now
	if k.BytesPerSecond > 0 {
		if start = later(now, k.free); start.Sub(now) > maxBacklog {
			return nil
		}
		start = start.Add(time.Duration(size) * time.Second / time.Duration(k.BytesPerSecond))
		k.free = start
	}
	n := 1
	if r.Float64() < k.Duplicate {
		n = 2
	}
	for range n {
		at := start.Add(k.Delay)
		if k.Jitter > 0 {
			at = at.Add(time.Duration(r.Int64N(int64(k.Jitter))))
		}
		if !k.Overtake {
			at = later(at, k.last)
			k.last = at
		}
		arrivals = append(arrivals, at)
	}
	return arrivals
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
