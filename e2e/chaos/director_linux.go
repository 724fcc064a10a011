package chaos

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"gopherwood/e2e/internal/baddisk"
	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/internal/lan"
)

// director carries plans out. One goroutine runs it.
type director struct {
	lan     *lan.LAN
	e       *ensemble.Ensemble
	servers []netip.Addr
	clients []netip.Addr
	log     func(format string, args ...any)
	bulk    func()                             // writes much, so that logs grow
	disks   map[*ensemble.Server]*baddisk.Disk // nil: plain ones

	counts  map[Kind]int
	stopped map[*ensemble.Server]bool      // stands still
	killed  map[*ensemble.Server]bool      // ended by us
	excused map[*ensemble.Server]time.Time // until when it may end by itself for its disk's sake
	gaveUp  int                            // how often one did
	ended   []string                       // servers that ended and should not have
}

// action is a step of a fault.
type action struct {
	at time.Duration
	do func() error
}

// carryOut makes the plan's faults, each at its time, and ends them.
func (d *director) carryOut(p Plan) error {
	var actions []action
	for _, f := range p {
		actions = append(actions, d.actions(f)...)
	}
	slices.SortStableFunc(actions, func(a, b action) int { return cmp.Compare(a.at, b.at) })
	begin := time.Now()
	var errs []error
	for _, a := range actions {
		time.Sleep(a.at - time.Since(begin))
		d.look()
		if err := a.do(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// actions are a fault's beginning and end, and what comes between. The victim is chosen when it begins.
func (d *director) actions(f Fault) []action {
	var v *victim
	pick := func(do func(v *victim) error) func() error {
		return func() error {
			if v == nil {
				v = d.pick(f)
				d.counts[f.Kind]++
				d.log("%v on server %d", f, v.server.ID)
			}
			return do(v)
		}
	}
	begin, end := d.effect(f.Kind)
	actions := []action{{f.At, pick(begin)}}
	if f.Kind == Flapping {
		every := 100*time.Millisecond + time.Duration(f.Level*float64(900*time.Millisecond))
		for at := f.At + every; at+every < f.At+f.For; at += 2 * every {
			actions = append(actions, action{at, pick(end)}, action{at + every, pick(begin)})
		}
	}
	return append(actions, action{f.At + f.For, pick(end)})
}

// victim is whom a fault befalls.
type victim struct {
	Fault
	server *ensemble.Server
	at     netip.Addr
	other  netip.Addr
	others []netip.Addr // the other servers
	host   netip.Addr   // of clients

	ended  <-chan struct{} // of the process that was asked to end; nil: none was
	failed int64           // operations of its disk that had failed before
}

func (d *director) pick(f Fault) *victim {
	if f.Victim == leader {
		f.Victim = d.leader(f.Other)
	}
	if f.Other == f.Victim {
		f.Other = (f.Other + 1) % len(d.servers)
	}
	v := &victim{Fault: f, server: d.e.Servers[f.Victim], at: d.servers[f.Victim], other: d.servers[f.Other], host: d.clients[f.Host]}
	for _, a := range d.servers {
		if a != v.at {
			v.others = append(v.others, a)
		}
	}
	return v
}

// leader is the index of the server that says it leads, or the given one.
func (d *director) leader(otherwise int) int {
	for i, s := range d.e.Servers {
		if s.Running() && !d.stopped[s] {
			if mode, err := ensemble.Mode(s.Addr()); err == nil && mode == "leader" {
				return i
			}
		}
	}
	return otherwise
}

// effect is what begins and what ends a kind of fault.
func (d *director) effect(k Kind) (begin, end func(*victim) error) {
	if w, ok := netEffects[k]; ok {
		return func(v *victim) error { w(d, v); return nil }, func(*victim) error { d.calm(); return nil }
	}
	nothing := func(*victim) error { return nil }
	restart := func(v *victim) error { return d.start(v.server) }
	switch k {
	case KillOne:
		return func(v *victim) error { d.kill(v.server); return nil }, restart
	case KillAll:
		return func(*victim) error { d.kill(d.e.Servers...); return nil }, func(*victim) error { return d.start(d.e.Servers...) }
	case Stop:
		return func(v *victim) error { return d.stop(v.server) }, func(v *victim) error { return d.goOn(v.server) }
	case StopAll:
		return func(*victim) error { return d.stop(d.e.Servers...) }, func(*victim) error { return d.goOn(d.e.Servers...) }
	case Terminate:
		return d.terminate, d.awaitEnd
	case Wipe:
		return func(v *victim) error { d.kill(v.server); return d.wipe(v.server) }, restart
	case OtherEpoch:
		return func(v *victim) error { d.kill(v.server); return nil }, func(v *victim) error {
			return d.startElsewhen(v.server, int64(v.Level*float64(maxAhead/time.Second)))
		}
	}
	if begin, end := d.diskEffect(k); begin != nil {
		return begin, end
	}
	return nothing, nothing
}

// netEffects are the faults of the network.
var netEffects = map[Kind]func(*director, *victim){
	Isolate: func(d *director, v *victim) {
		for _, o := range append(slices.Clone(d.clients), v.others...) {
			d.lan.SetBoth(v.at, o, lan.Weather{Cut: true})
		}
	},
	Split: func(d *director, v *victim) {
		minority := []netip.Addr{v.at, v.host}
		if len(d.servers) >= 5 {
			minority = append(minority, v.other)
		}
		for _, a := range minority {
			for _, b := range append(slices.Clone(d.clients), d.servers...) {
				if !slices.Contains(minority, b) {
					d.lan.SetBoth(a, b, lan.Weather{Cut: true})
				}
			}
		}
	},
	OneWay: func(d *director, v *victim) { d.lan.Set(v.at, v.other, lan.Weather{Cut: true}) },
	Deaf: func(d *director, v *victim) {
		for _, o := range v.others {
			d.lan.Set(o, v.at, lan.Weather{Cut: true})
		}
	},
	Flapping: func(d *director, v *victim) {
		for _, o := range v.others {
			d.lan.SetBoth(v.at, o, lan.Weather{Cut: true})
		}
	},
	Loss: func(d *director, v *victim) { d.everywhere(lan.Weather{Loss: 0.01 + 0.25*v.Level}) },
	Delay: func(d *director, v *victim) {
		ms := time.Duration(1+v.Level*100) * time.Millisecond
		d.everywhere(lan.Weather{Delay: ms, Jitter: ms})
	},
	Reorder: func(d *director, v *victim) {
		ms := time.Duration(1+v.Level*20) * time.Millisecond
		d.everywhere(lan.Weather{Delay: ms / 4, Jitter: ms, Overtake: true, Duplicate: 0.1 * v.Level, Loss: 0.02 * v.Level})
	},
	Slow: func(d *director, v *victim) {
		for _, o := range append(slices.Clone(d.clients), v.others...) {
			d.lan.SetBoth(v.at, o, lan.Weather{BytesPerSecond: 4<<10 + int(v.Level*float64(128<<10))})
		}
	},
	CutClient: func(d *director, v *victim) {
		if v.Level > 0.5 { // from all servers, so that sessions end
			for _, a := range d.servers {
				d.lan.SetBoth(v.host, a, lan.Weather{Cut: true})
			}
			return
		}
		d.lan.SetBoth(v.host, v.at, lan.Weather{Cut: true})
		d.lan.Set(v.host, v.other, lan.Weather{Cut: true})
	},
}

// everywhere sets one weather between all hosts with faults.
func (d *director) everywhere(w lan.Weather) {
	all := append(slices.Clone(d.clients), d.servers...)
	for i, a := range all {
		for _, b := range all[:i] {
			d.lan.SetBoth(a, b, w)
		}
	}
}

// calm ends all faults of the network.
func (d *director) calm() { d.everywhere(lan.Weather{}) }

func (d *director) kill(servers ...*ensemble.Server) {
	for _, s := range servers {
		d.killed[s], d.stopped[s] = true, false
		s.KillNow()
		if disk := d.disks[s]; disk != nil {
			disk.Set(baddisk.Trouble{}) // a process that waits for its disk does not die
		}
	}
	for _, s := range servers {
		s.Kill()
	}
}

// start starts those that do not run.
func (d *director) start(servers ...*ensemble.Server) error {
	var errs []error
	for _, s := range servers {
		if !s.Running() {
			d.killed[s] = false
			errs = append(errs, s.Start())
		}
	}
	return errors.Join(errs...)
}

func (d *director) stop(servers ...*ensemble.Server) error {
	for _, s := range servers {
		if s.Running() {
			d.stopped[s] = true
			if err := s.Signal(syscall.SIGSTOP); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
		}
	}
	return nil
}

func (d *director) goOn(servers ...*ensemble.Server) error {
	for _, s := range servers {
		if d.stopped[s] {
			d.stopped[s] = false
			if err := s.Signal(syscall.SIGCONT); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
		}
	}
	return nil
}

// terminate asks a server to end; awaitEnd is the other half.
func (d *director) terminate(v *victim) error {
	if !v.server.Running() {
		return nil
	}
	v.ended = v.server.Ended()
	d.killed[v.server] = true
	if err := v.server.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// awaitEnd waits for a server that was asked to end, and starts it again.
func (d *director) awaitEnd(v *victim) error {
	s := v.server
	if disk := d.disks[s]; disk != nil {
		disk.Set(baddisk.Trouble{}) // nobody ends in good order on a disk that hangs
	}
	if v.ended != nil {
		select {
		case <-v.ended:
			if code := s.ExitCode(); code != 0 && s.Ended() == v.ended && !d.isExcused(s) {
				d.ended = append(d.ended, fmt.Sprintf("server %d ended with code %d when it was asked to", s.ID, code))
			}
		case <-time.After(terminateLimit):
			d.ended = append(d.ended, fmt.Sprintf("server %d did not end within %v of SIGTERM", s.ID, terminateLimit))
			d.kill(s)
		}
	}
	return d.start(s)
}

// isExcused says whether a server may end by itself, because its disk is no good.
func (d *director) isExcused(s *ensemble.Server) bool { return time.Now().Before(d.excused[s]) }

// look notes servers that have ended by themselves. Those that had a reason are started again when their fault is over, others at
// once, so that the round goes on.
func (d *director) look() {
	for _, s := range d.e.Servers {
		if s.Pid() == 0 || s.Running() || d.killed[s] {
			continue
		}
		if code := s.ExitCode(); d.isExcused(s) && code == 1 {
			d.gaveUp++
			d.killed[s] = true
			continue
		}
		d.ended = append(d.ended, fmt.Sprintf("server %d ended by itself with code %d", s.ID, s.ExitCode()))
		if err := d.start(s); err != nil {
			d.ended = append(d.ended, err.Error())
		}
	}
}

// heal ends everything that may still be wrong.
func (d *director) heal() error {
	d.calm()
	d.look()
	for _, disk := range d.disks {
		disk.Set(baddisk.Trouble{})
	}
	errs := []error{d.goOn(d.e.Servers...), d.empty(d.e.Servers...)}
	time.Sleep(excuseGrace) // those that still give up for a fault that is over
	d.look()
	return errors.Join(append(errs, d.start(d.e.Servers...))...)
}
