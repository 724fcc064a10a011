// Command gopherwood-sim runs whole ensembles from seeds, in simulated time over simulated disks and networks, and checks what Gopherwood promises
// after every event (internal/sim).
//
//	gopherwood-sim -seed 4711                          one seed: every event, the same each time to the last byte
//	gopherwood-sim -seeds 10000 -j 4                   many, in four processes
//	gopherwood-sim -seeds 1000 -mode beyond            more faults than an ensemble can bear: it may stop, and may not lie
//	gopherwood-sim -seed 4711 -shrink -o bug.sim       a failing seed, shortened to what matters, as a script
//	gopherwood-sim -script bug.sim -svg bug.svg        a script, as a picture of servers over time
//
// It ends with 0 if nothing is broken, 1 if something is, and 2 if it was asked for something that there is not.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"gopherwood/internal/sim"
)

const (
	exitOK        = 0
	exitViolation = 1
	exitUsage     = 2
)

func main() {
	debug.SetGCPercent(400) // a simulation is garbage, mostly
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// command is what was asked for.
type command struct {
	o                sim.Options
	seed             seedFlag
	seeds, first     uint64
	stride, jobs     uint64
	limit            time.Duration
	shrink, keep     bool
	quiet, asJSON    bool
	script, svg, out string
	from, to         float64 // seconds
	runs             int
	args             []string // as given, for the workers
	stdout, stderr   io.Writer
}

// seedFlag is a number that may be missing.
type seedFlag struct {
	n   uint64
	set bool
}

func (f *seedFlag) String() string { return fmt.Sprint(f.n) }

func (f *seedFlag) Set(s string) error {
	f.set = true
	_, err := fmt.Sscan(s, &f.n)
	return err
}

func run(args []string, stdout, stderr io.Writer) int {
	c := &command{args: args, stdout: stdout, stderr: stderr}
	if err := c.parse(args); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(stderr, "gopherwood-sim: %v\n", err)
		}
		return exitUsage
	}
	code, err := c.do()
	if err != nil {
		fmt.Fprintf(stderr, "gopherwood-sim: %v\n", err)
		return exitUsage
	}
	return code
}

func (c *command) parse(args []string) error {
	f := flag.NewFlagSet("gopherwood-sim", flag.ContinueOnError)
	f.SetOutput(c.stderr)
	var mode, profile, plant string
	f.Var(&c.seed, "seed", "run this `seed` and print every event")
	f.Uint64Var(&c.seeds, "seeds", 100, "run so many seeds")
	f.Uint64Var(&c.first, "start", 1, "the first of them")
	f.Uint64Var(&c.stride, "stride", 1, "run every n-th of them only")
	f.Uint64Var(&c.jobs, "j", 1, "run them in so many processes")
	f.DurationVar(&c.limit, "for", 0, "run no more seeds after that `time`, as 3m; 0: all")
	f.BoolVar(&c.keep, "keep", false, "go on after a violation")
	f.BoolVar(&c.quiet, "quiet", false, "print results, not events")
	f.BoolVar(&c.asJSON, "json", false, "print one line of JSON for every seed")
	f.StringVar(&mode, "mode", "safe", "safe: within the fault budget, then healed and whole again; beyond: without a budget, where it may stop and may not lie")
	f.StringVar(&profile, "profile", "", "what may go wrong: everything if empty, power (cuts), calm (nothing)")
	f.StringVar(&c.o.Workload, "workload", "", strings.Join(sim.Workloads(), " or ")+"; drawn from the seed if empty")
	f.IntVar(&c.o.Servers, "servers", 0, "so many servers; drawn from the seed if 0")
	f.StringVar(&c.script, "script", "", "run what this `file` spells out instead of a seed")
	f.BoolVar(&c.shrink, "shrink", false, "shorten a failing seed or script to what matters")
	f.IntVar(&c.runs, "shrink-runs", 400, "with so many runs at most")
	f.StringVar(&c.out, "o", "", "write the shortened script to this `file`, not to the standard output")
	f.StringVar(&c.svg, "svg", "", "draw the run (the shortened one, with -shrink) into this `file`")
	f.Float64Var(&c.from, "from", 0, "draw from this `second` on")
	f.Float64Var(&c.to, "to", 0, "draw up to this `second`; to the end if 0")
	f.StringVar(&plant, "planted", "", plantedUsage)
	if err := f.Parse(args); err != nil {
		return err
	}
	c.o.Mode, c.o.Profile = sim.Mode(mode), sim.Profile(profile)
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("there are flags only, and no %q; see -help", f.Arg(0))
	case c.stride < 1 || c.jobs < 1 || c.jobs > maxJobs:
		return fmt.Errorf("-stride %d -j %d: at least 1, and at most %d processes", c.stride, c.jobs, maxJobs)
	case c.script != "" && c.seed.set:
		return errors.New("-seed or -script, not both: a script has its seed in it")
	case !c.one() && (c.shrink || c.svg != ""):
		return errors.New("-shrink and -svg are for one run: name it with -seed or -script")
	}
	if err := plantBug(plant); err != nil {
		return err
	}
	return c.o.Validate()
}

// one says whether a single run is asked for.
func (c *command) one() bool { return c.seed.set || c.script != "" }

func (c *command) do() (int, error) {
	if !c.one() {
		return c.many()
	}
	c.o.Seed = c.seed.n
	if c.script != "" {
		f, err := os.Open(c.script)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		if c.o.Script, err = sim.ReadScript(f); err != nil {
			return 0, fmt.Errorf("%s: %w", c.script, err)
		}
	}
	switch {
	case c.shrink:
		return c.shorten()
	case c.svg != "":
		return c.draw()
	}
	out := bufio.NewWriterSize(c.stdout, 1<<20)
	if !c.quiet {
		c.o.Trace = out
	}
	r := sim.Run(c.o)
	if r.Violation != "" && !c.quiet {
		r.Trace = nil // it was printed as it happened
	}
	fmt.Fprintln(out, r)
	return code(r), out.Flush()
}

func code(r *sim.Result) int {
	if r.Violation != "" {
		return exitViolation
	}
	return exitOK
}

// shorten shrinks a failing run and writes the script.
func (c *command) shorten() (int, error) {
	k := &sim.Shrinking{Options: c.o, Runs: c.runs, Progress: func(run int, s *sim.Script, r *sim.Result) {
		fmt.Fprintf(c.stderr, "\rrun %d: %s, %.3f s \033[K", run, s.Size(), float64(r.SimUs)/1e6)
	}}
	s, r, err := k.Shrink()
	fmt.Fprintln(c.stderr)
	if err != nil {
		return 0, err
	}
	if c.out == "" {
		fmt.Fprint(c.stdout, s)
	} else if err := os.WriteFile(c.out, []byte(s.String()), 0o644); err != nil {
		return 0, err
	}
	if c.svg != "" {
		c.o.Script = s
		return c.draw()
	}
	return code(r), nil
}

func (c *command) draw() (code int, err error) {
	f, err := os.Create(c.svg)
	if err != nil {
		return 0, err
	}
	r, err := sim.Picture(f, c.o, int64(c.from*1e6), int64(c.to*1e6))
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(r.String(), "\n")
	fmt.Fprintln(c.stdout, first)
	if r.Violation != "" {
		code = exitViolation
	}
	return code, nil
}
