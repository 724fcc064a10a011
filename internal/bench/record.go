package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"gopherwood/zk"
)

// recorder collects what all connections measure, for one kind of request. Connections come once per burst.
type recorder struct {
	mu   sync.Mutex
	hist *hdrhistogram.Histogram // ns
	errs map[zk.Code]uint64
}

func newRecorder() *recorder {
	return &recorder{hist: hdrhistogram.New(1, int64(maxLatency), latencyDigits), errs: make(map[zk.Code]uint64)}
}

// sample is one answer.
type sample struct {
	slot int
	code zk.Code
	ns   int64
}

// recorders is those of a run.
type recorders [slots]*recorder

func newRecorders() *recorders {
	var r recorders
	for i := range r {
		r[i] = newRecorder()
	}
	return &r
}

// add takes a burst of answers. Errors have no latency.
func (r *recorders) add(samples []sample) {
	for slot, rec := range r {
		locked := false
		for i := range samples {
			s := &samples[i]
			if s.slot != slot {
				continue
			}
			if !locked {
				rec.mu.Lock()
				locked = true
			}
			if s.code != zk.OK {
				rec.errs[s.code]++
				continue
			}
			_ = rec.hist.RecordValue(min(s.ns, int64(maxLatency)))
		}
		if locked {
			rec.mu.Unlock()
		}
	}
}

// reset starts over, for the measured phase.
func (r *recorders) reset() {
	for _, rec := range r {
		rec.mu.Lock()
		rec.hist.Reset()
		clear(rec.errs)
		rec.mu.Unlock()
	}
}

// totals is the operations and errors so far.
func (r *recorders) totals() (ops, errs uint64) {
	for _, rec := range r {
		rec.mu.Lock()
		ops += uint64(rec.hist.TotalCount())
		for _, n := range rec.errs {
			errs += n
		}
		rec.mu.Unlock()
	}
	return ops, errs
}

// quantile is one of the main kind of request so far.
func (r *recorders) quantile(q float64) time.Duration {
	rec := r[slotMain]
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return time.Duration(rec.hist.ValueAtQuantile(q))
}

// errors is the errors so far, by code.
func (r *recorders) errors() map[zk.Code]uint64 {
	all := make(map[zk.Code]uint64)
	for _, rec := range r {
		rec.mu.Lock()
		for code, n := range rec.errs {
			all[code] += n
		}
		rec.mu.Unlock()
	}
	return all
}
