package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// A round of OpWatch: the last worker sets the node; every other worker gets the event, reads the node with a new watch, and reports. When
// all have, the next round begins.
type round struct {
	sentAt  atomic.Int64 // ns since epoch
	waiting atomic.Int64 // watchers that have not reported
	all     chan struct{}
}

func (o *round) report() {
	if o.waiting.Add(-1) == 0 {
		o.all <- struct{}{}
	}
}

func (r *run) fanOut(ctx context.Context, st *steer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchers, setter := r.workers[:len(r.workers)-1], r.workers[len(r.workers)-1]
	path := r.key() + fmt.Sprintf("%0*d", nameDigits, 0)
	o := &round{all: make(chan struct{}, 1)}
	o.waiting.Store(int64(len(watchers)))
	var wg sync.WaitGroup
	for _, w := range watchers {
		wg.Go(func() {
			if err := w.watch(ctx, path, o, st); err != nil {
				cancel(err)
			}
		})
	}
	err := setter.rounds(ctx, path, r.data, o, int64(len(watchers)), st)
	st.stop.Store(true)
	for _, w := range watchers {
		_ = w.c.nc.SetReadDeadline(time.Unix(1, 0)) // wakes it
	}
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = cause
	}
	return err
}

// rounds sets and waits for the watchers, again and again.
func (w *worker) rounds(ctx context.Context, path string, data []byte, o *round, watchers int64, st *steer) error {
	set := &wire.SetDataRequest{Path: path, Data: data, Version: -1}
	for {
		select {
		case <-o.all:
		case <-ctx.Done():
			return ctx.Err()
		}
		if st.stop.Load() {
			return nil
		}
		o.waiting.Store(watchers)
		at := st.now()
		o.sentAt.Store(at)
		code, _, err := w.c.call(zk.OpSetData, set)
		if err != nil {
			return err
		}
		w.burst = append(w.burst[:0], sample{slot: slotWrite, code: code, ns: st.now() - at})
		w.rec.add(w.burst)
		if code != zk.OK {
			return fmt.Errorf("bench: set: %w", code)
		}
	}
}

// watch reads the node with a watch, and again at every event.
func (w *worker) watch(ctx context.Context, path string, o *round, st *steer) error {
	unbind := context.AfterFunc(ctx, func() { w.c.abort() })
	defer unbind()
	// No deadline of its own: the round's set has one, and the end of the run sets another from outside.
	w.c.deadline = time.Time{}
	if err := w.c.nc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	get := template(zk.OpGetData, &wire.GetDataRequest{Path: path, Watch: true})
	fired := true
	w.c.events = func(*wire.WatcherEvent) { fired = true }
	defer func() { w.c.events = nil }()
	for first := true; ; first = false {
		if fired {
			if !first {
				w.burst = append(w.burst[:0], sample{slot: slotMain, ns: st.now() - o.sentAt.Load()})
				w.rec.add(w.burst)
			}
			fired = false
			w.c.frame(get)
			if err := w.c.flush(w.c.end()); err != nil {
				return err
			}
		}
		if err := w.c.read(); err != nil {
			if st.stop.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
				return nil
			}
			return err
		}
		for {
			code, _, ok, err := w.c.reply()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if code != zk.OK {
				return fmt.Errorf("bench: get with a watch: %w", code)
			}
			o.report()
		}
	}
}

// sessions opens and closes sessions until the run stops.
func (w *worker) sessions(ctx context.Context, st *steer) {
	for !st.stop.Load() && ctx.Err() == nil {
		at := st.now()
		code := zk.OK
		c, err := dial(ctx, w.servers[0], minBufferBytes)
		if err == nil {
			err = c.close()
		}
		if err != nil {
			code = zk.ErrConnectionLoss
		}
		w.burst = append(w.burst[:0], sample{code: code, ns: st.now() - at})
		w.rec.add(w.burst)
		if err != nil {
			select {
			case <-time.After(reconnectPause):
			case <-ctx.Done():
			}
		}
	}
}
