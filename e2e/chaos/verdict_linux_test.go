package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopherwood/e2e/internal/baddisk"
	"gopherwood/e2e/internal/ensemble"
	"gopherwood/internal/history"
)

// recover ends all faults and waits until everything works: servers serve, and every client has a write answered.
func (b *bottle) recover(c *crew) {
	if err := b.d.heal(); err != nil {
		b.Errorf("heal: %v", err)
	}
	b.bulks.Wait()
	began := time.Now()
	before := make(map[any]int64)
	for _, one := range c.clients {
		before[one] = one.acked.Load()
	}
	for _, k := range c.kits {
		before[k] = k.acked.Load()
	}
	if err := b.e.StartAll(); err != nil {
		b.Errorf("after all is healed: %v", err)
	}
	waiting := func() (names []string) {
		for _, one := range c.clients {
			if one.acked.Load() == before[one] {
				names = append(names, one.name)
			}
		}
		for i, k := range c.kits {
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
	for _, k := range slices.Concat(netKinds, processKinds, diskKinds, badDiskKinds, []Kind{Wipe}) {
		line := fmt.Sprintf("%s %d", k, b.d.counts[k])
		if !slices.Contains(kinds, line) {
			kinds = append(kinds, line)
			faults += b.d.counts[k]
		}
	}
	var disks baddisk.Stats
	for _, d := range b.d.disks {
		s := d.Stats()
		disks.Writes, disks.Syncs, disks.Failed = disks.Writes+s.Writes, disks.Syncs+s.Syncs, disks.Failed+s.Failed
		disks.Lost, disks.Kept = disks.Lost+s.Lost, disks.Kept+s.Kept
	}
	b.Logf("FIGURE chaos: disks: %+v", disks)
	s := b.lan.Stats()
	b.Logf("FIGURE chaos: seed %d, %d servers, %v, %d rounds, %d faults (%s); servers gave up %d times because of their disks",
		b.seed, len(b.e.Servers), took.Round(time.Second), b.rounds, faults, strings.Join(kinds, ", "), b.d.gaveUp)
	b.Logf("FIGURE chaos: %d operations, %d answered, %d unanswered, %d sessions expired, %d paths judged, %d undecided, %d connections of watchers with %d events; packets: %d passed at once, %d late, %d lost, %d doubled",
		b.ops, b.acked, b.unanswered, b.expired, b.paths, b.undecided, b.watchers, b.events, s.Passed, s.Late, s.Lost, s.Doubled)
}
