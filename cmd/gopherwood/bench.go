package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gopherwood/client"
	"gopherwood/internal/bench"
)

// benchFlags is the load that the command line asks for.
type benchFlags struct {
	server      string
	connections int
	depth       int
	sizeBytes   int
	keys        int
	readRatio   float64
	duration    time.Duration
	warmup      time.Duration
	pids        []int
	procs       int
	json        bool
}

func newBenchCmd() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench create|set|get|mixed|watch|connect",
		Short: "Load a server and measure it",
		Long: `Load a server and measure it: operations per second, latency, and what the servers' processes (--pid) spend on an operation.

create    new nodes                          mixed     get and set by --read-ratio
set, get  random ones of --keys nodes        watch     one set told to all connections, which read and watch again
connect   open and close a session

The load is closed: each connection keeps --depth requests in flight. Connections are dealt to the servers in turn. The nodes made are removed
at the end, also after Ctrl-C. The default of one processor for the load itself leaves the others to servers on the same machine.

Exit codes: 0 done, 1 some operations failed, 2 wrong usage, 8 cannot connect.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, bench.Op(args[0])) },
	}
	fs := cmd.Flags()
	addBenchServer(cmd, &f.server)
	fs.IntVar(&f.connections, "connections", 64, "connections")
	fs.IntVar(&f.depth, "depth", 1, "requests in flight on each connection")
	fs.IntVar(&f.sizeBytes, "size", 100, "bytes of data in a node")
	fs.IntVar(&f.keys, "keys", 1000, "nodes for set, get and mixed")
	fs.Float64Var(&f.readRatio, "read-ratio", 0.9, "share of gets in mixed, 0 to 1")
	fs.DurationVar(&f.duration, "duration", 10*time.Second, "time that is measured")
	fs.DurationVar(&f.warmup, "warmup", 2*time.Second, "time before that is not")
	fs.IntSliceVar(&f.pids, "pid", nil, "processes of the servers, for CPU per operation and memory")
	fs.IntVar(&f.procs, "procs", 1, "processors that the load may use; 0 for all")
	fs.BoolVar(&f.json, "json", false, "print JSON")
	cmd.AddCommand(newFloorCmd(), newEchoCmd())
	return cmd
}

func addBenchServer(cmd *cobra.Command, server *string) {
	from := os.Getenv(serverVariable)
	if from == "" {
		from = defaultServer
	}
	cmd.Flags().StringVar(server, "server", from, "servers, as host:port,host:port[/chroot]; default from "+serverVariable)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
}

func (f *benchFlags) run(cmd *cobra.Command, op bench.Op) error {
	servers, root, err := client.ParseServers(f.server)
	if err != nil {
		return usageError{err}
	}
	cfg := bench.Config{
		Op: op, Servers: servers, Root: root, Connections: f.connections, Depth: f.depth, SizeBytes: f.sizeBytes, Keys: f.keys,
		ReadRatio: f.readRatio, Duration: f.duration, Warmup: f.warmup, Pids: f.pids,
	}
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	if f.procs > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(f.procs))
	}
	progress := newProgress(cmd.ErrOrStderr())
	if progress != nil {
		cfg.Progress = progress.show
	}
	ctx, cancel := until(cmd.Context())
	defer cancel()
	res, err := bench.Run(ctx, cfg)
	if progress != nil {
		progress.clear()
	}
	if err != nil {
		return err
	}
	if f.json {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(res)
	} else {
		err = res.WriteText(cmd.OutOrStdout())
	}
	if err == nil && res.Failed() > 0 {
		err = fmt.Errorf("%d operations failed", res.Failed())
	}
	return err
}

// progress is a line that is overwritten, on a terminal.
type progress struct {
	w     io.Writer
	width int // of the line now
}

// newProgress is nil if nobody is looking.
func newProgress(w io.Writer) *progress {
	if !isTerminal(w) {
		return nil
	}
	return &progress{w: w}
}

func (p *progress) show(s bench.Progress) {
	line := progressLine(s)
	fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-len([]rune(line)))))
	p.width = len([]rune(line))
}

func (p *progress) clear() {
	if p.width > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.width))
	}
}

func progressLine(s bench.Progress) string {
	line := fmt.Sprintf("%s %.0f s", s.Phase, s.Elapsed.Seconds())
	if s.Of > 0 {
		line = fmt.Sprintf("%s %.0f of %.0f s", s.Phase, s.Elapsed.Seconds(), s.Of.Seconds())
	}
	if s.Operations+s.Errors > 0 && s.Of > 0 {
		line += fmt.Sprintf("   %.0f op/s   p50 %v   p99 %v", float64(s.Operations)/s.Elapsed.Seconds(), s.P50.Round(time.Microsecond), s.P99.Round(time.Microsecond))
	}
	if s.Errors > 0 {
		line += fmt.Sprintf("   %d errors", s.Errors)
	}
	return line
}

// newFloorCmd is bench floor.
func newFloorCmd() *cobra.Command {
	var server, dir string
	var duration time.Duration
	var asJSON, alone bool
	cmd := &cobra.Command{
		Use:   "floor",
		Short: "Measure what no server can be faster than: a round trip and a synced append",
		Long: `Measure what no server can be faster than, and one client's writes beside it.

The three take turns: a loopback round trip to a process that sends back what it gets; an append of 4 KiB to a zero-filled file in --dir
that is on the disk when it returns; a set by one client alone at the first server.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			cfg := bench.FloorConfig{Dir: dir, Duration: duration, EchoCommand: []string{self, "bench", "echo"}}
			if !alone {
				if cfg.Servers, _, err = client.ParseServers(server); err != nil {
					return usageError{err}
				}
			}
			ctx, cancel := until(cmd.Context())
			defer cancel()
			res, err := bench.Floor(ctx, cfg)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(res)
			}
			return res.WriteText(cmd.OutOrStdout())
		},
	}
	addBenchServer(cmd, &server)
	cmd.Flags().StringVar(&dir, "dir", ".", "where to append: on the servers' filesystem")
	cmd.Flags().DurationVar(&duration, "duration", 3*time.Second, "time for each of the three")
	cmd.Flags().BoolVar(&alone, "no-server", false, "leave the client's writes out")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// newEchoCmd is the process that bench floor makes its round trips to.
func newEchoCmd() *cobra.Command {
	return &cobra.Command{
		Use:    "echo",
		Short:  "Send back what comes, until standard input ends",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return bench.ServeEcho(cmd.InOrStdin(), cmd.OutOrStdout()) },
	}
}
