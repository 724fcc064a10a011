package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"gopherwood/e2e/internal/lan"
	"gopherwood/e2e/internal/raw"
	"gopherwood/internal/history"
)

// noSandbox is why there is none; nil in the sandbox.
var noSandbox error

func TestMain(m *testing.M) {
	if os.Getenv("GOPHERWOOD_E2E") == "" {
		os.Exit(m.Run())
	}
	code, isInside, err := lan.Sandbox()
	if isInside || err != nil {
		noSandbox = err
		code = m.Run()
	}
	os.Exit(code)
}

// setting reads a number from the environment.
func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		t.Fatalf("%s=%s: %v", name, v, err)
	}
	return n
}

// TestChaos carries out plans for GOPHERWOOD_CHAOS_SECONDS and judges what the clients saw.
func TestChaos(t *testing.T) {
	if os.Getenv("GOPHERWOOD_E2E") == "" {
		t.Skip("end-to-end tests run with `make e2e` (GOPHERWOOD_E2E=1)")
	}
	if noSandbox != nil {
		t.Skip(noSandbox)
	}
	seed := setting(t, "GOPHERWOOD_CHAOS_SEED", 1)
	end := time.Now().Add(time.Duration(setting(t, "GOPHERWOOD_CHAOS_SECONDS", 75)) * time.Second)
	first := int(setting(t, "GOPHERWOOD_CHAOS_ROUND", 1))
	b := newBottle(t, seed, int(setting(t, "GOPHERWOOD_CHAOS_SERVERS", 3)))
	began := time.Now()
	for b.round = first; b.round == first || time.Until(end) > roundLength; b.round++ {
		b.play(Draw(seed, b.round, len(b.e.Servers), len(b.d.disks) > 0, roundLength))
		if t.Failed() {
			t.Fatalf("round %d of seed %d failed; again: GOPHERWOOD_E2E=1 GOPHERWOOD_CHAOS_SEED=%d GOPHERWOOD_CHAOS_ROUND=%d go test -run TestChaos -v ./e2e/chaos",
				b.round, seed, seed, b.round)
		}
	}
	b.report(time.Since(began))
}

// crew is the clients of a round.
type crew struct {
	clients []*client
	kits    []*kit
	work    sync.WaitGroup

	mu       sync.Mutex
	watchers []history.Watcher
	wrong    []string // what servers never do
}

// embark starts a round's clients, on all hosts.
func (b *bottle) embark(s *stage) *crew {
	c := new(crew)
	r := rand.New(rand.NewPCG(b.seed, uint64(b.round)<<8))
	random := func() *rand.Rand { return rand.New(rand.NewPCG(r.Uint64(), 0)) }
	for i, host := range b.hosts {
		for j := range rawClients {
			one := newClient(s, fmt.Sprintf("client %d.%d", i, j), host, random())
			c.clients = append(c.clients, one)
			c.work.Go(one.run)
		}
		for range kitClients {
			k := &kit{stage: s, rand: random()}
			c.kits = append(c.kits, k)
			c.work.Go(func() {
				if err := k.run(host); err != nil {
					b.Error(err)
				}
			})
		}
		watch := random()
		c.work.Go(func() {
			watchers, wrong := s.watch(host, watch)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.watchers, c.wrong = append(c.watchers, watchers...), append(c.wrong, wrong...)
		})
	}
	return c
}

// disembark lets all clients close their sessions and returns what they saw.
func (b *bottle) disembark(s *stage, c *crew) *history.History {
	s.closing.Store(true)
	timer := time.AfterFunc(endLimit, func() { s.over.Store(true) })
	c.work.Wait()
	timer.Stop()
	h := &history.History{Watchers: c.watchers}
	for _, one := range c.clients {
		h.Clients = append(h.Clients, one.log)
		c.wrong = append(c.wrong, one.wrong...)
		if !one.closed {
			b.Errorf("%s could not close its session within %v", one.name, endLimit)
		}
	}
	for _, k := range c.kits {
		h.Clients = append(h.Clients, k.log)
	}
	for _, w := range c.wrong {
		b.Error(w)
	}
	return h
}

// play is one round.
func (b *bottle) play(p Plan) {
	b.Logf("round %d of seed %d:\n%v", b.round, b.seed, p)
	s := b.newStage()
	c := b.embark(s)
	if err := b.d.carryOut(p); err != nil {
		b.Errorf("a fault could not be made: %v", err)
	}
	b.recover(c)
	h := b.disembark(s, c)
	for _, server := range b.e.Servers {
		log, err := s.reader(server.Addr(), here{})
		if err != nil {
			b.Error(err)
			continue
		}
		h.Clients = append(h.Clients, *log)
	}
	b.agree()
	b.judge(h)
}

// newStage makes a round's folder.
func (b *bottle) newStage() *stage {
	s := &stage{folder: fmt.Sprintf("/chaos-%d", b.round), begin: time.Now()}
	for _, server := range b.e.Servers {
		s.addrs = append(s.addrs, server.Addr())
	}
	conn, err := raw.Dial(s.addrs[0], raw.Session{TimeoutMs: 10_000})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	for i, path := range []string{s.folder, s.queue()} {
		if r, err := conn.Call(raw.Create(nil, int32(1+i), path, nil, raw.Persistent)); err != nil || r.Err != 0 {
			b.Fatalf("create %s: error %d, %v", path, r.Err, err)
		}
	}
	return s
}
