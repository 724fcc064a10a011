package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"log/slog"

	"github.com/cespare/xxhash/v2"
)

// trace keeps the last events for people and a hash of all of them, in which two runs of the same seed must agree.
type trace struct {
	lines []traceLine // a ring
	next  int
	count uint64
	sum   hash.Hash64
	buf   []byte
	out   io.Writer        // every line as it happens; usually nil
	watch func(*traceLine) // likewise
}

// traceLine is formatted only when it is printed.
type traceLine struct {
	at     int64
	server uint16 // 0: of the simulation as a whole
	format string
	a, b   uint64
	c      uint64
	note   string
}

func newTrace(out io.Writer) *trace {
	return &trace{lines: make([]traceLine, traceLines), sum: xxhash.New(), out: out}
}

// add records an event; format takes a, b, c and then note, as far as it has verbs.
func (t *trace) add(l traceLine) {
	t.buf = binary.LittleEndian.AppendUint64(t.buf[:0], uint64(l.at))
	t.buf = append(t.buf, byte(l.server))
	t.buf = append(t.buf, l.format...)
	for _, v := range [...]uint64{l.a, l.b, l.c} {
		t.buf = binary.LittleEndian.AppendUint64(t.buf, v)
	}
	t.buf = append(t.buf, l.note...)
	_, _ = t.sum.Write(t.buf) // a hash never fails
	t.lines[t.next] = l
	t.next = (t.next + 1) % len(t.lines)
	t.count++
	t.show(&l)
}

// watched says whether anybody looks at the lines as they happen.
func (t *trace) watched() bool { return t.out != nil || t.watch != nil }

// show is for whoever looks on; what is shown only is not part of the hash.
func (t *trace) show(l *traceLine) {
	if t.out != nil {
		fmt.Fprintln(t.out, l.String())
	}
	if t.watch != nil {
		t.watch(l)
	}
}

// mix takes bytes into the hash that no line shows.
func (t *trace) mix(b []byte) { _, _ = t.sum.Write(b) }

// tail is the last lines, oldest first.
func (t *trace) tail() []string {
	var out []string
	for i := range t.lines {
		if l := &t.lines[(t.next+i)%len(t.lines)]; l.format != "" {
			out = append(out, l.String())
		}
	}
	return out
}

// String is a line as printed.
func (l *traceLine) String() string {
	who := " -"
	if l.server != 0 {
		who = fmt.Sprintf("s%d", l.server)
	}
	args := []any{l.a, l.b, l.c}
	if l.note != "" {
		args = append(args, l.note)
	}
	verbs := 0
	for i := 0; i+1 < len(l.format); i++ {
		if l.format[i] == '%' {
			verbs++
		}
	}
	if l.note != "" && verbs < 4 { // the note goes to the last verb
		args = append(args[:max(0, verbs-1)], l.note)
	}
	return fmt.Sprintf("%10.3fms %s %s", float64(l.at)/1000, who, fmt.Sprintf(l.format, args[:min(verbs, len(args))]...))
}

// logHandler turns a node's log records into trace lines, and its errors into failures: in a simulation nothing happens that an
// operator would have to look into, but for what the simulator itself broke.
type logHandler struct {
	p *process
}

func (h logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (h logHandler) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h logHandler) WithGroup(string) slog.Handler                { return h }

func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	h.p.note("log: %s", text)
	if r.Level >= slog.LevelError && !h.p.expectError && !h.p.diskToBlame() {
		h.p.sim.fail("the node of server %d logs an error: %s", h.p.srv.id, text)
	}
	return nil
}
