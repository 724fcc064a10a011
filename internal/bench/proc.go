package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// clockTick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 on every Linux that Go runs on.
const clockTick = time.Second / 100

// usage is what a process has used so far.
type usage struct {
	cpu time.Duration // user and system
	rss int64         // resident bytes, now
}

// processUsage reads /proc/PID/stat (proc(5): fields 14, 15 and 24).
func processUsage(pid int) (usage, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, fmt.Errorf("bench: process %d: %w", pid, err)
	}
	return parseStat(b)
}

func parseStat(b []byte) (usage, error) {
	const firstField = 3 // what follows the name, which may hold spaces and parentheses
	_, rest, ok := cutLast(b, ')')
	f := bytes.Fields(rest)
	if !ok || len(f) < 24-firstField+1 {
		return usage{}, fmt.Errorf("bench: a process's stat %q", b)
	}
	var v [3]int64
	for i, field := range []int{14, 15, 24} {
		n, err := strconv.ParseInt(string(f[field-firstField]), 10, 64)
		if err != nil {
			return usage{}, fmt.Errorf("bench: a process's stat: %w", err)
		}
		v[i] = n
	}
	return usage{cpu: time.Duration(v[0]+v[1]) * clockTick, rss: v[2] * int64(os.Getpagesize())}, nil
}

func cutLast(b []byte, sep byte) (before, after []byte, ok bool) {
	i := bytes.LastIndexByte(b, sep)
	if i < 0 {
		return b, nil, false
	}
	return b[:i], b[i+1:], true
}

// ownCPU is what this process has used, to the microsecond.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// meter reads the servers' processes at the start and at the end of the measured phase.
type meter struct {
	pids  []int
	start []usage
	own   time.Duration
}

func startMeter(pids []int) (*meter, error) {
	m := &meter{pids: pids, own: ownCPU()}
	for _, pid := range pids {
		u, err := processUsage(pid)
		if err != nil {
			return nil, err
		}
		m.start = append(m.start, u)
	}
	return m, nil
}

// stop is what each process has used since, and this one. A process that has ended meanwhile has Err.
func (m *meter) stop() ([]Process, time.Duration) {
	own := ownCPU() - m.own
	var out []Process
	for i, pid := range m.pids {
		p := Process{Pid: pid, RSSBytesBefore: m.start[i].rss}
		u, err := processUsage(pid)
		if err != nil {
			p.Err = "gone"
		} else {
			p.CPU, p.RSSBytes = u.cpu-m.start[i].cpu, u.rss
		}
		out = append(out, p)
	}
	return out, own
}
