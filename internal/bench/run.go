package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// run is one run of a load.
type run struct {
	cfg     Config
	rec     *recorders
	workers []*worker // with OpWatch the last one sets
	dir     string    // parent of all that the run makes
	data    []byte
	made    []int // nodes made by each worker's creates

	mu    sync.Mutex // guards what progress shows
	phase string
	since time.Time
	of    time.Duration
}

// Run carries out a load and measures it. When ctx ends, the load stops and the result is of the time until then, with
// Interrupted set; nodes are removed all the same. It fails if the load cannot begin; operations that fail later are counted in Result.Errors.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &run{cfg: cfg, rec: newRecorders(), data: make([]byte, cfg.SizeBytes)}
	for i := range r.data {
		r.data[i] = byte('a' + i%26)
	}
	r.dir = zk.Join(cfg.Root, fmt.Sprintf("gopherwood-bench-%08x", rand.Uint32()))
	n := cfg.Connections
	if cfg.Op == OpWatch {
		n++
	}
	for i := range n {
		r.workers = append(r.workers, newWorker(i, &cfg))
	}
	r.made = make([]int, n)
	stopProgress := r.startProgress()
	defer stopProgress()
	defer r.disconnect()
	res, err := r.all(ctx)
	if err != nil {
		return nil, err
	}
	return res, nil
}

func (r *run) all(ctx context.Context) (*Result, error) {
	if r.cfg.Op == OpConnect {
		if err := r.workers[0].connect(ctx); err != nil { // or the first error would be all there is to see
			return nil, err
		}
		_ = r.workers[0].c.close()
		r.workers[0].c = nil
		return r.measure(ctx)
	}
	r.enter("connect", 0)
	if err := r.each(func(w *worker) error { return w.connect(ctx) }); err != nil {
		return nil, err
	}
	r.enter("prepare", 0)
	err := r.prepare(ctx)
	if err == nil {
		err = r.each(func(w *worker) error { return w.catchUp(r.dir) })
	}
	var res *Result
	if err == nil {
		res, err = r.measure(ctx)
	}
	r.enter("clean up", 0)
	left := r.cleanUp(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	if left != nil {
		res.Leftover = left.Error()
	}
	return res, nil
}

// each runs f for all workers, many at a time, and returns the first error.
func (r *run) each(f func(w *worker) error) error {
	const atOnce = 128
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	slots := make(chan struct{}, atOnce)
	for _, w := range r.workers {
		slots <- struct{}{}
		wg.Go(func() {
			if err := f(w); err != nil {
				once.Do(func() { first = err })
			}
			<-slots
		})
	}
	wg.Wait()
	return first
}

// catchUp makes sure that the worker's server has what was prepared through another.
func (w *worker) catchUp(path string) error {
	code, _, err := w.c.call(zk.OpSync, &wire.SyncRequest{Path: path})
	if err == nil && code != zk.OK {
		err = fmt.Errorf("bench: sync %s: %w", path, code)
	}
	return err
}

// prepare makes the nodes that the load needs.
func (r *run) prepare(ctx context.Context) error {
	if err := r.create(r.workers[0], r.dir); err != nil {
		return err
	}
	switch r.cfg.Op {
	case OpCreate:
		return r.each(func(w *worker) error { return r.create(w, r.own(w)) })
	case OpWatch:
		return r.create(r.workers[0], r.key()+fmt.Sprintf("%0*d", nameDigits, 0))
	}
	return r.forAll(ctx, r.cfg.Keys, func() numbered { return createOf(r.key(), r.data) })
}

// forAll deals the numbers below n to the workers' connections, as one request each. Codes other than OK and NoNode are errors.
func (r *run) forAll(ctx context.Context, n int, request func() numbered) error {
	return r.each(func(w *worker) error {
		return w.through(ctx, func() source {
			return &counted{numbered: request(), n: w.id, step: len(r.workers), to: n}
		})
	})
}

// through runs a source to its end. If the connection is lost it begins again on another: making and removing can be done twice.
func (w *worker) through(ctx context.Context, src func() source) error {
	const attempts = 5
	var err error
	for range attempts {
		if w.c == nil {
			if err = w.connect(ctx); err != nil {
				return err
			}
		}
		w.rec = newRecorders()
		if err = w.pump(ctx, src(), prepareDepth, &steer{epoch: time.Now()}); err == nil {
			break
		}
		w.c.abort()
		w.c = nil
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	for code := range w.rec.errors() {
		if code != zk.ErrNoNode && code != zk.ErrNodeExists {
			return fmt.Errorf("bench: %w", code)
		}
	}
	return err
}

func (r *run) create(w *worker, path string) error {
	code, _, err := w.c.call(zk.OpCreate, &wire.CreateRequest{Path: path, Data: r.data, ACL: zk.OpenACL()})
	if err == nil && code != zk.OK {
		err = fmt.Errorf("bench: create %s: %w", path, code)
	}
	return err
}

// key is the paths of the shared nodes, without their number; own is the parent of one worker's.
func (r *run) key() string          { return r.dir + "/k" }
func (r *run) own(w *worker) string { return fmt.Sprintf("%s/c%d", r.dir, w.id) }

// measure warms up, measures and stops the load.
func (r *run) measure(ctx context.Context) (*Result, error) {
	st := &steer{epoch: time.Now()}
	loadCtx, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	for _, w := range r.workers {
		w.rec = r.rec
	}
	failed := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.load(loadCtx, st); err != nil {
			failed <- err
		}
	}()
	finish := func() {
		st.stop.Store(true)
		t := time.AfterFunc(answerTimeout, abort)
		<-done
		t.Stop()
	}
	wait := func(d time.Duration) (whole bool, err error) {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return true, nil
		case <-ctx.Done():
			return false, nil
		case err := <-failed:
			return false, err
		}
	}
	r.enter("warm up", r.cfg.Warmup)
	whole, err := wait(r.cfg.Warmup)
	if err != nil || !whole {
		finish()
		if err == nil {
			err = ctx.Err()
		}
		return nil, err
	}
	m, err := startMeter(r.cfg.Pids)
	if err != nil {
		finish()
		return nil, err
	}
	r.rec.reset()
	r.enter("measure", r.cfg.Duration)
	start := time.Now()
	whole, err = wait(r.cfg.Duration)
	res := r.result(time.Since(start), m)
	res.Interrupted = !whole
	finish()
	return res, err
}

// load runs until st says stop.
func (r *run) load(ctx context.Context, st *steer) error {
	switch r.cfg.Op {
	case OpWatch:
		return r.fanOut(ctx, st)
	case OpConnect:
		var wg sync.WaitGroup
		for _, w := range r.workers {
			wg.Go(func() { w.sessions(ctx, st) })
		}
		wg.Wait()
		return nil
	}
	var wg sync.WaitGroup
	for _, w := range r.workers {
		wg.Go(func() {
			src := r.source(w)
			_ = w.persist(ctx, src, st) // only ctx ends it early
			if s, ok := src.(*counted); ok {
				r.made[w.id] = s.n
			}
		})
	}
	wg.Wait()
	return nil
}

func (r *run) source(w *worker) source {
	s := &random{keys: r.cfg.Keys, rng: rand.NewPCG(uint64(w.id), rand.Uint64())}
	s.get, s.set = getOf(r.key()), setOf(r.key(), r.data)
	switch r.cfg.Op {
	case OpCreate:
		return &counted{numbered: createOf(r.own(w)+"/n", r.data), step: 1, to: -1}
	case OpSet:
		s.writes = 1 << 32
	case OpMixed:
		s.writes = uint64((1 - r.cfg.ReadRatio) * (1 << 32))
		s.setSlot = slotWrite
	}
	return s
}

func (r *run) result(d time.Duration, m *meter) *Result {
	c := &r.cfg
	res := &Result{
		Op: c.Op, Servers: c.Servers, Connections: c.Connections, Depth: c.Depth, SizeBytes: c.SizeBytes, Keys: c.Keys, ReadRatio: c.ReadRatio,
		Duration: d, Errors: r.rec.errors(),
	}
	res.Processes, res.BenchCPU = m.stop()
	names := []string{string(c.Op)}
	switch c.Op {
	case OpMixed:
		names = []string{"get", "set"}
	case OpWatch:
		names = []string{"event", "set"}
	}
	for slot, name := range names {
		rec := r.rec[slot]
		rec.mu.Lock()
		res.Kinds = append(res.Kinds, Kind{Name: name, Operations: uint64(rec.hist.TotalCount()), Latency: latencyOf(rec.hist)})
		rec.mu.Unlock()
	}
	return res
}

// cleanUp removes all that the run has made.
func (r *run) cleanUp(ctx context.Context) error {
	var err error
	switch r.cfg.Op {
	case OpCreate:
		err = r.each(func(w *worker) error {
			err := w.through(ctx, func() source {
				return &counted{numbered: deleteOf(r.own(w) + "/n"), step: 1, to: r.made[w.id]}
			})
			if err == nil {
				err = r.remove(w, r.own(w))
			}
			return err
		})
	case OpWatch:
		err = r.forAll(ctx, 1, func() numbered { return deleteOf(r.key()) })
	default:
		err = r.forAll(ctx, r.cfg.Keys, func() numbered { return deleteOf(r.key()) })
	}
	if err == nil {
		err = r.remove(r.workers[0], r.dir)
	}
	if err != nil {
		err = fmt.Errorf("below %s: %w", r.dir, err)
	}
	return err
}

func (r *run) remove(w *worker, path string) error {
	code, _, err := w.c.call(zk.OpDelete, &wire.DeleteRequest{Path: path, Version: -1})
	if err == nil && code != zk.OK && code != zk.ErrNoNode {
		err = code
	}
	return err
}

// disconnect ends all sessions.
func (r *run) disconnect() {
	_ = r.each(func(w *worker) error {
		if w.c != nil {
			_ = w.c.close()
		}
		return nil
	})
}

func (r *run) enter(phase string, of time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.phase, r.since, r.of = phase, time.Now(), of
}

// startProgress tells Config.Progress once a second, on a goroutine that the returned function ends.
func (r *run) startProgress() (stop func()) {
	if r.cfg.Progress == nil {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(time.Second)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				r.mu.Lock()
				p := Progress{Phase: r.phase, Elapsed: time.Since(r.since), Of: r.of}
				r.mu.Unlock()
				p.Operations, p.Errors = r.rec.totals()
				p.P50, p.P99 = r.rec.quantile(50), r.rec.quantile(99)
				r.cfg.Progress(p)
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}
