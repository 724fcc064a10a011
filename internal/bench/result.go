package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"gopherwood/zk"
)

// Result is what a run measured. As JSON, durations are in seconds, milliseconds or microseconds as the names say.
type Result struct {
	Op          Op
	Servers     []string
	Connections int
	Depth       int
	SizeBytes   int
	Keys        int
	ReadRatio   float64
	Duration    time.Duration // that was measured
	Kinds       []Kind        // more than one for OpMixed and OpWatch
	Errors      map[zk.Code]uint64
	Processes   []Process
	BenchCPU    time.Duration // that this program used itself meanwhile
	Interrupted bool          // the run was cut short
	Leftover    string        // why nodes could not be removed, or ""
}

// Kind is what was measured of one kind of request.
type Kind struct {
	Name       string
	Operations uint64
	Latency    Latency
}

// Latency is a distribution.
type Latency struct {
	Min, Mean, P50, P90, P95, P99, P999, Max time.Duration
}

// Process is what one server used.
type Process struct {
	Pid            int
	CPU            time.Duration
	RSSBytes       int64 // at the end
	RSSBytesBefore int64 // when the measured phase began
	Err            string
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	if h.TotalCount() == 0 {
		return Latency{}
	}
	q := func(p float64) time.Duration { return time.Duration(h.ValueAtQuantile(p)) }
	return Latency{
		Min: time.Duration(h.Min()), Mean: time.Duration(h.Mean()), Max: time.Duration(h.Max()),
		P50: q(50), P90: q(90), P95: q(95), P99: q(99), P999: q(99.9),
	}
}

// Operations is the successful operations; with OpWatch the events, not the sets that cause them.
func (r *Result) Operations() (n uint64) {
	if r.Op == OpWatch {
		return r.Kinds[slotMain].Operations
	}
	for _, k := range r.Kinds {
		n += k.Operations
	}
	return n
}

// PerSecond is Operations in a second.
func (r *Result) PerSecond() float64 { return float64(r.Operations()) / r.Duration.Seconds() }

// Failed is the number of operations that failed.
func (r *Result) Failed() (n uint64) {
	for _, e := range r.Errors {
		n += e
	}
	return n
}

// perOp is a time divided by the operations, in microseconds.
func (r *Result) perOp(d time.Duration) float64 {
	if n := r.Operations(); n > 0 {
		return float64(d.Nanoseconds()) / 1e3 / float64(n)
	}
	return 0
}

// ServerCPU is what all servers used together.
func (r *Result) ServerCPU() (sum time.Duration) {
	for _, p := range r.Processes {
		sum += p.CPU
	}
	return sum
}

// WriteText prints the result for people.
func (r *Result) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s\n", r.shape(), strings.Join(r.Servers, ","))
	fmt.Fprintf(&b, "  %s op/s   %s operations in %.1f s   %s\n", grouped(uint64(r.PerSecond())), grouped(r.Operations()), r.Duration.Seconds(), r.failures())
	for _, k := range r.Kinds {
		l := k.Latency
		fmt.Fprintf(&b, "  %-8s p50 %s   p90 %s   p99 %s   p99.9 %s   max %s   mean %s", k.Name, ms(l.P50), ms(l.P90), ms(l.P99), ms(l.P999), ms(l.Max), ms(l.Mean))
		if len(r.Kinds) > 1 {
			fmt.Fprintf(&b, "   (%s)", grouped(k.Operations))
		}
		b.WriteByte('\n')
	}
	for _, p := range r.Processes {
		if p.Err != "" {
			fmt.Fprintf(&b, "  pid %-7d %s\n", p.Pid, p.Err)
			continue
		}
		fmt.Fprintf(&b, "  pid %-7d %.1f µs CPU/op   %.2f cores   %.1f MiB resident (%+.1f)\n", p.Pid, r.perOp(p.CPU),
			p.CPU.Seconds()/r.Duration.Seconds(), mib(p.RSSBytes), mib(p.RSSBytes-p.RSSBytesBefore))
	}
	if len(r.Processes) > 0 {
		fmt.Fprintf(&b, "  servers     %.1f µs CPU/op together\n", r.perOp(r.ServerCPU()))
	}
	fmt.Fprintf(&b, "  this load   %.1f µs CPU/op\n", r.perOp(r.BenchCPU))
	if r.Interrupted {
		b.WriteString("  interrupted: the figures are of the time until then\n")
	}
	if r.Leftover != "" {
		fmt.Fprintf(&b, "  nodes were left behind: %s\n", r.Leftover)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// shape is the load in words.
func (r *Result) shape() string {
	s := fmt.Sprintf("%s: %d connections", r.Op, r.Connections)
	switch r.Op {
	case OpConnect:
		return s
	case OpWatch:
		return fmt.Sprintf("%s watch one node, %d B", s, r.SizeBytes)
	}
	s += fmt.Sprintf(" × depth %d, %d B", r.Depth, r.SizeBytes)
	if r.Op != OpCreate {
		s += ", " + grouped(uint64(r.Keys)) + " keys"
	}
	if r.Op == OpMixed {
		s += fmt.Sprintf(", %.0f%% reads", 100*r.ReadRatio)
	}
	return s
}

func (r *Result) failures() string {
	if len(r.Errors) == 0 {
		return "no errors"
	}
	codes := make([]zk.Code, 0, len(r.Errors))
	for c := range r.Errors {
		codes = append(codes, c)
	}
	slices.SortFunc(codes, func(a, b zk.Code) int { return int(r.Errors[b]) - int(r.Errors[a]) })
	parts := make([]string, len(codes))
	for i, c := range codes {
		parts[i] = grouped(r.Errors[c]) + " " + c.String()
	}
	return "ERRORS: " + strings.Join(parts, ", ")
}

func ms(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f µs", float64(d)/1e3)
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.0f ms", float64(d)/1e6)
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// grouped is n with commas.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// MarshalJSON puts units into the names.
func (r *Result) MarshalJSON() ([]byte, error) {
	errs := make(map[string]uint64, len(r.Errors))
	for c, n := range r.Errors {
		errs[c.String()] = n
	}
	out := struct {
		Op                Op                `json:"op"`
		Servers           []string          `json:"servers"`
		Connections       int               `json:"connections"`
		Depth             int               `json:"depth"`
		SizeBytes         int               `json:"sizeBytes"`
		Keys              int               `json:"keys"`
		ReadRatio         float64           `json:"readRatio"`
		DurationSeconds   float64           `json:"durationSeconds"`
		Operations        uint64            `json:"operations"`
		PerSecond         float64           `json:"perSecond"`
		Failed            uint64            `json:"failed"`
		Errors            map[string]uint64 `json:"errors"`
		Kinds             []jsonKind        `json:"kinds"`
		Processes         []jsonProcess     `json:"processes,omitempty"`
		ServerCPUMicrosOp float64           `json:"serverCpuMicrosPerOp,omitempty"`
		BenchCPUMicrosOp  float64           `json:"benchCpuMicrosPerOp"`
		ServerCPUSeconds  float64           `json:"serverCpuSeconds,omitempty"`
		Interrupted       bool              `json:"interrupted"`
		Leftover          string            `json:"leftover,omitempty"`
	}{
		r.Op, r.Servers, r.Connections, r.Depth, r.SizeBytes, r.Keys, r.ReadRatio, r.Duration.Seconds(), r.Operations(), r.PerSecond(),
		r.Failed(), errs, nil, nil, r.perOp(r.ServerCPU()), r.perOp(r.BenchCPU), r.ServerCPU().Seconds(), r.Interrupted, r.Leftover,
	}
	for _, k := range r.Kinds {
		out.Kinds = append(out.Kinds, jsonKind{k.Name, k.Operations, jsonLatencyOf(k.Latency)})
	}
	for _, p := range r.Processes {
		out.Processes = append(out.Processes, jsonProcess{p.Pid, p.CPU.Seconds(), r.perOp(p.CPU), p.RSSBytes, p.RSSBytesBefore, p.Err})
	}
	return json.Marshal(out)
}

type jsonKind struct {
	Name       string      `json:"name"`
	Operations uint64      `json:"operations"`
	Latency    jsonLatency `json:"latencyMicros"`
}

type jsonProcess struct {
	Pid            int     `json:"pid"`
	CPUSeconds     float64 `json:"cpuSeconds"`
	CPUMicrosOp    float64 `json:"cpuMicrosPerOp"`
	RSSBytes       int64   `json:"rssBytes"`
	RSSBytesBefore int64   `json:"rssBytesBefore"`
	Err            string  `json:"error,omitempty"`
}

type jsonLatency struct {
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

func jsonLatencyOf(l Latency) jsonLatency {
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	return jsonLatency{us(l.Min), us(l.Mean), us(l.P50), us(l.P90), us(l.P95), us(l.P99), us(l.P999), us(l.Max)}
}
