package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gopherwood/client"
	"gopherwood/internal/fakezk"
	"gopherwood/zk"
)

// TestRandomFaults runs writers against servers that drop connections at random, before and after carrying out a request, and holds
// what the client said about each write against the tree: acknowledged means there, refused or "not sent" means not there, and in a
// pipeline nothing is there behind a write that is not.
func TestRandomFaults(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, client.Options{MaxPendingBytes: 8 << 10, Rand: rand.NewPCG(seed, 0)}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
				rng := rand.New(rand.NewPCG(seed, 1))
				faults := true
				s.Hook(func(r fakezk.Request) (v fakezk.Verdict) {
					if faults && rng.IntN(20) == 0 {
						v.Fate = []fakezk.Fate{fakezk.DropBefore, fakezk.DropAfter, fakezk.DropAnswered}[rng.IntN(3)]
					}
					return v
				})
				w := &writers{c: c, said: make(map[string]error)}
				var wg sync.WaitGroup
				for i := range 4 {
					wg.Go(func() { w.alone(ctx, fmt.Sprintf("/a%d-", i)) })
					wg.Go(func() { w.pipelines(ctx, fmt.Sprintf("/p%d-", i)) })
				}
				wg.Wait()
				synctest.Wait()
				faults = false
				w.compare(t, ctx)
			})
		})
	}
}

const faultyWrites = 40

// writers keeps what the client said about every create.
type writers struct {
	c    *client.Client
	mu   sync.Mutex
	said map[string]error
	runs [][]string // paths of each pipeline, in order
}

func (w *writers) note(path string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said[path] = err
}

// alone creates nodes one after the other, some of them with little patience.
func (w *writers) alone(ctx context.Context, prefix string) {
	for i := range faultyWrites {
		path := fmt.Sprintf("%s%d", prefix, i)
		short, cancel := context.WithTimeout(ctx, time.Hour)
		if i%10 == 9 {
			cancel()
			short, cancel = context.WithTimeout(ctx, time.Millisecond)
		}
		_, err := w.c.Create(short, path, nil, client.CreateOptions{})
		cancel()
		w.note(path, err)
	}
}

// pipelines creates nodes in pipelines, a new one whenever one has broken.
func (w *writers) pipelines(ctx context.Context, prefix string) {
	for i := 0; i < faultyWrites; {
		p := w.c.Pipeline()
		var paths []string
		var calls []*client.Pending[client.Created]
		for ; i < faultyWrites && len(calls) < 15; i++ {
			paths = append(paths, fmt.Sprintf("%s%d", prefix, i))
			calls = append(calls, p.Create(ctx, paths[len(paths)-1], nil, client.CreateOptions{}))
		}
		for j, k := range calls {
			_, err := k.Wait(ctx)
			w.note(paths[j], err)
		}
		w.mu.Lock()
		w.runs = append(w.runs, paths)
		w.mu.Unlock()
	}
}

func (w *writers) compare(t *testing.T, ctx context.Context) {
	exists := func(path string) bool {
		_, ok, err := w.c.Exists(ctx, path)
		check(t, err)
		return ok
	}
	unknown := 0
	for path, err := range w.said {
		switch ok := exists(path); {
		case err == nil && !ok:
			t.Errorf("%s was acknowledged and is not there", path)
		case err == nil || client.OutcomeUnknown(err):
		case ok:
			t.Errorf("%s is there: %v", path, err)
		case !errors.Is(err, zk.ErrConnectionLoss) && !errors.Is(err, context.DeadlineExceeded):
			t.Errorf("%s: %v", path, err)
		}
		if client.OutcomeUnknown(err) {
			unknown++
		}
	}
	if unknown == 0 {
		t.Error("no fault hit a write")
	}
	for _, paths := range w.runs {
		gap := ""
		for _, path := range paths {
			switch ok := exists(path); {
			case !ok && gap == "":
				gap = path
			case ok && gap != "":
				t.Fatalf("%s is there, %s before it in the pipeline is not", path, gap)
			}
		}
	}
}
