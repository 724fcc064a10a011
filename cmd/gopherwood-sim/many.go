package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"gopherwood/internal/sim"
)

const (
	// maxJobs bounds the processes of -j.
	maxJobs = 256
	// maxLine bounds what a worker says of one seed, in bytes.
	maxLine = 16 << 20
	// progressEvery is how often the progress is told.
	progressEvery = time.Second
)

// tally adds up what many seeds came to.
type tally struct {
	c      *command
	ran    uint64
	want   uint64
	broken uint64
	simUs  int64
	events int
	stats  sim.Stats
	began  time.Time
	told   time.Time
}

// many runs a range of seeds: here, one after the other, or in processes of their own. Two simulations at a time in one process are impossible (sim.Run).
func (c *command) many() (int, error) {
	t := &tally{c: c, want: (c.seeds + c.stride - 1) / c.stride, began: time.Now()}
	var err error
	if c.jobs > 1 {
		err = t.spread()
	} else {
		t.inTurn()
	}
	if err != nil {
		return 0, err
	}
	if !c.asJSON {
		t.sum()
	}
	if t.broken > 0 {
		return exitViolation, nil
	}
	return exitOK, nil
}

func (t *tally) inTurn() {
	c := t.c
	for n := uint64(0); n < c.seeds; n += c.stride {
		o := c.o
		o.Seed = c.first + n
		r := sim.Run(o)
		if c.asJSON {
			t.print(r)
		}
		if !t.take(r) {
			return
		}
	}
}

// print writes a result as a line of JSON.
func (t *tally) print(r *sim.Result) {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // numbers and strings
	}
	fmt.Fprintf(t.c.stdout, "%s\n", b)
}

// take counts a result, and says whether to go on.
func (t *tally) take(r *sim.Result) bool {
	t.ran++
	t.simUs += r.SimUs
	t.events += r.Events
	t.stats.Add(&r.Stats)
	if r.Violation != "" {
		t.broken++
		if !t.c.asJSON {
			fmt.Fprintf(t.c.stderr, "\r\033[K")
			fmt.Fprintln(t.c.stdout, r)
		}
		if !t.c.keep {
			return false
		}
	}
	if t.c.limit > 0 && time.Since(t.began) > t.c.limit {
		return false
	}
	if now := time.Now(); !t.c.asJSON && now.Sub(t.told) >= progressEvery {
		t.told = now
		fmt.Fprintf(t.c.stderr, "\r%d of %d seeds, %d broken, %s\033[K", t.ran, t.want, t.broken, t.rate())
	}
	return true
}

func (t *tally) rate() string {
	s := time.Since(t.began).Seconds()
	return fmt.Sprintf("%.1f a second, %.0f simulated seconds a second", float64(t.ran)/s, float64(t.simUs)/1e6/s)
}

func (t *tally) sum() {
	fmt.Fprintf(t.c.stderr, "\r\033[K")
	fmt.Fprintf(t.c.stdout, "%d seeds, %d broken, in %.1f s (%s); %.2f simulated hours, %d events\n%s\n",
		t.ran, t.broken, time.Since(t.began).Seconds(), t.rate(), float64(t.simUs)/3.6e9, t.events, &t.stats)
}

// spread starts this program -j times, each with every j-th seed, and takes what they say.
func (t *tally) spread() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := t.c
	if _, ok := c.stderr.(*os.File); !ok { // the workers and the progress line write to it side by side
		c.stderr = &shared{to: c.stderr}
	}
	results, ended := make(chan *sim.Result), make(chan error)
	var workers []*exec.Cmd
	for i := range c.jobs {
		args := append(append([]string(nil), c.args...), "-json", "-j", "1",
			"-start", fmt.Sprint(c.first+i*c.stride), "-stride", fmt.Sprint(c.stride*c.jobs), "-seeds", fmt.Sprint(c.seeds-min(c.seeds, i*c.stride)))
		w := exec.Command(self, args...)
		w.Stderr = c.stderr
		out, err := w.StdoutPipe()
		if err == nil {
			err = w.Start()
		}
		if err != nil {
			stop(workers)
			return fmt.Errorf("start a worker: %w", err)
		}
		workers = append(workers, w)
		go func() { ended <- follow(w, out, results) }()
	}
	stopped := false
	for left := len(workers); left > 0; {
		select {
		case r := <-results:
			if !stopped && !t.take(r) {
				stopped = true
				stop(workers)
			}
		case e := <-ended:
			left--
			if !stopped {
				err = errors.Join(err, e)
			}
		}
	}
	return err
}

// shared lets several goroutines write.
type shared struct {
	mu sync.Mutex
	to io.Writer
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to.Write(b)
}

func stop(workers []*exec.Cmd) {
	for _, w := range workers {
		_ = w.Process.Kill() // one that has ended is no mistake
	}
}

// follow passes on a worker's results and returns when it has ended. That it ends with exitViolation was seen in them.
func follow(w *exec.Cmd, out io.Reader, results chan<- *sim.Result) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		r := &sim.Result{}
		if err := json.Unmarshal(lines.Bytes(), r); err != nil {
			return errors.Join(fmt.Errorf("a worker says what cannot be read: %w", err), w.Wait())
		}
		results <- r
	}
	err := errors.Join(lines.Err(), w.Wait())
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == exitViolation {
		return lines.Err()
	}
	if err != nil {
		return fmt.Errorf("a worker: %w", err)
	}
	return nil
}
