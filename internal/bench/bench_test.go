package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gopherwood/internal/fakezk"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// TestMain is the echo server when Floor's test starts this program again.
func TestMain(m *testing.M) {
	if os.Getenv("BENCH_TEST_ECHO") != "" {
		if err := ServeEcho(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func fake(t *testing.T) (*fakezk.Server, string) {
	t.Helper()
	s := fakezk.New()
	t.Cleanup(s.Close)
	addr, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	return s, addr
}

func TestLoads(t *testing.T) {
	for _, op := range Ops {
		t.Run(string(op), func(t *testing.T) {
			s, addr := fake(t)
			before := s.Nodes()
			cfg := Config{Op: op, Servers: []string{addr}, Connections: 3, Keys: 20, SizeBytes: 50, ReadRatio: 0.5, Warmup: 10 * time.Millisecond, Duration: 100 * time.Millisecond, Pids: []int{os.Getpid()}}
			if op != OpWatch && op != OpConnect {
				cfg.Depth = 4
			}
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Operations() == 0 || r.Failed() != 0 || r.Leftover != "" || r.Interrupted {
				t.Errorf("%+v", r)
			}
			for _, k := range r.Kinds {
				l := k.Latency
				if k.Operations == 0 || l.Min <= 0 || l.Min > l.P50 || l.P50 > l.P99 || l.P99 > l.Max {
					t.Errorf("%s: %+v", k.Name, k)
				}
			}
			if len(r.Processes) != 1 || r.Processes[0].RSSBytes == 0 {
				t.Errorf("processes %+v", r.Processes)
			}
			if s.Nodes() != before || s.Sessions() != 0 {
				t.Errorf("%d nodes were %d, %d sessions left", s.Nodes(), before, s.Sessions())
			}
			seen := make(map[zk.OpCode]int)
			for _, q := range s.Log() {
				seen[q.Op]++
			}
			want := map[Op][]zk.OpCode{
				OpCreate: {zk.OpCreate}, OpSet: {zk.OpSetData}, OpGet: {zk.OpGetData}, OpMixed: {zk.OpSetData, zk.OpGetData},
				OpWatch: {zk.OpSetData, zk.OpGetData}, OpConnect: {zk.OpCloseSession},
			}[op]
			for _, code := range want {
				if seen[code] == 0 {
					t.Errorf("no operation %d: %v", code, seen)
				}
			}
		})
	}
}

func TestSpread(t *testing.T) {
	s, one := fake(t)
	two, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), Config{Op: OpGet, Servers: []string{one, two}, Connections: 4, Keys: 4, Duration: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	sessions := make(map[string]map[int64]bool)
	for _, q := range s.Log() {
		if sessions[q.Server] == nil {
			sessions[q.Server] = make(map[int64]bool)
		}
		sessions[q.Server][q.Session] = true
	}
	if len(sessions[one]) != 2 || len(sessions[two]) != 2 {
		t.Errorf("connections: %v", sessions)
	}
}

func TestErrorsAreCounted(t *testing.T) {
	s, addr := fake(t)
	s.Hook(func(r fakezk.Request) (v fakezk.Verdict) {
		if r.Op == zk.OpSetData {
			v.Code = zk.ErrNoAuth
		}
		return v
	})
	r, err := Run(t.Context(), Config{Op: OpSet, Servers: []string{addr}, Connections: 2, Duration: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Operations() != 0 || r.Errors[zk.ErrNoAuth] == 0 || len(r.Errors) != 1 {
		t.Errorf("%d operations, errors %v", r.Operations(), r.Errors)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "ERRORS: ") || !strings.Contains(text.String(), "not authorised") {
		t.Errorf("%v\n%s", err, &text)
	}
}

// Lost connections are counted, opened again, and do not keep the run from removing its nodes.
func TestLostConnections(t *testing.T) {
	s, addr := fake(t)
	before := s.Nodes()
	var creates atomic.Int64
	s.Hook(func(r fakezk.Request) (v fakezk.Verdict) {
		if strings.Contains(r.Path, "/n") && r.Op == zk.OpCreate && creates.Add(1)%500 == 0 {
			v.Fate = fakezk.DropAfter
		}
		return v
	})
	r, err := Run(t.Context(), Config{Op: OpCreate, Servers: []string{addr}, Connections: 2, Depth: 8, Duration: 400 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if creates.Load() > 1000 && (r.Errors[zk.ErrConnectionLoss] == 0 || r.Operations() < 1000) {
		t.Errorf("%d operations, errors %v", r.Operations(), r.Errors)
	}
	if s.Nodes() != before || r.Leftover != "" {
		t.Errorf("%d nodes were %d: %s", s.Nodes(), before, r.Leftover)
	}
}

func TestInterrupted(t *testing.T) {
	s, addr := fake(t)
	before := s.Nodes()
	ctx, cancel := context.WithCancel(t.Context())
	progress := make(chan Progress, 100)
	s.Hook(func(r fakezk.Request) (v fakezk.Verdict) {
		if r.Op == zk.OpSetData {
			cancel()
		}
		return v
	})
	r, err := Run(ctx, Config{Op: OpSet, Servers: []string{addr}, Connections: 2, Duration: time.Hour, Progress: func(p Progress) { progress <- p }})
	switch {
	case errors.Is(err, context.Canceled): // during the warm-up of no length
	case err != nil:
		t.Fatal(err)
	case !r.Interrupted:
		t.Errorf("%+v", r)
	}
	if s.Nodes() != before {
		t.Errorf("%d nodes were %d", s.Nodes(), before)
	}
}

func TestRefusedConfigs(t *testing.T) {
	ok := Config{Op: OpSet, Servers: []string{"x"}}
	for name, change := range map[string]func(c *Config){
		"operation \"dig\"": func(c *Config) { c.Op = "dig" },
		"no servers":        func(c *Config) { c.Servers = nil },
		"-1 connections":    func(c *Config) { c.Connections = -1 },
		"10001 depth":       func(c *Config) { c.Depth = 10001 },
		"at most 1048576":   func(c *Config) { c.SizeBytes = 2 << 20 },
		"together":          func(c *Config) { c.Depth, c.SizeBytes = 1000, 1<<20 },
		"read ratio 1.5":    func(c *Config) { c.ReadRatio = 1.5 },
		"negative duration": func(c *Config) { c.Duration = -1 },
		"has no depth":      func(c *Config) { c.Op, c.Depth = OpConnect, 2 },
		"-5 keys":           func(c *Config) { c.Keys = -5 },
	} {
		c := ok
		change(&c)
		if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Run(t.Context(), Config{Op: OpGet, Servers: []string{"127.0.0.1:1"}}); err == nil {
		t.Error("a server that is not there")
	}
}

// Making requests and taking answers allocates nothing.
func TestNoAllocations(t *testing.T) {
	w := newWorker(0, &Config{Servers: []string{"x"}, Depth: 16, SizeBytes: 100})
	w.rec = newRecorders()
	w.c = &conn{in: make([]byte, 64<<10)}
	s := (&run{cfg: Config{Op: OpMixed, Keys: 1000, ReadRatio: 0.5}, dir: "/x", data: make([]byte, 100)}).source(w)
	round := func() {
		w.c.out = w.c.out[:0]
		w.c.in = w.c.in[:0]
		for range 16 {
			slot, _ := s.next(w.c)
			w.window[(w.head+w.count)%len(w.window)] = sent{slot: slot}
			w.count++
			w.c.in = wire.AppendHeaderFrame(w.c.in, &wire.ReplyHeader{Xid: w.c.xid, Zxid: 1})
		}
		w.c.r, w.c.w = 0, len(w.c.in)
		if w.c.expect == 0 {
			w.c.expect = 1
		}
		if err := w.answers(1000); err != nil || w.count != 0 {
			t.Fatal(err, w.count)
		}
	}
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations for 16 operations", n)
	}
}

func TestNumbered(t *testing.T) {
	c := &conn{}
	set := setOf("/d/k", []byte("v"))
	set.put(c, 1234)
	frame, _, err := wire.SplitFrame(c.out, 1000)
	if err != nil {
		t.Fatal(err)
	}
	d := wire.NewDecoder(frame)
	var h wire.RequestHeader
	var r wire.SetDataRequest
	h.Decode(&d)
	r.Decode(&d)
	if d.Err() != nil || h.Xid != 1 || r.Path != "/d/k000001234" || string(r.Data) != "v" || r.Version != -1 {
		t.Errorf("%+v %+v %v", h, r, d.Err())
	}
}

func TestParseStat(t *testing.T) {
	rest := " S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 9 0 100 1000000 77 1844674"
	for _, tt := range []struct {
		in  string
		cpu time.Duration
		rss int64
		bad bool
	}{
		{in: "12 (java)" + rest, cpu: 3 * time.Second, rss: 77},
		{in: "12 (a) b (c)" + rest, cpu: 3 * time.Second, rss: 77},
		{in: "12 (java) S 1 2", bad: true},
		{in: "", bad: true},
	} {
		u, err := parseStat([]byte(tt.in))
		if (err != nil) != tt.bad || u.cpu != tt.cpu || u.rss != tt.rss*int64(os.Getpagesize()) {
			t.Errorf("%q: %+v, %v", tt.in, u, err)
		}
	}
	if _, err := processUsage(1 << 30); err == nil {
		t.Error("a process that is not there")
	}
}

func TestText(t *testing.T) {
	l := Latency{Min: 50e3, Mean: 400e3, P50: 300e3, P90: 900e3, P95: 1e6, P99: 2500e3, P999: 12345e3, Max: 250e6}
	r := &Result{
		Op: OpMixed, Servers: []string{"a:1", "b:2"}, Connections: 64, Depth: 2, SizeBytes: 100, Keys: 1000, ReadRatio: 0.9, Duration: 2 * time.Second,
		Kinds:     []Kind{{"get", 1_800_000, l}, {"set", 200_000, l}},
		Errors:    map[zk.Code]uint64{zk.ErrConnectionLoss: 12, zk.ErrNoNode: 3456},
		Processes: []Process{{Pid: 7, CPU: time.Second, RSSBytes: 100 << 20, RSSBytesBefore: 90 << 20}, {Pid: 8, Err: "gone"}},
		BenchCPU:  500 * time.Millisecond, Interrupted: true, Leftover: "below /x: y",
	}
	want := `mixed: 64 connections × depth 2, 100 B, 1,000 keys, 90% reads on a:1,b:2
  1,000,000 op/s   2,000,000 operations in 2.0 s   ERRORS: 3,456 node does not exist, 12 connection lost
  get      p50 300 µs   p90 900 µs   p99 2.50 ms   p99.9 12.35 ms   max 250 ms   mean 400 µs   (1,800,000)
  set      p50 300 µs   p90 900 µs   p99 2.50 ms   p99.9 12.35 ms   max 250 ms   mean 400 µs   (200,000)
  pid 7       0.5 µs CPU/op   0.50 cores   100.0 MiB resident (+10.0)
  pid 8       gone
  servers     0.5 µs CPU/op together
  this load   0.2 µs CPU/op
  interrupted: the figures are of the time until then
  nodes were left behind: below /x: y
`
	var b strings.Builder
	if err := r.WriteText(&b); err != nil || b.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, b.String(), want)
	}
	j, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]any
	if err := json.Unmarshal(j, &back); err != nil {
		t.Fatal(err)
	}
	if back["operations"] != 2e6 || back["failed"] != 3468.0 || back["serverCpuMicrosPerOp"] != 0.5 {
		t.Errorf("%s", j)
	}
}

func TestFloor(t *testing.T) {
	t.Setenv("BENCH_TEST_ECHO", "1")
	_, addr := fake(t)
	r, err := Floor(t.Context(), FloorConfig{Dir: t.TempDir(), Duration: 50 * time.Millisecond, Servers: []string{addr}, EchoCommand: []string{os.Args[0]}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Echo.P50 <= 0 || r.Append.P50 <= 0 || r.Write.P50 <= 0 || r.Ratio() <= 0 {
		t.Errorf("%+v", r)
	}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil || strings.Count(b.String(), "\n") != 5 {
		t.Errorf("%v\n%s", err, b.String())
	}
	if _, err := Floor(t.Context(), FloorConfig{Dir: t.TempDir()}); err == nil {
		t.Error("no echo command")
	}
	if _, err := Floor(t.Context(), FloorConfig{Dir: "/none/such", EchoCommand: []string{os.Args[0]}}); err == nil {
		t.Error("no directory")
	}
}

// A request too long for the kernel's buffers, with answers that wait to be read: neither side may block the other for ever.
func TestLargeWindow(t *testing.T) {
	s, addr := fake(t)
	r, err := Run(t.Context(), Config{Op: OpMixed, Servers: []string{addr}, Connections: 1, Depth: 64, SizeBytes: 300 << 10, Keys: 4, ReadRatio: 0.5, Duration: 300 * time.Millisecond})
	if err != nil || r.Failed() != 0 || r.Leftover != "" {
		t.Errorf("%+v, %v, %d nodes", r, err, s.Nodes())
	}
}

func TestHangsUpAtHandshake(t *testing.T) {
	s, addr := fake(t)
	s.Refuse(addr, io.EOF)
	_, err := Run(t.Context(), Config{Op: OpGet, Servers: []string{addr}})
	if err == nil || !strings.Contains(err.Error(), "no quorum?") {
		t.Error(err)
	}
}
