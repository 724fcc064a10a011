// Package stage sets up masters and what they need as processes on this machine, for the programs that show and measure them. It builds the binaries, picks
// ports on the loopback address, and ends every process that it has started.
package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"gopherwood/examples/fsmaster/fsclient"
)

// Session is the timeout of the masters' sessions: the least that ZooKeeper grants with its usual tickTime of 2 s.
const Session = 4 * time.Second

// readyWithin is how long something may take to come up.
const readyWithin = 2 * time.Minute

// Stage is a directory, binaries and processes.
type Stage struct {
	Dir       string
	ZooKeeper string // the servers, once StartZooKeeper has been called, or somebody else's

	gopherwood, fsmaster string

	mu    sync.Mutex
	procs []*Proc
}

// New builds the binaries. It is called in the module's directory or below it.
func New(dir string) (*Stage, error) {
	s := &Stage{Dir: dir, gopherwood: filepath.Join(dir, "gopherwood"), fsmaster: filepath.Join(dir, "fsmaster")}
	for _, b := range [][2]string{{s.gopherwood, "gopherwood/cmd/gopherwood"}, {s.fsmaster, "gopherwood/examples/fsmaster"}} {
		if out, err := exec.Command("go", "build", "-o", b[0], b[1]).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w: %s", b[1], err, out)
		}
	}
	return s, nil
}

// Proc is a process.
type Proc struct {
	Name string
	Addr string // of a master: where it serves
	Dir  string // of a raft master
	args []string
	bin  string
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan struct{}
}

// start starts a process with those arguments, or again with the same.
func (s *Stage) start(p *Proc) error {
	p.cmd = exec.Command(p.bin, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for this program, which ends them in order
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait() // how it ended does not matter
		close(done)
	}(p.cmd, p.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.procs = append(s.procs, p)
	return nil
}

// Restart starts a process that has ended again.
func (s *Stage) Restart(p *Proc) error { return s.start(p) }

// Kill ends a process at once, kill -9, and waits until it is gone.
func (p *Proc) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// Terminate ends a process in good order.
func (p *Proc) Terminate() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.Kill()
	}
}

// Pause and Resume stop a process in its tracks, and let it go on.
func (p *Proc) Pause() error  { return p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *Proc) Resume() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

// Log is what the process has written, its end.
func (p *Proc) Log() string {
	text := p.log.String()
	return text[max(0, len(text)-4000):]
}

// Close ends all processes.
func (s *Stage) Close() {
	s.mu.Lock()
	procs := s.procs
	s.procs = nil
	s.mu.Unlock()
	for _, p := range procs {
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
		p.Kill()
	}
}

// ports returns n addresses that were free a moment ago.
func ports(n int) ([]string, error) {
	var all []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all, nil
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func numbered(addrs []string) string {
	var list []string
	for i, a := range addrs {
		list = append(list, fmt.Sprintf("%d=%s", i+1, a))
	}
	return strings.Join(list, ",")
}

// StartZooKeeper starts n Gopherwood servers as the ZooKeeper of --ha=zookeeper.
func (s *Stage) StartZooKeeper(ctx context.Context, n int) error {
	clients, err := ports(n)
	if err != nil {
		return err
	}
	peers, err := ports(n)
	if err != nil {
		return err
	}
	for i := range n {
		p := &Proc{Name: fmt.Sprintf("zookeeper %d", i+1), bin: s.gopherwood}
		p.args = []string{"serve", "--client-port", port(clients[i]), "--data-dir", filepath.Join(s.Dir, fmt.Sprintf("zk%d", i+1)), "--admin-port", "0"}
		if n > 1 {
			p.args = append(p.args, "--id", fmt.Sprint(i+1), "--peers", numbered(peers))
		}
		if err := s.start(p); err != nil {
			return err
		}
	}
	s.ZooKeeper = strings.Join(clients, ",")
	out, err := exec.CommandContext(ctx, s.gopherwood, "create", "/stage", "x", "--server", s.ZooKeeper, "--timeout", "60s").CombinedOutput()
	if err != nil {
		return fmt.Errorf("the ZooKeeper servers do not come up: %w: %s", err, out)
	}
	return nil
}

// Masters are the masters of one kind.
type Masters struct {
	HA     string
	Procs  []*Proc
	Shared string // of --ha=zookeeper: the directory with the journal
	stage  *Stage
}

// Addrs are where they serve.
func (m *Masters) Addrs() (all []string) {
	for _, p := range m.Procs {
		all = append(all, p.Addr)
	}
	return all
}

// StartMasters starts n of them. name tells this set from others; flags are added to each one's.
func (s *Stage) StartMasters(ha, name string, n int, flags ...string) (*Masters, error) {
	addrs, err := ports(n)
	if err != nil {
		return nil, err
	}
	peers, err := ports(n)
	if err != nil {
		return nil, err
	}
	m := &Masters{HA: ha, Shared: filepath.Join(s.Dir, name), stage: s}
	for i := range n {
		p := &Proc{Name: fmt.Sprintf("%s %d", name, i+1), Addr: addrs[i], bin: s.fsmaster}
		p.args = []string{"serve", "--ha", ha, "--http", p.Addr}
		if ha == "raft" {
			p.Dir = filepath.Join(s.Dir, fmt.Sprintf("%s%d", name, i+1))
			p.args = append(p.args, "--id", fmt.Sprint(i+1), "--peers", numbered(peers), "--dir", p.Dir)
		} else {
			p.args = append(p.args, "--zookeeper", s.ZooKeeper, "--session", Session.String(), "--dir", m.Shared)
		}
		p.args = append(p.args, flags...)
		if err := s.start(p); err != nil {
			return nil, err
		}
		m.Procs = append(m.Procs, p)
	}
	return m, nil
}

// status asks a master, for a short time.
func status(ctx context.Context, addr string) (*fsclient.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	return fsclient.New([]string{addr}, 1).Status(ctx, addr)
}

// Active waits until one of the masters, other than those that are not wanted, is the active one and serves, and returns it.
func (m *Masters) Active(ctx context.Context, not ...*Proc) (*Proc, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
	next:
		for _, p := range m.Procs {
			for _, no := range not {
				if p == no {
					continue next
				}
			}
			if s, err := status(ctx, p.Addr); err == nil && s.Active && s.Ready {
				return p, nil
			}
		}
		if err := m.pause(ctx); err != nil {
			return nil, fmt.Errorf("no master is active: %w", err)
		}
	}
}

// pause is between two looks.
func (m *Masters) pause(ctx context.Context) error {
	select {
	case <-time.After(5 * time.Millisecond):
		return nil
	case <-ctx.Done():
		var logs []error
		for _, p := range m.Procs {
			logs = append(logs, fmt.Errorf("%s:\n%s", p.Name, p.Log()))
		}
		return errors.Join(append(logs, ctx.Err())...)
	}
}

// Level waits until all masters hold the same state.
func (m *Masters) Level(ctx context.Context) (*fsclient.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		var first *fsclient.Status
		same := true
		for _, p := range m.Procs {
			s, err := status(ctx, p.Addr)
			if err != nil {
				same = false
				break
			}
			if first == nil {
				first = s
			}
			same = same && s.Digest == first.Digest && (m.HA != "raft" || s.Ready)
		}
		if same {
			return first, nil
		}
		if err := m.pause(ctx); err != nil {
			return nil, fmt.Errorf("the masters do not come to the same state: %w", err)
		}
	}
}

// Fsmaster runs the command with arguments, for what it prints.
func (s *Stage) Fsmaster(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, s.fsmaster, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("fsmaster %v: %w: %s", args, err, out)
	}
	return string(out), nil
}

// Gopherwood runs gopherwood.
func (s *Stage) Gopherwood(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, s.gopherwood, args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("gopherwood %v: %w: %s", args, err, out)
	}
	return string(out), nil
}

// MkdirShared makes the directory that masters of that name will share.
func (s *Stage) MkdirShared(name string) (string, error) {
	dir := filepath.Join(s.Dir, name)
	return dir, os.MkdirAll(dir, 0o755)
}

// Restart starts one of the masters that has ended again.
func (m *Masters) Restart(p *Proc) error { return m.stage.Restart(p) }
