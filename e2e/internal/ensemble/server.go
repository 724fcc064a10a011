package ensemble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is one process of an ensemble. Its methods are for one goroutine at a time.
type Server struct {
	// Constant after New.

	ID           int
	Dir          string // configuration, log and data
	Host         string // an address: on loopback, or of the host that it runs on
	ClientPort   int
	PeerPort     int
	ElectionPort int // ZooKeeper's; unused by Gopherwood
	AdminPort    int // Gopherwood's admin HTTP

	path string // program
	args []string
	env  []string // added to the test's own

	enter func(func() error) error // Host.Enter; nil: here

	// Of the present process; nil when none runs.

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has been waited for
}

// Addr is where clients connect.
func (s *Server) Addr() string { return fmt.Sprintf("%s:%d", s.Host, s.ClientPort) }

// Line is what stands behind server.N= for it.
func (s *Server) Line(role string) string {
	return fmt.Sprintf("%s:%d:%d:%s;%s:%d", s.Host, s.PeerPort, s.ElectionPort, role, s.Host, s.ClientPort)
}

// AdminURL is the base of the admin HTTP, without a trailing slash.
func (s *Server) AdminURL() string { return fmt.Sprintf("http://%s:%d", s.Host, s.AdminPort) }

// LogPath is the file that holds what the server printed, over all its starts.
func (s *Server) LogPath() string { return filepath.Join(s.Dir, "log") }

// DataDir is where the server keeps its data.
func (s *Server) DataDir() string { return filepath.Join(s.Dir, "data") }

// Start starts the process; it does not wait until it serves.
func (s *Server) Start() error {
	if s.Running() {
		return fmt.Errorf("ensemble: server %d runs already, process %d", s.ID, s.Pid())
	}
	log, err := os.OpenFile(s.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "--- start %s %s\n", s.path, strings.Join(s.args, " "))
	cmd := exec.Command(s.path, s.args...)
	cmd.Dir = s.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), s.env...)
	if s.enter == nil {
		endWithParent(cmd)
	}
	start := cmd.Start
	if s.enter != nil {
		start = func() error { return s.enter(cmd.Start) }
	}
	if err := start(); err != nil {
		return fmt.Errorf("ensemble: start server %d: %w", s.ID, err)
	}
	s.cmd, s.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(ended)
	}(s.ended)
	return nil
}

// Running tells whether the process was started and has not ended.
func (s *Server) Running() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// Ended is closed when the present process has ended; nil before the first Start.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Pid returns the present or last process's id, 0 before the first Start.
func (s *Server) Pid() int {
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// ExitCode returns how the last process ended: -1 when by a signal or not yet.
func (s *Server) ExitCode() int {
	if s.cmd == nil || s.cmd.ProcessState == nil {
		return -1
	}
	return s.cmd.ProcessState.ExitCode()
}

// Kill ends the process as kill -9 does and waits for its end.
func (s *Server) Kill() { s.KillNow(); s.wait() }

// KillNow sends SIGKILL and does not wait: for killing several servers at the same moment.
func (s *Server) KillNow() {
	if s.Running() {
		_ = s.cmd.Process.Kill() // already ended is as good
	}
}

// Terminate asks the process to end (SIGTERM) and waits; a process that takes too long is killed and reported.
func (s *Server) Terminate() error {
	if !s.Running() {
		return nil
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(terminateLimit):
		s.Kill()
		return fmt.Errorf("ensemble: server %d did not end within %v of SIGTERM", s.ID, terminateLimit)
	}
}

// Signal sends any signal, such as SIGSTOP and SIGCONT for a server that stands still.
func (s *Server) Signal(sig syscall.Signal) error {
	if !s.Running() {
		return os.ErrProcessDone
	}
	return s.cmd.Process.Signal(sig)
}

func (s *Server) wait() {
	if s.ended != nil {
		<-s.ended
	}
}

// WaitServing returns when the server answers srvr with a mode, or an error when it ended or the limit passed.
func (s *Server) WaitServing(ctx context.Context) (mode string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		if mode, err = Mode(s.Addr()); err == nil {
			return mode, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("ensemble: server %d does not serve after %v: %w", s.ID, readyLimit, err)
		case <-s.ended:
			return "", fmt.Errorf("ensemble: server %d ended with code %d\n%s", s.ID, s.ExitCode(), s.LogTail())
		case <-time.After(pollEvery):
		}
	}
}

// LogTail returns the end of the server's log.
func (s *Server) LogTail() string {
	b, err := os.ReadFile(s.LogPath())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-logTail):])
}

// ResidentBytes returns the process's resident memory as the kernel counts it.
func (s *Server) ResidentBytes() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("ensemble: no VmRSS of process %d", s.Pid())
}
