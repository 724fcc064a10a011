package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"gopherwood/internal/vfs"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

const (
	echoBytes   = 150     // about what a set of 100 B takes on the wire
	appendBytes = 4 << 10 // the smallest write of a log
	appendFile  = 4 << 20 // written from front to back, again and again
	floorRounds = 10      // the three measurements take turns, so that a slow spell hits them all
	floorSet    = 100     // bytes
)

// FloorConfig says what Floor is to measure.
type FloorConfig struct {
	Dir      string        // where to append; on the filesystem that the servers use
	Duration time.Duration // of each measurement, default 3 s
	Servers  []string      // for one client's writes beside it; empty leaves them out
	// EchoCommand starts a program that calls ServeEcho: a server in a process of its own, as real ones are.
	EchoCommand []string
}

// FloorResult is what Floor measured.
type FloorResult struct {
	Echo    Latency // round trip to a process that sends back what it gets, over loopback TCP
	Append  Latency // a write of 4 KiB into a zero-filled file, durable when it returns
	Direct  bool    // the append went past the page cache (O_DIRECT|O_DSYNC); otherwise a write and an fdatasync
	Write   Latency // one client's set of 100 B, with nothing else going on; zero without servers
	Dir     string
	Servers []string
}

// Sum is the median round trip plus the median append.
func (r *FloorResult) Sum() time.Duration { return r.Echo.P50 + r.Append.P50 }

// Ratio is the median write in terms of Sum.
func (r *FloorResult) Ratio() float64 { return float64(r.Write.P50) / float64(r.Sum()) }

// Floor measures what the machine itself takes for a round trip and for a durable write, and one client's writes at a server.
func Floor(ctx context.Context, cfg FloorConfig) (*FloorResult, error) {
	if cfg.Duration == 0 {
		cfg.Duration = 3 * time.Second
	}
	e, err := startEcho(ctx, cfg.EchoCommand)
	if err != nil {
		return nil, err
	}
	defer e.stop()
	a, err := openAppender(cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer a.close()
	probes := []*probe{newProbe(e.roundTrip), newProbe(a.append)}
	if len(cfg.Servers) > 0 {
		s, err := startSetter(ctx, cfg.Servers[0])
		if err != nil {
			return nil, err
		}
		defer s.close()
		probes = append(probes, newProbe(s.set))
	}
	for range floorRounds {
		for _, p := range probes {
			if err := p.run(ctx, cfg.Duration/floorRounds); err != nil {
				return nil, err
			}
		}
	}
	res := &FloorResult{Echo: latencyOf(probes[0].hist), Append: latencyOf(probes[1].hist), Direct: a.direct, Dir: cfg.Dir, Servers: cfg.Servers}
	if len(probes) > 2 {
		res.Write = latencyOf(probes[2].hist)
	}
	return res, nil
}

// probe measures one thing over and over.
type probe struct {
	once func() error
	hist *hdrhistogram.Histogram
}

func newProbe(once func() error) *probe {
	return &probe{once: once, hist: hdrhistogram.New(1, int64(maxLatency), latencyDigits)}
}

func (p *probe) run(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); ; {
		start := time.Now()
		if start.After(end) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.once(); err != nil {
			return err
		}
		_ = p.hist.RecordValue(min(int64(time.Since(start)), int64(maxLatency)))
	}
}

// echo is the other process and a connection to it.
type echo struct {
	cmd   *exec.Cmd
	stdin io.Closer
	nc    net.Conn
	buf   []byte
}

func startEcho(ctx context.Context, command []string) (*echo, error) {
	if len(command) == 0 {
		return nil, errors.New("bench: no command for the echo server")
	}
	e := &echo{cmd: exec.Command(command[0], command[1:]...), buf: make([]byte, echoBytes)}
	stdin, err := e.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	e.stdin = stdin
	stdout, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: echo server: %w", err)
	}
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		e.nc, err = new(net.Dialer).DialContext(ctx, "tcp", strings.TrimSpace(addr))
	}
	if err != nil {
		e.stop()
		return nil, fmt.Errorf("bench: echo server: %w", err)
	}
	return e, nil
}

func (e *echo) roundTrip() error {
	if _, err := e.nc.Write(e.buf); err != nil {
		return err
	}
	_, err := io.ReadFull(e.nc, e.buf)
	return err
}

func (e *echo) stop() {
	if e.nc != nil {
		_ = e.nc.Close()
	}
	_ = e.stdin.Close() // ServeEcho ends with it
	_ = e.cmd.Wait()
}

// ServeEcho is the echo server's main: it prints its address to out and sends back what it gets until in ends.
func ServeEcho(in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		_ = l.Close()
	}()
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	for {
		nc, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer nc.Close()
			buf := make([]byte, 4<<10)
			for {
				n, err := nc.Read(buf)
				if err != nil {
					return
				}
				if _, err := nc.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
	}
}

// appender writes 4 KiB after 4 KiB as a log does.
type appender struct {
	f      vfs.File
	name   string
	direct bool
	buf    []byte
	off    int64
}

func openAppender(dir string) (*appender, error) {
	fs := vfs.OS()
	a := &appender{name: filepath.Join(dir, fmt.Sprintf("gopherwood-bench-%d.tmp", os.Getpid()))}
	var err error
	if a.f, a.direct, err = fs.OpenLog(a.name, true); err != nil {
		return nil, fmt.Errorf("bench: append in %s: %w", dir, err)
	}
	zeros := vfs.AlignedBuffer(1 << 20)
	for off := int64(0); off < appendFile; off += int64(len(zeros)) {
		if _, err = a.f.WriteAt(zeros, off); err != nil {
			break
		}
	}
	if err == nil {
		err = a.f.Sync()
	}
	if err != nil {
		a.close()
		return nil, fmt.Errorf("bench: append in %s: %w", dir, err)
	}
	a.buf = vfs.AlignedBuffer(appendBytes)
	return a, nil
}

func (a *appender) append() error {
	a.buf[0]++ // never what is there already
	if _, err := a.f.WriteAt(a.buf, a.off); err != nil {
		return err
	}
	a.off = (a.off + appendBytes) % appendFile
	if a.direct {
		return nil
	}
	return a.f.Sync()
}

func (a *appender) close() {
	_ = a.f.Close()
	_ = vfs.OS().Remove(a.name)
}

// setter is one client alone.
type setter struct {
	c    *conn
	path string
	req  wire.SetDataRequest
}

func startSetter(ctx context.Context, server string) (*setter, error) {
	c, err := dial(ctx, server, minBufferBytes)
	if err != nil {
		return nil, err
	}
	s := &setter{c: c, path: fmt.Sprintf("/gopherwood-bench-floor-%d", os.Getpid())}
	s.req = wire.SetDataRequest{Path: s.path, Data: make([]byte, floorSet), Version: -1}
	code, _, err := c.call(zk.OpCreate, &wire.CreateRequest{Path: s.path, ACL: zk.OpenACL(), Flags: zk.ModeEphemeral})
	if err == nil {
		err = code.Err()
	}
	if err != nil {
		c.abort()
		return nil, fmt.Errorf("bench: create %s: %w", s.path, err)
	}
	return s, nil
}

func (s *setter) set() error {
	code, _, err := s.c.call(zk.OpSetData, &s.req)
	if err == nil {
		err = code.Err()
	}
	return err
}

func (s *setter) close() { _ = s.c.close() }

// WriteText prints the result for people.
func (r *FloorResult) WriteText(w io.Writer) error {
	var b strings.Builder
	how := "O_DIRECT|O_DSYNC"
	if !r.Direct {
		how = "write and fdatasync"
	}
	line := func(what string, l Latency) {
		fmt.Fprintf(&b, "%-58s %9s   (p99 %s)\n", what, ms(l.P50), ms(l.P99))
	}
	line(fmt.Sprintf("loopback round trip, echo of %d B", echoBytes), r.Echo)
	line(fmt.Sprintf("append of 4 KiB, %s, in %s", how, r.Dir), r.Append)
	fmt.Fprintf(&b, "%-58s %9s\n", "the floor: both", ms(r.Sum()))
	if len(r.Servers) > 0 {
		line(fmt.Sprintf("one client's set of %d B at %s", floorSet, r.Servers[0]), r.Write)
		fmt.Fprintf(&b, "%-58s %8.2f×\n", "times the floor", r.Ratio())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// MarshalJSON puts units into the names.
func (r *FloorResult) MarshalJSON() ([]byte, error) {
	out := struct {
		Echo   jsonLatency  `json:"echoMicros"`
		Append jsonLatency  `json:"appendMicros"`
		Direct bool         `json:"direct"`
		Floor  float64      `json:"floorMicros"`
		Write  *jsonLatency `json:"writeMicros,omitempty"`
		Ratio  float64      `json:"timesFloor,omitempty"`
	}{Echo: jsonLatencyOf(r.Echo), Append: jsonLatencyOf(r.Append), Direct: r.Direct, Floor: float64(r.Sum().Nanoseconds()) / 1e3}
	if len(r.Servers) > 0 {
		l := jsonLatencyOf(r.Write)
		out.Write, out.Ratio = &l, r.Ratio()
	}
	return json.Marshal(out)
}
