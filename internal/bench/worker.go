package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"gopherwood/zk"
)

// worker drives one connection.
type worker struct {
	id      int
	servers []string // in the order in which to try them
	c       *conn
	depth   int
	buffer  int // of a new connection
	rec     *recorders
	window  []sent   // ring of requests in flight, oldest at head
	head    int      // of window
	count   int      // in window
	burst   []sample // answers of one read
}

// sent is a request in flight.
type sent struct {
	slot int
	at   int64 // ns since epoch
	end  int64 // of its bytes in the stream of requests
}

func newWorker(id int, cfg *Config) *worker {
	w := &worker{id: id, depth: cfg.Depth}
	w.buffer = min(max(cfg.Depth*(cfg.SizeBytes+replyOverheadBytes), minBufferBytes), maxBufferBytes)
	for i := range cfg.Servers {
		w.servers = append(w.servers, cfg.Servers[(id+i)%len(cfg.Servers)])
	}
	w.window = make([]sent, max(cfg.Depth, prepareDepth))
	w.burst = make([]sample, 0, len(w.window))
	return w
}

// connect opens the worker's connection: at its own server, or at another if that one is down.
func (w *worker) connect(ctx context.Context) error {
	var first error
	for _, s := range w.servers {
		c, err := dial(ctx, s, w.buffer)
		if err == nil {
			w.c = c
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// steer is how the run talks to its workers.
type steer struct {
	epoch time.Time
	stop  atomic.Bool // send no more, take the answers that are due
}

func (s *steer) now() int64 { return int64(time.Since(s.epoch)) }

// pump keeps depth requests of src in flight until src is through or the run stops, and until all answers are there.
func (w *worker) pump(ctx context.Context, src source, depth int, st *steer) error {
	unbind := context.AfterFunc(ctx, func() { w.c.abort() })
	defer unbind()
	w.head, w.count = 0, 0
	more := true
	for {
		now := st.now()
		for more && w.count < depth && !st.stop.Load() {
			slot, ok := src.next(w.c)
			if !ok {
				more = false
				break
			}
			w.window[(w.head+w.count)%len(w.window)] = sent{slot: slot, at: now, end: w.c.end()}
			w.count++
		}
		if w.count == 0 {
			return nil
		}
		if err := w.c.flush(w.window[w.head].end); err != nil {
			return err
		}
		if err := w.c.touch(st.epoch.Add(time.Duration(now))); err != nil {
			return err
		}
		if err := w.c.read(); err != nil {
			return err
		}
		if err := w.answers(st.now()); err != nil {
			return err
		}
	}
}

// answers takes all replies that have arrived.
func (w *worker) answers(now int64) error {
	w.burst = w.burst[:0]
	for {
		code, _, ok, err := w.c.reply()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if w.count == 0 {
			return errors.New("bench: an answer to nothing")
		}
		s := w.window[w.head]
		w.head = (w.head + 1) % len(w.window)
		w.count--
		w.burst = append(w.burst, sample{slot: s.slot, code: code, ns: now - s.at})
	}
	if w.rec != nil {
		w.rec.add(w.burst)
	}
	return nil
}

// persist is pump that opens a new connection when one is lost, until the run stops. Requests in flight then count as lost.
func (w *worker) persist(ctx context.Context, src source, st *steer) error {
	for {
		err := w.pump(ctx, src, w.depth, st)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		w.c.abort()
		w.lost()
		for {
			if st.stop.Load() {
				return nil
			}
			if err := w.connect(ctx); err == nil {
				break
			}
			select {
			case <-time.After(reconnectPause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

func (w *worker) lost() {
	w.burst = w.burst[:0]
	for range w.count {
		w.burst = append(w.burst, sample{slot: w.window[w.head].slot, code: zk.ErrConnectionLoss})
		w.head = (w.head + 1) % len(w.window)
	}
	if len(w.burst) > 0 {
		w.rec.add(w.burst)
	}
	w.count = 0
}
