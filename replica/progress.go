package replica

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Phase is how far a start has come.
type Phase int32

// The phases of a start, in their order.
const (
	// Forming: the ensemble has not been found yet; Status.Forming says what it waits for.
	Forming Phase = iota
	// Loading: a snapshot is being read into the state machine.
	Loading
	// Replaying: what the log holds after the snapshot is being applied.
	Replaying
	// Running: all that the log held at the start is applied.
	Running
)

// String names the phase.
func (p Phase) String() string {
	switch p {
	case Forming:
		return "forming"
	case Loading:
		return "loading a snapshot"
	case Replaying:
		return "replaying the log"
	case Running:
		return "running"
	}
	return fmt.Sprintf("Phase(%d)", int32(p))
}

// Progress says how far a start has come: how much of the present phase is done, and when it should be.
type Progress struct {
	Phase Phase
	// Done and Total are bytes of the snapshot file, or entries of the log. Entries that this member has but does not know to be committed wait
	// for a leader.
	Done, Total int64
	// Elapsed is how long the phase has taken, Left how long it should take from now on at the same speed; 0 while that can't be said.
	Elapsed, Left time.Duration
}

// progress is Progress as it is noted. Any goroutine reads it.
type progress struct {
	phase       atomic.Int32
	done, total atomic.Int64
	from        atomic.Int64 // Done at the phase's beginning
	began       atomic.Int64 // nanoseconds since the Unix epoch
}

func (p *progress) begin(phase Phase, done, total int64) {
	p.done.Store(done)
	p.from.Store(done)
	p.total.Store(total)
	p.began.Store(time.Now().UnixNano())
	p.phase.Store(int32(phase))
}

// applied notes, at the end of a batch, how far the replay is. Loop goroutine.
func (p *progress) applied(r *Replica) {
	if Phase(p.phase.Load()) != Replaying || r.node == nil {
		return
	}
	index, _ := r.node.Applied()
	if p.done.Store(int64(index)); int64(index) >= p.total.Load() {
		p.phase.Store(int32(Running))
		r.log.Info("the log is replayed", "index", index, "took", time.Since(time.Unix(0, p.began.Load())).Round(time.Millisecond))
	}
}

// read is a reader of a snapshot file's payload that notes how far the file is read.
func (p *progress) read(r io.Reader, file func() int64) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		n, err := r.Read(b)
		p.done.Store(file())
		return n, err
	})
}

type readerFunc func(b []byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// Progress says how far the start of this member has come. It may be called at any time, also while the loop is busy replaying.
func (r *Replica) Progress() Progress {
	p := &r.progress
	now := Progress{Phase: Phase(p.phase.Load()), Done: p.done.Load(), Total: p.total.Load()}
	if now.Phase == Forming || now.Phase == Running {
		return Progress{Phase: now.Phase}
	}
	now.Elapsed = time.Since(time.Unix(0, p.began.Load()))
	if made, left := now.Done-p.from.Load(), now.Total-now.Done; made > 0 && left > 0 {
		now.Left = time.Duration(float64(now.Elapsed) * float64(left) / float64(made))
	}
	now.Total, now.Done = now.Total-p.from.Load(), now.Done-p.from.Load()
	return now
}
