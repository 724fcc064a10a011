package server

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// hex is a number as ZooKeeper prints zxids and session ids.
func hex(n int64) string { return "0x" + strconv.FormatUint(uint64(n), 16) }

// printable shortens what a client sent, for a log line.
func printable(s string) string {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return strconv.QuoteToGraphic(s)
}

// limiter logs what clients can provoke: a burst of lines per message and interval, and afterwards how many it left out.
type limiter struct {
	log *slog.Logger
	now func() int64 // ns

	mu     sync.Mutex
	window map[string]*window
}

type window struct {
	startNs int64
	lines   int
	left    int
}

// maxWindows bounds the messages that are told apart.
const maxWindows = 256

func newLimiter(log *slog.Logger, now func() int64) *limiter {
	return &limiter{log: log, now: now, window: make(map[string]*window)}
}

func (l *limiter) warn(msg string, args ...any) { l.line(slog.LevelWarn, msg, args) }
func (l *limiter) info(msg string, args ...any) { l.line(slog.LevelInfo, msg, args) }

func (l *limiter) line(level slog.Level, msg string, args []any) {
	left, ok := l.admit(msg)
	if !ok {
		return
	}
	if left > 0 {
		args = append(args, "alike_left_out", left)
	}
	l.log.Log(context.Background(), level, msg, args...)
}

// admit says whether a line may be logged, and how many of its kind were not since the last one.
func (l *limiter) admit(msg string) (left int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.window[msg]
	if w == nil {
		if len(l.window) >= maxWindows {
			clear(l.window)
		}
		w = &window{startNs: l.now()}
		l.window[msg] = w
	}
	if now := l.now(); now-w.startNs >= int64(logInterval) {
		w.startNs, w.lines = now, 0
	}
	if w.lines++; w.lines > logBurst {
		w.left++
		return 0, false
	}
	left, w.left = w.left, 0
	return left, true
}

// ms is a number of milliseconds as a Duration.
func ms[T int32 | int64](n T) time.Duration { return time.Duration(n) * time.Millisecond }

var _ fmt.Stringer = (*conn)(nil)
