package server

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"gopherwood/zk"
)

// slowLog takes requests that took long. Whoever answered one leaves it here without waiting, also under the tree's lock; the housekeeper writes the
// lines. What is beyond slowKept between two of its rounds is counted only.
type slowLog struct {
	atLeastNs int64 // 0: off
	entries   chan slowEntry
	lost      atomic.Int64
	total     atomic.Int64
}

// slowEntry is a request that took long. Times are zero where they are not known.
type slowEntry struct {
	c       *conn
	session int64
	op      zk.OpCode
	xid     int32
	path    string
	members int // of a multi; of a burst of reads, how many
	total   time.Duration
	stages  stageTimes
}

func newSlowLog(atLeast time.Duration) *slowLog {
	l := &slowLog{atLeastNs: int64(atLeast)}
	if atLeast > 0 {
		l.entries = make(chan slowEntry, slowKept)
	}
	return l
}

// is says whether that long is slow.
func (l *slowLog) is(d time.Duration) bool { return l.atLeastNs > 0 && int64(d) >= l.atLeastNs }

// add keeps an entry for the log.
func (l *slowLog) add(e slowEntry) {
	l.total.Add(1)
	e.path = strings.Clone(e.path[:min(len(e.path), topPrefixBytes)]) // its bytes belong to a buffer
	select {
	case l.entries <- e:
	default:
		l.lost.Add(1)
	}
}

// write logs what has gathered.
func (l *slowLog) write(log *slog.Logger) {
	for range slowKept {
		select {
		case e := <-l.entries:
			e.write(log)
			continue
		default:
		}
		break
	}
	if n := l.lost.Swap(0); n > 0 {
		log.Warn("more requests were slow than are logged", "not logged", n)
	}
}

func (e *slowEntry) write(log *slog.Logger) {
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	args := []any{"took", round(e.total), "op", opTable[slotOf(e.op)].metric, "path", e.path, "client", e.c.String(), "session", hex(e.session), "xid", e.xid}
	if e.members > 1 {
		args = append(args, "requests", e.members)
	}
	for i, d := range e.stages {
		if d > 0 {
			args = append(args, stageNames[i], round(d))
		}
	}
	log.Warn("slow request", args...)
}
