package replica

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gopherwood/internal/raftlog"
)

// logWriter is the queue in front of the goroutine that owns the raftlog.Writer. Everything that is queued while a write runs
// goes into the next one: group commit by itself.
type logWriter struct {
	mu     sync.Mutex
	wake   sync.Cond
	queue  []*raftlog.Record // guarded by mu
	closed bool              // guarded by mu

	staged  []*raftlog.Record // owned by the loop: added since the last kick
	busy    atomic.Uint64     // number of the write under way; 0 for none
	noSpace atomic.Bool       // the disk is full
	moved   atomic.Bool       // something was written since the last watermark
	spare   chan struct{}     // asks for the next segment
}

func (w *logWriter) init() {
	w.wake.L = &w.mu
	w.spare = make(chan struct{}, 1)
}

// add and kick are the loop's: what one round adds is written together.
func (w *logWriter) add(rec *raftlog.Record) { w.staged = append(w.staged, rec) }

func (w *logWriter) kick() {
	if len(w.staged) == 0 {
		return
	}
	w.mu.Lock()
	w.queue = append(w.queue, w.staged...)
	w.wake.Signal()
	w.mu.Unlock()
	clear(w.staged)
	w.staged = w.staged[:0]
}

func (w *logWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.wake.Signal()
}

// take waits for records and takes all; none when it is closed.
func (w *logWriter) take(into []*raftlog.Record) []*raftlog.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 && !w.closed {
		w.wake.Wait()
	}
	if w.closed {
		return nil
	}
	into = append(into, w.queue...)
	clear(w.queue)
	w.queue = w.queue[:0]
	return into
}

// writeLog is the goroutine that owns the log's writing half.
func (r *Replica) writeLog() {
	defer r.tasks.Done()
	w := r.raftlog.Writer()
	var records []*raftlog.Record
	for write := uint64(1); ; write++ {
		if records = r.writer.take(records[:0]); records == nil {
			return
		}
		r.writer.busy.Store(write)
		began := r.observedNow()
		err := w.Write(records)
		for errors.Is(err, raftlog.ErrNoSpace) && r.waitForSpace() {
			err = w.Write(records)
		}
		if err == nil {
			err = w.Sync()
		}
		r.writer.busy.Store(0)
		if err != nil {
			if r.ctx.Err() == nil {
				r.fatal(err)
			}
			return
		}
		if r.writer.noSpace.CompareAndSwap(true, false) {
			r.log.Info("there is space again; writes go on")
		}
		r.writer.moved.Store(true)
		if r.cfg.Observer != nil {
			r.cfg.Observer.Synced(time.Since(began))
		}
		if r.raftlog.NeedsPrepare() {
			select {
			case r.writer.spare <- struct{}{}:
			default:
			}
		}
		r.inbox.persisted(records)
	}
}

// observedNow is the time, if somebody wants to know.
func (r *Replica) observedNow() (now time.Time) {
	if r.cfg.Observer != nil {
		now = time.Now()
	}
	return now
}

// waitForSpace pauses a writer that found the disk full, and is false when the replica stops.
func (r *Replica) waitForSpace() bool {
	if !r.writer.noSpace.Swap(true) {
		r.log.Error("the disk is full: writes wait until there is space, reads go on; free space on the data directory's filesystem", "dir", r.cfg.Dir)
	}
	select {
	case <-time.After(noSpaceRetry):
		return true
	case <-r.ctx.Done():
		return false
	}
}

// prepareLog is the goroutine that keeps a spare segment ready and the durable watermark fresh.
func (r *Replica) prepareLog() {
	defer r.tasks.Done()
	timer := time.NewTicker(watermarkEvery)
	defer timer.Stop()
	for {
		var err error
		select {
		case <-r.writer.spare:
			err = r.prepare()
		case <-timer.C:
			if r.writer.moved.Swap(false) {
				err = r.raftlog.Watermark()
			}
			if err == nil && r.raftlog.NeedsPrepare() { // a compaction left something to remove
				err = r.prepare()
			}
		case <-r.ctx.Done():
			return
		}
		if err != nil && r.ctx.Err() == nil {
			r.fatal(err)
			return
		}
	}
}

// prepare makes the next segment ready. Where there is no space for it, the writer says so when it matters.
func (r *Replica) prepare() error {
	if err := r.raftlog.Prepare(); !errors.Is(err, raftlog.ErrNoSpace) {
		return err
	}
	return nil
}

// watchDisk hands leadership over when a write hangs or the disk is full, and gives up when a write hangs for good. Heartbeats do
// not depend on the disk, so without it a leader that can't write would lead for ever.
func (r *Replica) watchDisk() {
	defer r.tasks.Done()
	timer := time.NewTicker(diskWatchEvery)
	defer timer.Stop()
	var hang hang
	for {
		select {
		case <-timer.C:
		case <-r.ctx.Done():
			return
		}
		stalled := hang.look(r.writer.busy.Load(), r.writer.noSpace.Load())
		if stalled >= diskStallExit {
			r.fatal(errors.New("replica: a log write has been hanging for " + stalled.String() + "; check the disk under " + r.cfg.Dir))
			return
		}
		if full := r.writer.noSpace.Load(); full || stalled >= diskStallHandover {
			r.call(func() {
				if r.node.Transfer() {
					r.log.Warn("the log can't be written; leadership is handed over", "full", full, "hangs for", stalled)
				}
			}, nil)
		}
	}
}

// hang counts looks at the same write. A clock would count the time too in which the whole process was stopped or the machine slept.
type hang struct {
	write uint64
	looks int
}

// look is how long the write has been under way at least, but for the time that the disk was full.
func (h *hang) look(write uint64, full bool) time.Duration {
	if write != h.write || write == 0 || full {
		h.write, h.looks = write, 0
		return 0
	}
	h.looks++
	return time.Duration(h.looks) * diskWatchEvery
}
