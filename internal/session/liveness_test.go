package session

import (
	"flag"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var rewrite = flag.Bool("rewrite", false, "write the scripts' output into testdata")

// TestScripts runs testdata/*.txt with a tick of 2 s. A line is a command, what it answered follows after "→".
//
//	at MS lead ID:TIMEOUT…   at MS tick   add ID TIMEOUT   touch ID   remove ID   follow
//	run FROM TO STEP         ticks every STEP ms and says when who was due
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			l := New(Options{})
			for line := range strings.Lines(string(raw)) {
				command := strings.TrimSpace(strings.SplitN(line, "→", 2)[0])
				if command == "" || command[0] == '#' {
					out.WriteString(line)
					continue
				}
				fmt.Fprintf(&out, "%-24s → %s\n", command, run(t, l, strings.Fields(command)))
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if out.String() != string(raw) {
				t.Errorf("output differs (-rewrite accepts it):\n%s", out.String())
			}
		})
	}
}

func run(t *testing.T, l *Liveness, f []string) string {
	num := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	switch {
	case f[0] == "run":
		var due []string
		for now := num(f[1]); now <= num(f[2]); now += num(f[3]) {
			if ids := l.Tick(now, nil); len(ids) > 0 {
				due = append(due, fmt.Sprintf("%d:%v", now, ids))
			}
		}
		return strings.Join(append(due, fmt.Sprintf("%d left", l.Len())), " ")
	case f[0] == "at" && f[2] == "lead":
		sessions := map[int64]int32{}
		for _, s := range f[3:] {
			id, timeout, _ := strings.Cut(s, ":")
			sessions[num(id)] = int32(num(timeout))
		}
		l.Lead(num(f[1]), maps.All(sessions))
	case f[0] == "at" && f[2] == "tick":
		return fmt.Sprint(l.Tick(num(f[1]), nil))
	case f[0] == "add":
		l.Add(num(f[1]), int32(num(f[2])))
	case f[0] == "touch":
		l.Touch(num(f[1]))
	case f[0] == "remove":
		l.Remove(num(f[1]))
	case f[0] == "follow":
		l.Follow()
	default:
		t.Fatalf("no command %q", f)
	}
	return "ok"
}

// model keeps each session's due time in a map, without buckets.
type model struct {
	opts     Options
	now      int64
	due      map[int64]int64
	timeouts map[int64]int64
}

func (m *model) set(id, timeout int64) {
	m.timeouts[id] = timeout
	m.due[id] = ((m.now+timeout)/m.opts.TickMs + 1) * m.opts.TickMs
}

func (m *model) tick(now int64) (due []int64) {
	if gap := now - m.now; gap < 0 || gap > m.opts.PauseMs {
		m.now = now
		for id, timeout := range m.timeouts {
			m.set(id, timeout)
		}
		return nil
	}
	m.now = now
	for id, at := range m.due {
		for at <= now { // a tick may pass several buckets, and a session may be due in more than one
			due = append(due, id)
			at += retryTicks * m.opts.TickMs
		}
		m.due[id] = at
	}
	slices.Sort(due)
	return due
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opts := Options{TickMs: rapid.Int64Range(1, 50).Draw(t, "tick"), PauseMs: rapid.Int64Range(1, 200).Draw(t, "pause")}
		l := New(opts)
		m := &model{opts: opts, due: map[int64]int64{}, timeouts: map[int64]int64{}}
		m.now = 1000
		l.Lead(m.now, none2)
		id := rapid.Int64Range(1, 6)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id, timeout := id.Draw(t, "id"), rapid.Int64Range(1, 300).Draw(t, "timeout")
				l.Add(id, int32(timeout))
				m.set(id, timeout)
			},
			"touch": func(t *rapid.T) {
				id := id.Draw(t, "id")
				l.Touch(id)
				if timeout, ok := m.timeouts[id]; ok {
					m.set(id, timeout)
				}
			},
			"remove": func(t *rapid.T) {
				id := id.Draw(t, "id")
				l.Remove(id)
				delete(m.timeouts, id)
				delete(m.due, id)
			},
			"tick": func(t *rapid.T) {
				now := m.now + rapid.Int64Range(-3, 220).Draw(t, "step")
				got, want := l.Tick(now, nil), m.tick(now)
				if !slices.Equal(got, want) {
					t.Fatalf("at %d due %v, want %v", now, got, want)
				}
			},
			"again": func(t *rapid.T) {
				l.Lead(m.now, func(yield func(int64, int32) bool) {
					for _, id := range slices.Sorted(maps.Keys(m.timeouts)) {
						if !yield(id, int32(m.timeouts[id])) {
							return
						}
					}
				})
				for id, timeout := range m.timeouts {
					m.set(id, timeout)
				}
			},
			"": func(t *rapid.T) { check(t, l, m) },
		})
	})
}

var none2 iter.Seq2[int64, int32] = func(func(int64, int32) bool) {}

// check compares due times and walks every bucket.
func check(t *rapid.T, l *Liveness, m *model) {
	if l.Len() != len(m.timeouts) {
		t.Fatalf("%d sessions, want %d", l.Len(), len(m.timeouts))
	}
	found := 0
	for bucket, i := range l.buckets {
		if i == none || bucket < l.nextMs || bucket%l.opts.TickMs != 0 {
			t.Fatalf("bucket %d (next %d) starts with %d", bucket, l.nextMs, i)
		}
		for prev := uint32(none); i != none; prev, i = i, l.sessions[i].next {
			e := l.sessions[i]
			if e.prev != prev || e.dueMs != bucket || m.due[e.id] != bucket {
				t.Fatalf("session %+v in bucket %d after %d, due at %d", e, bucket, prev, m.due[e.id])
			}
			found++
		}
	}
	if found != l.Len() {
		t.Fatalf("%d of %d sessions are in buckets", found, l.Len())
	}
}

func TestFollowerKnowsNothing(t *testing.T) {
	l := New(Options{})
	l.Add(1, 4000)
	l.Touch(1)
	if got := l.Tick(1<<40, nil); got != nil || l.Len() != 0 || l.Leading() {
		t.Errorf("a follower has %d sessions and expires %v", l.Len(), got)
	}
}

func TestTouchAllocatesNothing(t *testing.T) {
	l := New(Options{})
	l.Lead(0, none2)
	for id := range int64(100) {
		l.Add(id, 4000)
	}
	now := int64(0)
	dst := make([]int64, 0, 200)
	if n := testing.AllocsPerRun(100, func() {
		now += 500
		dst = l.Tick(now, dst[:0])
		for id := range int64(100) {
			l.Touch(id)
		}
	}); n > 1 { // the buckets' map may move its entries once in a while
		t.Errorf("%v allocations per tick", n)
	}
}
