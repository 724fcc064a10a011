// Command compare measures fsmaster both ways on one machine in one run, and prints a table for docs/from-zookeeper-to-raft.md.
//
//	go run ./examples/fsmaster/compare                          a quarter of an hour
//	go run ./examples/fsmaster/compare -rounds 3 -seconds 5 -inodes 100000
//
// Three masters of each kind, as processes. --ha=zookeeper also has three Gopherwood servers (or the ZooKeeper that -zookeeper names) and a shared directory on the
// local disk, with fencing. Everything shares the machine's processors and its disk, so the ratios say more than the figures.
//
//	fail-over     the active master is killed (kill -9) under a client that creates files: how long it is between its last success before and the first one after
//	throughput    clients that create files, each the next one when it has the answer to the last
//	standby lag   from the answer to the client until a standby has the file
//	recovery      all masters are started on a journal, or on data directories, with so many inodes: how long until the first read
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"gopherwood/examples/fsmaster/core"
	"gopherwood/examples/fsmaster/fsclient"
	"gopherwood/examples/fsmaster/journal"
	"gopherwood/examples/fsmaster/stage"
)

// settings are the flags.
type settings struct {
	rounds, clients, inodes int
	seconds                 time.Duration
	zookeeper               string
}

// figures are what was measured of one kind.
type figures struct {
	ha                  string
	failover            []time.Duration
	creates, stats      []slice
	lag                 time.Duration // median
	recovery, recovery2 time.Duration // from the whole log or journal; from a snapshot or checkpoint
}

// slice is what came of a part of the time.
type slice struct {
	perSecond float64
	p50, p99  time.Duration
}

// median is the slice whose rate is the median.
func median(all []slice) slice {
	if len(all) == 0 {
		return slice{}
	}
	slices.SortFunc(all, func(a, b slice) int { return cmp.Compare(a.perSecond, b.perSecond) })
	return all[len(all)/2]
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run() error {
	var o settings
	flag.IntVar(&o.rounds, "rounds", 10, "how often the active master is killed; 0: never")
	flag.IntVar(&o.clients, "clients", 64, "clients of the throughput")
	flag.IntVar(&o.inodes, "inodes", 1_000_000, "inodes of the recovery; 0: none is measured")
	flag.DurationVar(&o.seconds, "seconds", 15*time.Second, "for how long throughput is measured; 0: it is not, nor the lag")
	flag.StringVar(&o.zookeeper, "zookeeper", "", "servers of a ZooKeeper to use; empty: three of Gopherwood are started")
	flag.Parse()
	dir, err := os.MkdirTemp("", "compare")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := stage.New(dir)
	if err != nil {
		return err
	}
	defer s.Close()
	if s.ZooKeeper = o.zookeeper; s.ZooKeeper == "" {
		if err := s.StartZooKeeper(ctx, 3); err != nil {
			return err
		}
	}
	zk, raft := &figures{ha: "zookeeper"}, &figures{ha: "raft"}
	if o.seconds > 0 || o.rounds > 0 {
		if err := o.measure(ctx, s, zk, raft); err != nil {
			return err
		}
	}
	if o.inodes > 0 {
		if err := o.recoveries(ctx, s, zk, raft); err != nil {
			return fmt.Errorf("recovery: %w", err)
		}
	}
	o.table(zk, raft)
	return nil
}

// slicesEach is into how many parts the time of the throughput is cut. The two ways take turns, so that what else the machine does meets both.
const slicesEach = 3

// journalBatch is how many records the journal of the recovery has in a write.
const journalBatch = 1000

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// measure starts masters of both kinds and lets them take turns.
func (o *settings) measure(ctx context.Context, s *stage.Stage, both ...*figures) error {
	sets := make([]*stage.Masters, len(both))
	for i, f := range both {
		m, err := s.StartMasters(f.ha, "measured-"+f.ha, 3, "--quiet")
		if err != nil {
			return err
		}
		defer killAll(m)
		sets[i] = m
		if _, err := m.Active(ctx); err != nil {
			return err
		}
	}
	turns := func(n int, do func(m *stage.Masters, f *figures, turn int) error) error {
		for turn := range n {
			for i, f := range both {
				if err := do(sets[i], f, turn); err != nil {
					return fmt.Errorf("%s: %w", f.ha, err)
				}
			}
		}
		return nil
	}
	if o.seconds > 0 {
		if err := turns(slicesEach, func(m *stage.Masters, f *figures, turn int) error { return o.throughput(ctx, m, f, turn) }); err != nil {
			return err
		}
		if err := turns(1, func(m *stage.Masters, f *figures, _ int) error { return o.lag(ctx, m, f) }); err != nil {
			return err
		}
	}
	return turns(o.rounds, func(m *stage.Masters, f *figures, turn int) error {
		d, err := failover(ctx, m, turn)
		f.failover = append(f.failover, d)
		say("%s: fail-over %d: %.2f s", f.ha, turn+1, d.Seconds())
		return err
	})
}

func killAll(m *stage.Masters) {
	for _, p := range m.Procs {
		p.Kill()
	}
}

// throughput has clients create files, and then read them.
func (o *settings) throughput(ctx context.Context, m *stage.Masters, f *figures, turn int) error {
	c := fsclient.New(m.Addrs(), o.clients)
	for i := range o.clients {
		if _, err := c.Do(ctx, core.Op{Kind: core.Mkdir, Path: fmt.Sprintf("/load/%d/%d", turn, i), Parents: true}); err != nil {
			return err
		}
	}
	creates, err := o.load(ctx, func(ctx context.Context, i, k int) error {
		_, err := c.Do(ctx, core.Op{Kind: core.Create, Path: fmt.Sprintf("/load/%d/%d/file-%d", turn, i, k)})
		return err
	})
	if err != nil {
		return err
	}
	stats, err := o.load(ctx, func(ctx context.Context, i, k int) error {
		var info core.Info
		return c.Get(ctx, "/v1/stat", map[string][]string{"path": {fmt.Sprintf("/load/%d/%d/file-%d", turn, i, k%10)}}, &info)
	})
	f.creates, f.stats = append(f.creates, creates), append(f.stats, stats)
	say("%s: %.0f creates/s, p50 %v, p99 %v; %.0f stats/s, p99 %v", m.HA, creates.perSecond, creates.p50, creates.p99, stats.perSecond, stats.p99)
	return err
}

// load runs the clients for the time; the first second does not count.
func (o *settings) load(ctx context.Context, do func(ctx context.Context, i, k int) error) (slice, error) {
	const warm = time.Second
	part := o.seconds / slicesEach
	ctx, cancel := context.WithTimeout(ctx, part+warm)
	defer cancel()
	from := time.Now().Add(warm)
	hists := make([]*hdrhistogram.Histogram, o.clients)
	errs := make([]error, o.clients)
	var wg sync.WaitGroup
	for i := range o.clients {
		hists[i] = hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)
		wg.Go(func() {
			for k := 0; ; k++ {
				began := time.Now()
				if err := do(ctx, i, k); err != nil {
					if ctx.Err() == nil {
						errs[i] = err
					}
					return
				}
				if began.After(from) {
					_ = hists[i].RecordValue(max(1, time.Since(began).Microseconds())) // below its maximum
				}
			}
		})
	}
	wg.Wait()
	all := hists[0]
	for _, h := range hists[1:] {
		all.Merge(h)
	}
	us := func(q float64) time.Duration { return time.Duration(all.ValueAtQuantile(q)) * time.Microsecond }
	return slice{float64(all.TotalCount()) / part.Seconds(), us(50), us(99)}, errors.Join(errs...)
}

// lag is how long after the answer a standby has a file.
func (o *settings) lag(ctx context.Context, m *stage.Masters, f *figures) error {
	active, err := m.Active(ctx)
	if err != nil {
		return err
	}
	var standby *stage.Proc
	for _, p := range m.Procs {
		if p != active {
			standby = p
		}
	}
	if _, err := m.Level(ctx); err != nil {
		return err
	}
	c, w := fsclient.New(m.Addrs(), 1), fsclient.New([]string{standby.Addr}, 1)
	before, err := w.Status(ctx, standby.Addr)
	if err != nil {
		return err
	}
	var lags []time.Duration
	for k := range 50 {
		if _, err := c.Do(ctx, core.Op{Kind: core.Create, Path: fmt.Sprintf("/load/lag-%d", k)}); err != nil {
			return err
		}
		began := time.Now()
		for {
			s, err := w.Status(ctx, standby.Addr)
			if err != nil {
				return err
			}
			if s.Inodes > before.Inodes+k {
				break
			}
		}
		lags = append(lags, time.Since(began))
	}
	slices.Sort(lags)
	f.lag = lags[len(lags)/2]
	return nil
}

// failover kills the active master under a client, and starts it again afterwards.
func failover(ctx context.Context, m *stage.Masters, round int) (time.Duration, error) {
	if _, err := m.Level(ctx); err != nil {
		return 0, err
	}
	active, err := m.Active(ctx)
	if err != nil {
		return 0, err
	}
	c := fsclient.New(m.Addrs(), 1)
	c.Timeout = time.Second
	var last time.Time
	var gap time.Duration
	killed := false
	for k := 0; ; k++ {
		bounded, cancel := context.WithTimeout(ctx, time.Minute)
		_, err := c.Do(bounded, core.Op{Kind: core.Create, Path: fmt.Sprintf("/load/failover-%d-%d", round, k)})
		cancel()
		now := time.Now()
		switch {
		case errors.Is(err, fsclient.ErrUnknown):
			continue
		case err != nil:
			return 0, err
		}
		if killed {
			gap = now.Sub(last)
			break
		}
		last = now
		if k == 50 {
			active.Kill()
			killed = true
		}
	}
	return gap, m.Restart(active)
}

// recoveries builds the same files for both, and starts the masters on them. The Raft masters get theirs by an import of the journal.
func (o *settings) recoveries(ctx context.Context, s *stage.Stage, zk, raft *figures) error {
	dir, err := s.MkdirShared("many-zookeeper")
	if err != nil {
		return err
	}
	want, offset, err := o.writeJournal(dir)
	if err != nil {
		return err
	}
	say("a journal with %d records is written", want.Len())
	if zk.recovery, err = started(ctx, s, "zookeeper", "many-zookeeper", want); err != nil {
		return err
	}
	if err := journal.WriteCheckpoint(dir, want.View(), offset, uint64(want.Len()-1), 1); err != nil {
		return err
	}
	if zk.recovery2, err = started(ctx, s, "zookeeper", "many-zookeeper", want); err != nil {
		return err
	}
	m, err := s.StartMasters("raft", "many-raft", 3, "--quiet")
	if err != nil {
		return err
	}
	began := time.Now()
	out, err := s.Fsmaster(ctx, "import", "--journal", dir, "--to", strings.Join(m.Addrs(), ","))
	if err != nil {
		return err
	}
	say("imported in %.1f s: %s", time.Since(began).Seconds(), out)
	c := fsclient.New(m.Addrs(), 1)
	if _, err := c.Do(ctx, core.Op{Kind: core.Imported}); err != nil {
		return err
	}
	if _, err := m.Level(ctx); err != nil {
		return err
	}
	if raft.recovery, err = o.again(ctx, m, want); err != nil {
		return err
	}
	if out, err := s.Gopherwood(ctx, "cluster", "snapshot", "--timeout", "300s", "--admin", strings.Join(m.Addrs(), ",")); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	raft.recovery2, err = o.again(ctx, m, want)
	killAll(m)
	return err
}

// writeJournal writes what an active master would have written, and returns what it comes to.
func (o *settings) writeJournal(dir string) (*core.FS, int64, error) {
	w, err := journal.OpenWriter(dir, 1, true)
	if err != nil {
		return nil, 0, err
	}
	defer w.Close()
	fs := core.New()
	var batch []core.Record
	seq := uint64(0)
	add := func(op core.Op) error {
		seq++
		rec := core.Record{Seq: seq, TimeMs: 1_700_000_000_000 + int64(seq), Epoch: 1, Op: op}
		if err := fs.Apply(&rec.Op, core.Env{TimeMs: rec.TimeMs, Term: 1}).Err(); err != nil {
			return err
		}
		if batch = append(batch, rec); len(batch) < journalBatch {
			return nil
		}
		err := w.Append(batch)
		batch = batch[:0]
		return err
	}
	const perDir = 1000
	for n := 0; fs.Len() < o.inodes; n++ {
		path := fmt.Sprintf("/d%d", n/perDir)
		if n%perDir == 0 {
			if err := add(core.Op{Kind: core.Mkdir, Path: path}); err != nil {
				return nil, 0, err
			}
			continue
		}
		if err := add(core.Op{Kind: core.Create, Path: fmt.Sprintf("%s/part-%05d", path, n%perDir), Owner: "hive"}); err != nil {
			return nil, 0, err
		}
	}
	if err := w.Append(batch); err != nil {
		return nil, 0, err
	}
	f, err := os.Open(filepath.Join(dir, "journal"))
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	return fs, end, err
}

// started starts masters on a journal, and ends them in good order, so that the next ones need not wait for the end of their sessions.
func started(ctx context.Context, s *stage.Stage, ha, name string, want *core.FS) (time.Duration, error) {
	began := time.Now()
	m, err := s.StartMasters(ha, name, 3, "--quiet")
	if err != nil {
		return 0, err
	}
	defer func() {
		for _, p := range m.Procs {
			p.Terminate()
		}
	}()
	return firstRead(ctx, m, want, began)
}

// again kills masters and starts them on what they have.
func (o *settings) again(ctx context.Context, m *stage.Masters, want *core.FS) (time.Duration, error) {
	killAll(m)
	began := time.Now()
	for _, p := range m.Procs {
		if err := m.Restart(p); err != nil {
			return 0, err
		}
	}
	return firstRead(ctx, m, want, began)
}

// firstRead waits until a read shows all files, and then until all masters have them.
func firstRead(ctx context.Context, m *stage.Masters, want *core.FS, began time.Time) (time.Duration, error) {
	active, err := m.Active(ctx)
	if err != nil {
		return 0, err
	}
	c := fsclient.New([]string{active.Addr}, 1)
	var info core.Info
	bounded, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.Get(bounded, "/v1/stat", map[string][]string{"path": {"/"}}, &info); err != nil {
		return 0, err
	}
	took := time.Since(began)
	s, err := m.Level(ctx)
	if err != nil {
		return 0, err
	}
	if s.Inodes != want.Len() || s.Digest != fmt.Sprintf("%x", want.Digest()) {
		return 0, fmt.Errorf("there are %d inodes with digest %s, want %d with %x", s.Inodes, s.Digest, want.Len(), want.Digest())
	}
	say("%s: %d inodes after %.1f s", m.HA, s.Inodes, took.Seconds())
	return took, nil
}

// table prints what was measured.
func (o *settings) table(zk, raft *figures) {
	fmt.Printf("| three masters each, %d clients | --ha=zookeeper | --ha=raft | ratio |\n|---|---:|---:|---:|\n", o.clients)
	row := func(what, unit string, a, b, scale float64) {
		if a > 0 && b > 0 {
			fmt.Printf("| %s | %.*f %s | %.*f %s | %.2f |\n", what, digits(a/scale), a/scale, unit, digits(b/scale), b/scale, unit, b/a)
		}
	}
	durations := func(what, unit string, a, b, scale time.Duration) {
		row(what, unit, float64(a), float64(b), float64(scale))
	}
	if o.rounds > 0 {
		slices.Sort(zk.failover)
		slices.Sort(raft.failover)
		durations(fmt.Sprintf("fail-over after kill -9, median of %d", o.rounds), "s", zk.failover[o.rounds/2], raft.failover[o.rounds/2], time.Second)
		durations("fail-over, shortest", "s", zk.failover[0], raft.failover[0], time.Second)
		durations("fail-over, longest", "s", zk.failover[o.rounds-1], raft.failover[o.rounds-1], time.Second)
	}
	a, b := median(zk.creates), median(raft.creates)
	row("creates per second", "", a.perSecond, b.perSecond, 1)
	durations("create, p50", "ms", a.p50, b.p50, time.Millisecond)
	durations("create, p99", "ms", a.p99, b.p99, time.Millisecond)
	a, b = median(zk.stats), median(raft.stats)
	row("stats per second (linearizable with Raft only)", "", a.perSecond, b.perSecond, 1)
	durations("stat, p50", "ms", a.p50, b.p50, time.Millisecond)
	durations("stat, p99", "ms", a.p99, b.p99, time.Millisecond)
	durations("standby lag, median", "ms", zk.lag, raft.lag, time.Millisecond)
	durations(fmt.Sprintf("recovery of %d inodes, whole journal or log", o.inodes), "s", zk.recovery, raft.recovery, time.Second)
	durations("recovery, from a checkpoint or snapshot", "s", zk.recovery2, raft.recovery2, time.Second)
}

func digits(v float64) int {
	switch {
	case v >= 1000:
		return 0
	case v >= 10:
		return 1
	}
	return 2
}
