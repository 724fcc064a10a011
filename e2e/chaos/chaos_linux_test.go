package chaos

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gopherwood/e2e/internal/ensemble"
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

// bottle is an ensemble on a network of its own, and what was done to it.
type bottle struct {
	*testing.T
	seed     uint64
	e        *ensemble.Ensemble
	lan      *lan.LAN
	d        *director
	hosts    []dialer // of clients
	operator dialer
	round    int

	rounds, ops, acked, unanswered, paths, undecided, expired, watchers, events int
}

func address(last int) netip.Addr { return netip.AddrFrom4([4]byte{10, 73, 0, byte(last)}) }

// newBottle starts an ensemble.
func newBottle(t *testing.T, seed uint64, servers int) *bottle {
	t.Helper()
	b := &bottle{T: t, seed: seed}
	var err error
	if b.lan, err = lan.New(seed, address(254)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.lan.Close(); err != nil {
			t.Error(err)
		}
	})
	b.d = &director{
		lan: b.lan, log: t.Logf, bulk: b.bulk,
		counts: make(map[Kind]int), stopped: make(map[*ensemble.Server]bool), killed: make(map[*ensemble.Server]bool),
	}
	host := func(last int) *lan.Host {
		h, err := b.lan.Host(address(last))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	o := ensemble.Options{Servers: servers, Furnish: furnish(t)}
	for i := range servers {
		h := host(1 + i)
		o.Hosts = append(o.Hosts, h)
		b.d.servers = append(b.d.servers, h.Addr())
	}
	for i := range clientHosts {
		h := host(101 + i)
		b.hosts = append(b.hosts, h)
		b.d.clients = append(b.d.clients, h.Addr())
	}
	b.operator = here{}
	b.e = ensemble.New(t, o)
	b.d.e = b.e
	if err := b.e.StartAll(); err != nil {
		t.Fatal(err)
	}
	return b
}

// furnish gives a server a small file system of its own for its data.
func furnish(t *testing.T) func(s *ensemble.Server) error {
	return func(s *ensemble.Server) error {
		t.Cleanup(func() {
			if err := unix.Unmount(s.DataDir(), unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		return unix.Mount("chaos", s.DataDir(), "tmpfs", 0, fmt.Sprintf("size=%d", diskBytes))
	}
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
		b.play(Draw(seed, b.round, len(b.e.Servers), roundLength))
		if t.Failed() {
			t.Fatalf("round %d of seed %d failed; again: GOPHERWOOD_E2E=1 GOPHERWOOD_CHAOS_SEED=%d GOPHERWOOD_CHAOS_ROUND=%d go test -run TestChaos -v ./e2e/chaos",
				b.round, seed, seed, b.round)
		}
	}
	b.report(time.Since(began))
}

// bulk writes much, for as long as a server takes it, so that logs want new segments.
func (b *bottle) bulk() {
	go func() {
		conn, err := raw.Dial(b.e.Servers[b.round%len(b.e.Servers)].Addr(), raw.Session{TimeoutMs: 10_000})
		if err != nil {
			return
		}
		defer conn.Close()
		end := time.Now().Add(bulkLimit)
		if err := conn.Net().SetDeadline(end); err != nil {
			return
		}
		data := make([]byte, bulkBytes)
		_, err = conn.Call(raw.Create(nil, 1, "/bulk", nil, raw.Persistent))
		for xid := int32(2); err == nil && time.Now().Before(end); xid++ {
			_, err = conn.Call(raw.Set(nil, xid, "/bulk", data, -1))
		}
	}()
}

// play is one round.
func (b *bottle) play(p Plan) {
	b.Logf("round %d of seed %d:\n%v", b.round, b.seed, p)
	s := b.newStage()
	r := rand.New(rand.NewPCG(b.seed, uint64(b.round)<<8))
	random := func() *rand.Rand { return rand.New(rand.NewPCG(r.Uint64(), 0)) }
	var clients []*client
	var kits []*kit
	var work sync.WaitGroup
	var watchMu sync.Mutex
	var h history.History
	for i, host := range b.hosts {
		for j := range rawClients {
			c := newClient(s, fmt.Sprintf("client %d.%d", i, j), host, random())
			clients = append(clients, c)
			work.Go(c.run)
		}
		for range kitClients {
			k := &kit{stage: s, rand: random()}
			kits = append(kits, k)
			work.Go(func() {
				if err := k.run(host); err != nil {
					b.Error(err)
				}
			})
		}
		rr := random()
		work.Go(func() {
			watchers, wrong := s.watch(host, rr)
			watchMu.Lock()
			defer watchMu.Unlock()
			h.Watchers = append(h.Watchers, watchers...)
			for _, w := range wrong {
				b.Error(w)
			}
		})
	}
	if err := b.d.carryOut(p); err != nil {
		b.Errorf("a fault could not be made: %v", err)
	}
	b.recover(clients, kits)
	s.closing.Store(true)
	timer := time.AfterFunc(endLimit, func() { s.over.Store(true) })
	work.Wait()
	timer.Stop()
	for _, c := range clients {
		h.Clients = append(h.Clients, c.log)
		for _, w := range c.wrong {
			b.Error(w)
		}
		if !c.closed {
			b.Errorf("%s could not close its session within %v", c.name, endLimit)
		}
	}
	for _, k := range kits {
		h.Clients = append(h.Clients, k.log)
	}
	for _, server := range b.e.Servers {
		log, err := s.reader(server.Addr(), b.operator)
		if err != nil {
			b.Error(err)
			continue
		}
		h.Clients = append(h.Clients, *log)
	}
	b.agree()
	b.judge(&h)
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

// recover ends all faults and waits until everything works: servers serve, and every client has a write answered.
func (b *bottle) recover(clients []*client, kits []*kit) {
	if err := b.d.heal(); err != nil {
		b.Errorf("heal: %v", err)
	}
	began := time.Now()
	before := make(map[any]int64)
	for _, c := range clients {
		before[c] = c.acked.Load()
	}
	for _, k := range kits {
		before[k] = k.acked.Load()
	}
	if err := b.e.StartAll(); err != nil {
		b.Errorf("after all is healed: %v", err)
	}
	waiting := func() (names []string) {
		for _, c := range clients {
			if c.acked.Load() == before[c] {
				names = append(names, c.name)
			}
		}
		for i, k := range kits {
			if k.acked.Load() == before[k] {
				names = append(names, fmt.Sprintf("go-zookeeper %d", i))
			}
		}
		return names
	}
	for len(waiting()) > 0 {
		if time.Since(began) > healLimit {
			b.Errorf("no write was answered within %v of the end of all faults to %v", healLimit, waiting())
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.Logf("all clients wrote again %v after the end of all faults", time.Since(began).Round(time.Millisecond))
}

// agree waits until all servers have a vote and are at one zxid, and compares their digests.
func (b *bottle) agree() {
	var states, modes []string
	for end := time.Now().Add(healLimit); ; time.Sleep(100 * time.Millisecond) {
		states, modes = nil, nil
		for _, s := range b.e.Servers {
			state, err := ensemble.Word(s.Addr(), "hash")
			if err != nil {
				state = err.Error()
			}
			mode, err := ensemble.Mode(s.Addr())
			if err != nil {
				mode = err.Error()
			}
			states, modes = append(states, strings.TrimSpace(state)), append(modes, mode)
		}
		votes := 0
		for _, m := range modes {
			if m == "leader" || m == "follower" {
				votes++
			}
		}
		same := len(slices.Compact(slices.Clone(states))) == 1
		if same && votes == len(modes) {
			return
		}
		if time.Now().After(end) {
			b.Errorf("%v after the end of all faults the servers are not one: modes %q, zxids and digests %q", healLimit, modes, states)
			return
		}
	}
}

// judge has the round's history checked, and keeps it if something is wrong.
func (b *bottle) judge(h *history.History) {
	began := time.Now()
	r := history.Check(h, perPath)
	b.rounds++
	b.paths += r.Paths
	b.undecided += r.Undecided
	b.watchers += len(h.Watchers)
	for _, w := range h.Watchers {
		for _, f := range w.Frames {
			if f.Type != 0 {
				b.events++
			}
		}
	}
	var all []*history.Op
	for i := range h.Clients {
		for j := range h.Clients[i].Ops {
			o := &h.Clients[i].Ops[j]
			all = append(all, o)
			switch {
			case !o.Answered():
				b.unanswered++
			case o.Kind == history.Expired:
				b.expired++
			default:
				b.acked++
			}
		}
	}
	b.ops += len(all)
	b.Logf("round %d: %d operations, %d paths, %d undecided, judged in %v", b.round, len(all), r.Paths, r.Undecided, time.Since(began).Round(time.Millisecond))
	for _, w := range b.d.ended {
		b.Error(w)
	}
	for _, v := range r.Violations {
		b.Error(v)
	}
	if b.Failed() {
		b.keep(all)
	}
}

// keep writes a history to a file, by the time of asking.
func (b *bottle) keep(all []*history.Op) {
	cache, err := ensemble.Cache()
	if err != nil {
		b.Log(err)
		return
	}
	slices.SortStableFunc(all, func(x, y *history.Op) int { return int(x.Call - y.Call) })
	var text strings.Builder
	for _, o := range all {
		fmt.Fprintln(&text, o)
	}
	name := filepath.Join(cache, "e2e-logs", fmt.Sprintf("chaos-seed-%d-round-%d.txt", b.seed, b.round))
	if err = os.MkdirAll(filepath.Dir(name), 0o755); err == nil {
		err = os.WriteFile(name, []byte(text.String()), 0o644)
	}
	b.Logf("the history is in %s (%v)", name, err)
}

// report tells what the run was worth.
func (b *bottle) report(took time.Duration) {
	faults := 0
	var kinds []string
	for _, k := range slices.Concat(netKinds, processKinds, diskKinds, []Kind{Wipe}) {
		line := fmt.Sprintf("%s %d", k, b.d.counts[k])
		if !slices.Contains(kinds, line) {
			kinds = append(kinds, line)
			faults += b.d.counts[k]
		}
	}
	s := b.lan.Stats()
	b.Logf("FIGURE chaos: seed %d, %d servers, %v, %d rounds, %d faults (%s)", b.seed, len(b.e.Servers), took.Round(time.Second), b.rounds, faults, strings.Join(kinds, ", "))
	b.Logf("FIGURE chaos: %d operations, %d answered, %d unanswered, %d sessions expired, %d paths judged, %d undecided, %d connections of watchers with %d events; packets: %d passed at once, %d late, %d lost, %d doubled",
		b.ops, b.acked, b.unanswered, b.expired, b.paths, b.undecided, b.watchers, b.events, s.Passed, s.Late, s.Lost, s.Doubled)
}
