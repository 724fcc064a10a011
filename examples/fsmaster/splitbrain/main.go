// Command splitbrain shows what becomes of a master that is paused for longer than its session, three times: with an election in ZooKeeper and a shared journal, with
// fencing of that journal, and with Raft inside the masters.
//
//	go run ./examples/fsmaster/splitbrain
//
// Three masters run as processes. Clients of the active one each claim names, one after the other, by creating files, which succeeds for one claimant only.
// Then the active master is stopped (SIGSTOP), as by a long garbage collection or a virtual machine that is moved; its session ends, another master takes over,
// and other clients claim names there. Then the first one goes on (SIGCONT), in the middle of what it was doing. A name that was granted twice, or a file that was
// acknowledged and is another one or none in the end, is what must not be.
//
// It ends with code 0 if the first way fails so and the other two do not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"gopherwood/examples/fsmaster/core"
	"gopherwood/examples/fsmaster/fsclient"
	"gopherwood/examples/fsmaster/journal"
	"gopherwood/examples/fsmaster/stage"
)

const (
	claimants = 64
	// attempts is how often a way that can split gets the chance: it depends on what the master was doing when it was stopped.
	attempts = 10
	// ahead is how many names each of the second master's clients claims.
	ahead = 20
	// work is for how long the first master serves before it is paused, and again afterwards.
	work = 1500 * time.Millisecond
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "splitbrain:", err)
		os.Exit(1)
	}
}

func run() error {
	zookeeper := flag.String("zookeeper", "", "servers of a ZooKeeper to use; empty: Gopherwood is started as one")
	flag.Parse()
	dir, err := os.MkdirTemp("", "splitbrain")
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
	if s.ZooKeeper = *zookeeper; s.ZooKeeper == "" {
		if err := s.StartZooKeeper(ctx, 1); err != nil {
			return err
		}
	}
	as := true
	for _, way := range []struct {
		title, ha, name string
		flags           []string
		splits          bool
	}{
		{"an election in ZooKeeper, a shared journal, no fencing", "zookeeper", "unfenced", []string{"--fencing=false"}, true},
		{"an election in ZooKeeper, a shared journal with fencing", "zookeeper", "fenced", []string{"--fencing=true"}, false},
		{"Raft inside the masters", "raft", "raft", nil, false},
	} {
		fmt.Printf("\n%s\n", way.title)
		split := false
		for n := 1; n <= attempts && !split && (n == 1 || way.splits); n++ {
			if n > 1 {
				fmt.Println("    once more: it was stopped at a harmless moment")
			}
			if split, err = show(ctx, s, way.ha, fmt.Sprintf("%s%d-", way.name, n), way.flags); err != nil {
				return fmt.Errorf("%s: %w", way.title, err)
			}
		}
		if split != way.splits {
			fmt.Printf("    this is not what was to be shown: split %v, expected %v\n", split, way.splits)
			as = false
		}
	}
	if !as {
		return errors.New("not as expected")
	}
	return nil
}

// claims are the names that were granted, and the inode that each came with.
type claims struct {
	mu      sync.Mutex
	granted map[string]uint64
	late    int // after the pause
	wokenAt time.Time
	unknown int
	refused int
}

func (c *claims) note(name string, result *core.Result, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(err, fsclient.ErrUnknown):
		c.unknown++
	case err != nil:
		c.refused++
	default:
		c.granted[name] = result.Info.ID
		if !c.wokenAt.IsZero() {
			c.late++
		}
	}
}

func name(i, k int) string { return fmt.Sprintf("/claims/%d-%d", i, k) }

// show plays the scene and says whether the brain was split.
func show(ctx context.Context, s *stage.Stage, ha, set string, flags []string) (bool, error) {
	m, err := s.StartMasters(ha, set, 3, append(flags, "--quiet")...)
	if err != nil {
		return false, err
	}
	defer func() {
		for _, p := range m.Procs {
			_ = p.Resume()
			p.Kill()
		}
	}()
	first, err := m.Active(ctx)
	if err != nil {
		return false, err
	}
	all := fsclient.New(m.Addrs(), claimants)
	if _, err := all.Do(ctx, core.Op{Kind: core.Mkdir, Path: "/claims"}); err != nil {
		return false, err
	}
	a, b := &claims{granted: map[string]uint64{}}, &claims{granted: map[string]uint64{}}
	working, end := context.WithCancel(ctx)
	defer end()
	var clients sync.WaitGroup
	for i := range claimants {
		clients.Go(func() { a.work(working, fsclient.New([]string{first.Addr}, 1), i) })
	}
	wait(ctx, work)
	if err := first.Pause(); err != nil {
		return false, err
	}
	paused := time.Now()
	fmt.Printf("    %s is paused; its clients have been granted %d names and wait\n", first.Name, a.count())
	second, err := m.Active(ctx, first)
	if err != nil {
		return false, err
	}
	fmt.Printf("    %s takes over after %.1f s\n", second.Name, time.Since(paused).Seconds())
	b.claimAhead(ctx, fsclient.New([]string{second.Addr}, claimants), a)
	fmt.Printf("    its clients are granted %d names\n", b.count())
	a.mu.Lock()
	a.wokenAt = time.Now()
	a.mu.Unlock()
	if err := first.Resume(); err != nil {
		return false, err
	}
	wait(ctx, work)
	end()
	clients.Wait()
	return judge(ctx, m, second, a, b)
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (c *claims) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.granted)
}

// work is a client of the first master alone: it claims names until it is told to stop, or its master says that it does not serve any more.
func (c *claims) work(ctx context.Context, cl *fsclient.Client, i int) {
	for k := 0; ctx.Err() == nil; k++ {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		result, err := cl.DoOnce(bounded, cl.Masters[0], core.Op{Kind: core.Create, Path: name(i, k)})
		cancel()
		c.note(name(i, k), result, err)
		var r *fsclient.Refusal
		if errors.As(err, &r) && r.Status != http.StatusConflict {
			return // deposed
		}
	}
}

// claimAhead claims the names that the first master's clients would come to next.
func (c *claims) claimAhead(ctx context.Context, cl *fsclient.Client, a *claims) {
	var wg sync.WaitGroup
	for i := range claimants {
		a.mu.Lock()
		k := 0
		for a.granted[name(i, k)] != 0 {
			k++
		}
		a.mu.Unlock()
		wg.Go(func() {
			for n := k; n < k+ahead; n++ {
				result, err := cl.Do(ctx, core.Op{Kind: core.Create, Path: name(i, n)})
				c.note(name(i, n), result, err)
			}
		})
	}
	wg.Wait()
}

// judge compares what was granted with what there is, and looks into the journal.
func judge(ctx context.Context, m *stage.Masters, second *stage.Proc, a, b *claims) (bool, error) {
	twice, lost := 0, 0
	for n := range a.granted {
		if b.granted[n] != 0 {
			twice++
		}
	}
	c := fsclient.New([]string{second.Addr}, 1)
	for _, side := range []*claims{a, b} {
		for n, id := range side.granted {
			var i core.Info
			err := c.Get(ctx, "/v1/stat", url.Values{"path": {n}}, &i)
			var r *fsclient.Refusal
			if err != nil && (!errors.As(err, &r) || r.Status != http.StatusNotFound) {
				return false, err
			}
			if err != nil || i.ID != id {
				lost++
			}
		}
	}
	fmt.Printf("    the first one wakes up: %d requests succeed at it, %d are refused, %d end with an unknown outcome\n", a.late, a.refused, a.unknown)
	if m.HA == "zookeeper" {
		late, err := lateRecords(m.Shared)
		if err != nil {
			return false, err
		}
		fmt.Printf("    in the journal are %d records of the deposed master behind its successor's\n", late)
	}
	fmt.Printf("    names granted to two clients: %d; files acknowledged that are another one or none: %d\n", twice, lost)
	if twice+lost > 0 {
		fmt.Println("    SPLIT BRAIN: two masters were active at a time, and both told their clients that all was well")
		return true, nil
	}
	fmt.Println("    no split: whatever was acknowledged is there, once")
	return false, nil
}

// lateRecords counts the records in a journal that an earlier epoch has written behind a later one.
func lateRecords(dir string) (int, error) {
	r, err := journal.OpenReader(dir, 0, 0, false)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	epoch, late := uint64(0), 0
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return late, nil
		}
		if err != nil {
			return 0, err
		}
		if rec.Epoch < epoch {
			late++
		}
		epoch = max(epoch, rec.Epoch)
	}
}
