package ensemble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Options say what ensemble to run. The zero value is one Gopherwood server with a tick of 500 ms.
type Options struct {
	// Target is which servers to run; empty means Gopherwood.
	Target Target
	// Servers is how many; 0 means 1. One is a standalone server.
	Servers int
	// Joiners is how many of the servers, the last ones, the others do not list: they know the others and themselves.
	Joiners int
	// Observers is how many of the servers, the last ones before the joiners, are configured as observers.
	Observers int
	// TickMs is zoo.cfg's tickTime in ms; 0 means 500, so that session timeouts of 1 to 10 s can be had.
	TickMs int
	// ReapMs is how often containers and expired TTL nodes are looked for, in ms; 0 means 500.
	ReapMs int
	// MaxConnections is zoo.cfg's maxClientCnxns, the connections allowed from one address; 0 means no limit.
	MaxConnections int
	// Config holds further lines for zoo.cfg.
	Config []string
	// Args are further arguments of `gopherwood serve`.
	Args []string
	// Env are further environment variables of the servers, NAME=value.
	Env []string
	// Hosts are where the servers run, one for each; nil: on loopback.
	Hosts []Host
	// Furnish, if not nil, is called with a server's folders made and empty, before its files are written: to mount its data's file system.
	Furnish func(*Server) error
}

// Host is a place for a server: an address, and a way to start processes there.
type Host interface {
	// Address is the host's IP address.
	Address() string
	// Enter runs f so that a process that it starts is on the host. That it ends with the test process is the host's affair: the kernel's signal
	// for that comes when the thread ends that started it, and hosts may end threads.
	Enter(f func() error) error
}

// Ensemble is a set of servers that belong together.
type Ensemble struct {
	Target  Target
	Servers []*Server
}

// New prepares an ensemble without starting it. It is ended with the test.
func New(t testing.TB, o Options) *Ensemble {
	t.Helper()
	if o.Target == "" {
		o.Target = Gopherwood
	}
	if o.Servers == 0 {
		o.Servers = 1
	}
	if o.TickMs == 0 {
		o.TickMs = 500
	}
	if o.ReapMs == 0 {
		o.ReapMs = 500
	}
	e := &Ensemble{Target: o.Target}
	base := t.TempDir()
	for id := 1; id <= o.Servers; id++ {
		s := &Server{ID: id, Host: "127.0.0.1", Dir: filepath.Join(base, fmt.Sprintf("server-%d", id))}
		for _, port := range []*int{&s.ClientPort, &s.PeerPort, &s.ElectionPort, &s.AdminPort} {
			var err error
			if *port, err = freePort(); err != nil {
				t.Fatal(err)
			}
		}
		if o.Hosts != nil {
			s.Host, s.enter = o.Hosts[id-1].Address(), o.Hosts[id-1].Enter
		}
		e.Servers = append(e.Servers, s)
	}
	for _, s := range e.Servers {
		if err := e.prepare(s, o); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { e.end(t) })
	return e
}

// Start prepares an ensemble, starts it and waits until it serves.
func Start(t testing.TB, o Options) *Ensemble {
	t.Helper()
	e := New(t, o)
	if err := e.StartAll(); err != nil {
		t.Fatal(err)
	}
	return e
}

// prepare writes a server's files and sets its command line.
func (e *Ensemble) prepare(s *Server, o Options) error {
	if err := os.MkdirAll(s.DataDir(), 0o755); err != nil {
		return err
	}
	if o.Furnish != nil {
		if err := o.Furnish(s); err != nil {
			return err
		}
	}
	config := filepath.Join(s.Dir, "zoo.cfg")
	if err := os.WriteFile(config, []byte(e.config(s, o)), 0o644); err != nil {
		return err
	}
	if len(e.Servers) > 1 {
		if err := os.WriteFile(filepath.Join(s.DataDir(), "myid"), fmt.Appendf(nil, "%d\n", s.ID), 0o644); err != nil {
			return err
		}
	}
	s.env = o.Env
	var err error
	if e.Target == ZooKeeper {
		s.path, s.args, err = zookeeperCommand(config, o)
	} else {
		s.path, err = Binary(e.Target)
		s.args = append([]string{"serve", "--config", config}, o.Args...)
	}
	return err
}

// config returns a zoo.cfg that both kinds of server take.
func (e *Ensemble) config(s *Server, o Options) string {
	var b strings.Builder
	for _, line := range []string{
		fmt.Sprintf("tickTime=%d", o.TickMs),
		"initLimit=20",
		"syncLimit=10",
		"dataDir=" + s.DataDir(),
		fmt.Sprintf("clientPort=%d", s.ClientPort),
		"clientPortAddress=" + s.Host,
		fmt.Sprintf("maxClientCnxns=%d", o.MaxConnections),
		"4lw.commands.whitelist=*",
		"extendedTypesEnabled=true",
		"admin.serverAddress=" + s.Host,
		fmt.Sprintf("admin.serverPort=%d", s.AdminPort),
		fmt.Sprintf("admin.enableServer=%t", e.Target != ZooKeeper), // ZooKeeper's wants libraries we do not fetch
		fmt.Sprintf("znode.container.checkIntervalMs=%d", o.ReapMs),
	} {
		fmt.Fprintln(&b, line)
	}
	if len(e.Servers) > 1 {
		for i, m := range e.Servers {
			role := "participant"
			switch {
			case i >= len(e.Servers)-o.Joiners && m != s:
				continue
			case i >= len(e.Servers)-o.Joiners:
			case i >= len(e.Servers)-o.Joiners-o.Observers:
				role = "observer"
			}
			fmt.Fprintf(&b, "server.%d=%s\n", m.ID, m.Line(role))
		}
	}
	for _, line := range o.Config {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

func zookeeperCommand(config string, o Options) (path string, args []string, err error) {
	classPath, err := ClassPath()
	if err != nil {
		return "", nil, err
	}
	path, err = exec.LookPath("java")
	return path, []string{
		"-Xmx512m", "-XX:+UseSerialGC", "-cp", classPath,
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
		fmt.Sprintf("-Dznode.container.checkIntervalMs=%d", o.ReapMs),
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", config,
	}, err
}

// StartAll starts the servers that do not run and waits until all serve and have caught up with each other.
func (e *Ensemble) StartAll() error {
	for _, s := range e.Servers {
		if !s.Running() {
			if err := s.Start(); err != nil {
				return err
			}
		}
	}
	for _, s := range e.Servers {
		if _, err := s.WaitServing(context.Background()); err != nil {
			return err
		}
	}
	return e.CatchUp()
}

// CatchUp waits until every running server has applied what any of them had applied when it was called. (ZooKeeper's do not serve
// before that, and a new epoch alone moves its leader's zxid.)
func (e *Ensemble) CatchUp() error {
	if e.Target == ZooKeeper {
		return nil
	}
	var newest int64
	for _, s := range e.Servers {
		if zxid, err := Zxid(s.Addr()); err == nil { // one that is busy catching up may hang up
			newest = max(newest, zxid)
		}
	}
	for _, s := range e.Servers {
		for end := time.Now().Add(readyLimit); s.Running(); time.Sleep(pollEvery) {
			zxid, err := Zxid(s.Addr())
			if err == nil && zxid >= newest {
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("ensemble: server %d is at zxid %#x after %v, others at %#x: %v", s.ID, zxid, readyLimit, newest, err)
			}
		}
	}
	return nil
}

// Connect returns the client addresses of all servers, separated by commas.
func (e *Ensemble) Connect() string {
	addrs := make([]string, len(e.Servers))
	for i, s := range e.Servers {
		addrs[i] = s.Addr()
	}
	return strings.Join(addrs, ",")
}

// Leader returns the server that says it leads, waiting for one; a standalone server counts.
func (e *Ensemble) Leader() (*Server, error) {
	for end := time.Now().Add(readyLimit); time.Now().Before(end); time.Sleep(pollEvery) {
		for _, s := range e.Servers {
			if !s.Running() {
				continue
			}
			if mode, err := Mode(s.Addr()); err == nil && (mode == "leader" || mode == "standalone") {
				return s, nil
			}
		}
	}
	return nil, errors.New("ensemble: no server says that it leads")
}

// KillAll kills every server at the same moment and waits for their ends.
func (e *Ensemble) KillAll() {
	for _, s := range e.Servers {
		s.KillNow()
	}
	for _, s := range e.Servers {
		s.wait()
	}
}

// crash is what a program prints in its last moments, or when the race detector has found something.
var crash = regexp.MustCompile(`(?m)^(panic: |fatal error: |WARNING: DATA RACE|unexpected fault address).*`)

// end ends all servers, looks for crashes in their logs, and keeps the logs after a failed test, and after any with
// GOPHERWOOD_E2E_KEEP=1.
func (e *Ensemble) end(t testing.TB) {
	e.KillAll()
	for _, s := range e.Servers {
		b, err := os.ReadFile(s.LogPath())
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		if at := crash.FindIndex(b); at != nil {
			t.Errorf("server %d: %s", s.ID, b[at[0]:min(len(b), at[0]+logTail)])
		}
	}
	e.keepLogs(t)
}

// keepLogs copies the logs to a folder that outlives the test, if they are wanted.
func (e *Ensemble) keepLogs(t testing.TB) {
	if !t.Failed() && os.Getenv("GOPHERWOOD_E2E_KEEP") == "" {
		return
	}
	cache, err := Cache()
	if err != nil {
		t.Log(err)
		return
	}
	dir := filepath.Join(cache, "e2e-logs", strings.ReplaceAll(t.Name(), "/", "_"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Log(err)
		return
	}
	for _, s := range e.Servers {
		b, err := os.ReadFile(s.LogPath())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("server-%d.log", s.ID)), b, 0o644)
		}
		if err != nil {
			t.Log(err)
		}
		if !t.Failed() {
			continue
		}
		t.Logf("end of the log of server %d (whole: %s):\n%s", s.ID, dir, s.LogTail())
	}
}
