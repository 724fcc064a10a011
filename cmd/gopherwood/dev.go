package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

const (
	// maxDevServers bounds dev: more than this on one machine teaches nothing.
	maxDevServers = 9
	// devRestart is how long dev waits before it starts a server again that has died.
	devRestart = 3 * time.Second
	// devGrace is how long dev waits for its servers to stop before it kills them.
	devGrace = handoverTimeout + drainTimeout + 5*time.Second
)

// devFlags is what dev was told.
type devFlags struct {
	servers int
	port    int
	dataDir string
	level   string
}

func newDevCmd() *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run three servers on this machine",
		Long: `Run an ensemble on this machine, each server a process of its own: to try things, to develop against, to kill servers and watch.

It prints the connection string and the servers' process ids. Ctrl-C stops all. A server that dies is started again after a few seconds.
Without --data-dir the data are in a temporary directory that is removed in the end.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	fs.IntVar(&f.servers, "servers", 3, "how many")
	fs.IntVar(&f.port, "client-port", 0, "port of the first server; the others follow (default: 2181, or free ones if that is in use)")
	fs.StringVar(&f.dataDir, "data-dir", "", "directory that keeps the data (default: a temporary one)")
	fs.StringVar(&f.level, "log-level", "warn", "of the servers: debug, info, warn or error")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return cmd
}

// devEnsemble is the servers of dev.
type devEnsemble struct {
	out    *prefixer
	binary string
	args   [][]string // of each server
	addrs  []string
	ctx    context.Context
	wg     sync.WaitGroup
}

func (f *devFlags) run(cmd *cobra.Command) error {
	if f.servers < 1 || f.servers > maxDevServers {
		return usagef("--servers %d: give a number from 1 to %d", f.servers, maxDevServers)
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	dir, remove, err := f.dir()
	if err != nil {
		return err
	}
	defer remove()
	ports, err := f.ports()
	if err != nil {
		return err
	}
	// The children are told to stop when this thread ends (dev_linux.go), so it must not end before the command.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := &devEnsemble{out: &prefixer{w: cmd.OutOrStdout()}, binary: binary, ctx: ctx}
	for i := range ports {
		e.args = append(e.args, f.serveArgs(dir, ports, i))
		e.addrs = append(e.addrs, net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[i].client)))
	}
	e.out.printf("data in %s; Ctrl-C stops all\n", dir)
	for i := range e.args {
		c, err := e.start(i)
		if err != nil {
			return err
		}
		e.out.printf("server %d is process %d, clients on %s, admin on http://127.0.0.1:%d\n", i+1, c.Process.Pid, e.addrs[i], ports[i].admin)
		e.wg.Go(func() { e.keep(i, c) })
	}
	e.wg.Go(e.welcome)
	e.wg.Wait()
	return nil
}

// dir is where the data go, and what is to be done with it in the end.
func (f *devFlags) dir() (dir string, remove func(), err error) {
	if f.dataDir != "" {
		dir, err = filepath.Abs(f.dataDir)
		if err == nil {
			err = os.MkdirAll(dir, 0o755)
		}
		if err != nil {
			return "", nil, usagef("--data-dir: %w", err)
		}
		return dir, func() {}, nil
	}
	dir, err = os.MkdirTemp("", "gopherwood-dev-")
	if err != nil {
		return "", nil, err
	}
	return dir, func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "gopherwood: the data could not be removed:", err)
		}
	}, nil
}

// devPorts are one server's.
type devPorts struct{ client, peer, admin int }

// ports are what was asked for, or the usual ones, or free ones.
func (f *devFlags) ports() ([]devPorts, error) {
	first := f.port
	if first == 0 {
		first = defaultClientPort
	}
	all := make([]devPorts, f.servers)
	free := true
	for i := range all {
		all[i] = devPorts{client: first + i, peer: first + 10_000 + i, admin: defaultAdminPort + i}
		free = free && isFree(all[i].client)
	}
	if !free && f.port != 0 {
		return nil, fmt.Errorf("not all ports from %d to %d are free; give another --client-port", first, first+f.servers-1)
	}
	for i := range all {
		for _, p := range []*int{&all[i].client, &all[i].peer, &all[i].admin} {
			if free && isFree(*p) {
				continue
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, err
			}
			*p = l.Addr().(*net.TCPAddr).Port
			defer l.Close() // all are held until all are chosen, so that none is chosen twice
		}
	}
	return all, nil
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// serveArgs is the command line of server i.
func (f *devFlags) serveArgs(dir string, ports []devPorts, i int) []string {
	var peers []string
	for k, p := range ports {
		peers = append(peers, fmt.Sprintf("%d=127.0.0.1:%d;%d", k+1, p.peer, p.client))
	}
	args := []string{"serve", "--id", strconv.Itoa(i + 1), "--data-dir", filepath.Join(dir, "server-"+strconv.Itoa(i+1)),
		"--client-address", "127.0.0.1", "--client-port", strconv.Itoa(ports[i].client),
		"--admin-address", "127.0.0.1", "--admin-port", strconv.Itoa(ports[i].admin), "--log-level", f.level}
	if len(ports) > 1 {
		args = append(args, "--peers", strings.Join(peers, ","))
	}
	return args
}

// start starts server i. It is in this process's group, so that Ctrl-C reaches it too; the end of ctx reaches it otherwise.
func (e *devEnsemble) start(i int) (*exec.Cmd, error) {
	c := exec.CommandContext(e.ctx, e.binary, e.args[i]...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = devGrace
	dieWithParent(c)
	lines := &lineWriter{out: e.out, name: strconv.Itoa(i + 1)}
	c.Stdout, c.Stderr = lines, lines
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("server %d: %w", i+1, err)
	}
	return c, nil
}

// keep waits for server i, and starts it again when it dies.
func (e *devEnsemble) keep(i int, c *exec.Cmd) {
	for {
		began := time.Now()
		err := c.Wait()
		if e.ctx.Err() != nil {
			return
		}
		how := "ended by itself"
		if err != nil {
			how = "ended: " + err.Error()
		}
		if code := c.ProcessState.ExitCode(); code == exitUsage || (code > 0 && time.Since(began) < devRestart) {
			e.out.printf("server %d %s; it is not started again\n", i+1, how)
			return
		}
		e.out.printf("server %d %s; it is started again in %v\n", i+1, how, devRestart)
		select {
		case <-time.After(devRestart):
		case <-e.ctx.Done():
			return
		}
		if c, err = e.start(i); err != nil {
			e.out.printf("server %d could not be started again: %v\n", i+1, err)
			return
		}
		e.out.printf("server %d is back, process %d\n", i+1, c.Process.Pid)
	}
}

// welcome says how to reach the ensemble, once it has a leader.
func (e *devEnsemble) welcome() {
	connect := strings.Join(e.addrs, ",")
	for {
		for i, addr := range e.addrs {
			if mode := serverMode(e.ctx, addr); mode == "leader" || mode == "standalone" {
				e.out.printf("ready: server %d leads\n  export %s=%s\n", i+1, serverVariable, connect)
				return
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-e.ctx.Done():
			return
		}
	}
}

// serverMode asks a server for its role; "" if it does not say.
func serverMode(ctx context.Context, addr string) string {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return ""
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return ""
	}
	if _, err := io.WriteString(c, "srvr"); err != nil {
		return ""
	}
	text, err := io.ReadAll(io.LimitReader(c, 4096))
	if err != nil {
		return ""
	}
	_, mode, _ := strings.Cut(string(text), "Mode: ")
	mode, _, _ = strings.Cut(mode, "\n")
	return mode
}

// prefixer writes whole lines of several processes to one place.
type prefixer struct {
	mu sync.Mutex
	w  io.Writer
}

func (p *prefixer) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, format, args...)
}

// lineWriter passes on whole lines of one process, with its name in front. Only one goroutine writes to it.
type lineWriter struct {
	out  *prefixer
	name string
	part []byte // of a line that is not whole yet
}

// maxLine bounds what is kept of a line that does not end.
const maxLine = 64 << 10

// Write implements io.Writer.
func (l *lineWriter) Write(b []byte) (int, error) {
	l.part = append(l.part, b...)
	for {
		end := bytes.IndexByte(l.part, '\n')
		next := end + 1
		if end < 0 {
			if len(l.part) < maxLine {
				return len(b), nil
			}
			end, next = len(l.part), len(l.part)
		}
		l.out.printf("%s | %s\n", l.name, l.part[:end])
		l.part = append(l.part[:0], l.part[next:]...)
	}
}
