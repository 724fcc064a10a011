package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The kinds of faults, by what they are of.
const (
	Isolate   Kind = "isolate"    // a server is cut off from everybody
	Split     Kind = "split"      // a minority of the servers and some clients on one side, the rest on the other
	OneWay    Kind = "one way"    // nothing gets from one server to another; the other direction works
	Deaf      Kind = "deaf"       // a server can send to the others, and hears nothing
	Flapping  Kind = "flapping"   // a server is cut off and back, again and again
	Loss      Kind = "loss"       // packets get lost everywhere
	Delay     Kind = "delay"      // packets are late everywhere
	Reorder   Kind = "reorder"    // packets overtake each other and come twice
	Slow      Kind = "slow link"  // a server's links carry little
	CutClient Kind = "cut client" // a host of clients is cut off from some servers, or from all

	KillOne    Kind = "kill one"   // kill -9
	KillAll    Kind = "kill all"   // all at the same moment
	Stop       Kind = "standstill" // SIGSTOP, later SIGCONT
	StopAll    Kind = "all stand still"
	Terminate  Kind = "terminate"  // SIGTERM, as in an upgrade
	Wipe       Kind = "wiped disk" // killed, and started with nothing of what it had
	FullDisk   Kind = "full disk"
	FullDisks  Kind = "all disks full"
	Power      Kind = "power cut"     // killed, and of what it had not synced some sectors are lost
	PowerAll   Kind = "all power cut" // at the same moment
	BadSync    Kind = "sync fails"    // the server has to end
	BadRead    Kind = "reads fail"    // when it starts
	SlowDisk   Kind = "slow disk"
	HangDisk   Kind = "hanging disk"
	OtherEpoch Kind = "other uptime" // killed, and started in a time namespace whose monotonic clock is elsewhere
)

var (
	netKinds     = []Kind{Isolate, Split, OneWay, Deaf, Flapping, Loss, Delay, Reorder, Slow, CutClient}
	processKinds = []Kind{KillOne, KillOne, KillAll, Stop, Stop, StopAll, Terminate, OtherEpoch}
	diskKinds    = []Kind{FullDisk, FullDisks}
	// Those of disks that a file system of our own makes, with what they do to processes.
	badDiskKinds = []Kind{Power, PowerAll, BadSync, BadRead, SlowDisk, HangDisk}
)

// leader as a victim is the server that leads when the fault begins.
const leader = -1

// Fault is one fault of a plan.
type Fault struct {
	Kind    Kind
	At, For time.Duration
	Victim  int     // index of a server, or leader
	Other   int     // index of another
	Host    int     // index of a host of clients
	Level   float64 // how bad, 0 to 1
}

// String says when, for how long, what and where, for a person.
func (f Fault) String() string {
	victim := fmt.Sprintf("server %d", f.Victim+1)
	if f.Victim == leader {
		victim = "the leader"
	}
	return fmt.Sprintf("%6.2f s for %5.2f s: %s (%s, other %d, host %d, level %.2f)", f.At.Seconds(), f.For.Seconds(), f.Kind, victim, f.Other+1, f.Host+1, f.Level)
}

// Plan is the faults of one round, by time. Two faults of one sort (network, processes, disks) never overlap.
type Plan []Fault

// String is a line for each fault.
func (p Plan) String() string {
	lines := make([]string, len(p))
	for i, f := range p {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Draw makes the plan of a round. badDisks: there is a file system that makes their faults.
func Draw(seed uint64, round, servers int, badDisks bool, length time.Duration) Plan {
	r := rand.New(rand.NewPCG(seed, uint64(round)))
	ms := func(from, to int) time.Duration { return time.Duration(from+r.IntN(to-from)) * time.Millisecond }
	var p Plan
	add := func(kinds []Kind, at time.Duration) time.Duration {
		f := Fault{Kind: kinds[r.IntN(len(kinds))], At: at, For: ms(200, 4500), Victim: r.IntN(servers+1) - 1, Host: r.IntN(clientHosts), Level: r.Float64()}
		f.Other = r.IntN(servers)
		f.For = min(f.For, length-at)
		p = append(p, f)
		return at + f.For
	}
	sorts := [][]Kind{netKinds, netKinds, processKinds, diskKinds}
	if badDisks {
		sorts[3] = slices.Concat(diskKinds, badDiskKinds)
	}
	// A wiped disk is a fault of all sorts, for the ensemble may lose only so many disks: it has a time of its own, and one in a round.
	wipe := time.Duration(-1)
	if servers >= 3 && r.IntN(3) == 0 {
		wipe = length * time.Duration(1+r.IntN(3)) / 4
	}
	for at := ms(300, 1500); at < length-time.Second; at += ms(100, 1500) {
		if wipe >= 0 && at >= wipe {
			wipe = -1
			at = add([]Kind{Wipe}, at)
			continue
		}
		first := r.IntN(len(sorts))
		end := add(sorts[first], at)
		if second := r.IntN(len(sorts)); r.IntN(2) == 0 && sorts[second][0] != sorts[first][0] {
			if later := at + ms(0, 1500); later < length-time.Second {
				end = max(end, add(sorts[second], later))
			}
		}
		at = end
	}
	slices.SortStableFunc(p, func(a, b Fault) int { return int(a.At - b.At) })
	return p
}
