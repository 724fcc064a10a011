package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gopherwood/internal/server"
	"gopherwood/internal/vfs"
	"gopherwood/replica"
	replicaadmin "gopherwood/replica/admin"
)

const (
	// handoverTimeout bounds how long a leader that is told to stop waits for another to lead. If all are told to stop at once there
	// is none.
	handoverTimeout = 2 * time.Second
	// drainTimeout bounds how long a server that is told to stop waits until what is under way is answered.
	drainTimeout = 10 * time.Second
)

// signalPause is how long after the first signal a second one is taken for the same.
const signalPause = time.Second

func newServeCmd() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server",
		Long: `Run a server: alone, or as one of an ensemble.

Without arguments it serves on port 2181 with its data in ./gopherwood-data, and has its admin port on 8080. An ensemble needs the same --peers on every
server and each server's own --id, or a zoo.cfg with server.N lines and a myid file, as ZooKeeper has them.

SIGTERM and Ctrl-C hand leadership over, answer what is under way, and end with exit code 0. A second one ends at once.

The environment variable GOGC, if set, decides about the garbage collector; otherwise the heap gets a tenth of what is alive, and at least 16 MiB, as headroom.
GOMAXPROCS, if set, decides how many processors it uses; otherwise one while it needs less than half of one, and all from then on.

Exit codes: 0 told to stop, 1 it could not go on, 2 wrong configuration.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.resolve(); err != nil {
				return err
			}
			defer startGovernor().stop()
			defer governProcs()()
			return s.serve(cmd.Context())
		},
	}
	s.flags(cmd.Flags())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return cmd
}

// serve runs the server until a signal or until it cannot go on.
func (s *settings) serve(ctx context.Context) error {
	log, err := s.logger()
	if err != nil {
		return err
	}
	log = log.With("server", s.id)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()

	security, err := s.security(log)
	if err != nil {
		return err
	}
	members, err := s.memberMaterial(log)
	if err != nil {
		return err
	}
	if members != nil {
		defer members.Source.Close()
	}
	clients, err := s.openClientPorts(log)
	if err != nil {
		return err
	}
	defer clients.close()
	config := s.serverConfig(clients.port(), log)
	config.Security, config.SecureClientAddr = security, clients.secureAddr()
	mover := newPortMover(s, clients, log)
	config.ClientMoved = mover.tell
	if config.Audit, err = s.openAudit(log); err != nil {
		return err
	}
	defer s.closeAudit(config.Audit, log)
	srv, err := server.New(config)
	if err != nil {
		return usageError{err}
	}
	admin, err := s.openAdmin(srv, log)
	if err != nil {
		return err
	}
	defer admin.close()

	replicas := s.replicaConfig(log, srv)
	replicas.TLS = replica.TLSWith(members)
	rep, err := replica.Start(replicas, srv)
	if err != nil {
		return s.explainStart(err)
	}
	srv.Attach(rep)
	admin.mux.Handle(replicaadmin.Prefix, replicaadmin.Handler(rep, replicaadmin.Options{Authorize: srv.AuthorizeAdmin, Logger: log}))
	s.announce(log, clients, admin)
	failed := make(chan error, 2) // a port each
	clients.serve(srv, failed)
	mover.start(srv, failed)
	defer mover.close()

	var cause error
	select {
	case <-ctx.Done():
		// Another signal ends the process, but not the second of a pair: Ctrl-C reaches a server under dev twice.
		defer time.AfterFunc(signalPause, stop).Stop()
		log.Info("told to stop: handing over leadership and answering what is under way")
	case <-rep.Done():
		cause = fmt.Errorf("the server stops because it can't go on: %w", rep.Err())
	case cause = <-failed:
	}
	err = s.shutDown(srv, rep, log, cause == nil)
	if cause == nil && err == nil {
		log.Info("stopped")
	}
	return errors.Join(cause, err)
}

// closeTimeout is how long a server that can't go on may take to close: a write that hangs in the kernel would keep it for ever.
const closeTimeout = 3 * time.Second

// closeWithin runs f and does not wait for it any longer than d; the process ends then anyway.
func closeWithin(d time.Duration, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(d):
		return fmt.Errorf("closing took longer than %v", d)
	}
}

// shutDown ends everything; in good order if there is time for it.
func (s *settings) shutDown(srv *server.Server, rep *replica.Replica, log *slog.Logger, orderly bool) error {
	if !orderly {
		return closeWithin(closeTimeout, func() error { return errors.Join(rep.Close(), srv.Close()) })
	}
	if len(s.members) > 1 {
		ctx, cancel := context.WithTimeout(context.Background(), handoverTimeout)
		defer cancel()
		if err := rep.TransferLeadership(ctx); err != nil && !errors.Is(err, replica.ErrNotLeader) {
			log.Warn("leadership was not handed over, so the others have to elect a leader", "error", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := srv.Drain(ctx); err != nil {
		log.Warn("some requests were not answered", "error", err)
	}
	return errors.Join(rep.Close(), srv.Close())
}

func (s *settings) replicaConfig(log *slog.Logger, srv *server.Server) replica.Config {
	c := replica.Config{Dir: s.dataDir, ServerID: uint16(s.id), BufferedLog: s.buffered, Logger: log, Listen: s.peerListen, SnapshotBytes: s.file.SnapshotBytes}
	if s.observe {
		c.Observer = srv
	}
	if len(s.members) > 1 {
		c.Peers = map[uint16]string{}
		for _, m := range s.members {
			c.Peers[uint16(m.ID)] = m.PeerAddr
			if m.Observer {
				c.Observers = append(c.Observers, uint16(m.ID))
			}
		}
		if _, port, err := net.SplitHostPort(s.self().PeerAddr); err == nil && s.file.QuorumOnAllIPs && c.Listen == "" {
			c.Listen = ":" + port
		}
	}
	return c
}

// announce logs what runs where.
func (s *settings) announce(log *slog.Logger, clients *clientPorts, admin *adminPorts) {
	dir, err := filepath.Abs(s.dataDir)
	if err != nil {
		dir = s.dataDir
	}
	args := append([]any{"version", buildVersion().Version, "data", dir}, clients.describe()...)
	for _, l := range admin.listeners {
		args = append(args, "admin", l.scheme+"://"+reachable(l.Addr()))
	}
	if self := s.self(); self != nil {
		args = append(args, "members", s.numbers(), "peer", self.PeerAddr)
	}
	log.Info("serving", args...)
	s.warnOfKeys(log)
}

// reachable is a listener's address as one types it into a browser here.
func reachable(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if ok && t.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(t.Port))
	}
	return a.String()
}

// listen takes a port. Its errors are one sentence that names the flag, the key and what can be done.
func listen(flag, key, host string, port int) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1} // sessions have timeouts of their own
	l, err := lc.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("port %d is in use by another process; stop it, or give another port with --%s (%s)", port, flag, key)
	case errors.Is(err, syscall.EACCES):
		return nil, usagef("this user may not use port %d; give one from 1024 on with --%s (%s), or the privilege CAP_NET_BIND_SERVICE", port, flag, key)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, usagef("%s is not an address of this machine; correct the interface for --%s (%s)", host, flag, key)
	}
	return nil, usagef("--%s (%s): %v", flag, key, err)
}

// explainStart turns what replica says into a sentence for whoever starts a server.
func (s *settings) explainStart(err error) error {
	if locked, ok := errors.AsType[*vfs.LockedError](err); ok {
		return fmt.Errorf("the data directory %s is in use by another Gopherwood (%s); stop it, or give another directory with --data-dir (dataDir)",
			s.dataDir, cmp.Or(locked.Owner, "it has not said which"))
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("the port for the other servers, in %s, is in use by another process; stop it, or change this server's address everywhere", s.peerAddr())
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return usagef("%s is not an address of this machine; correct --id or --peers (server.%d), or give --peer-listen", s.peerAddr(), s.id)
	}
	return err
}

func (s *settings) peerAddr() string {
	if s.peerListen != "" {
		return s.peerListen
	}
	if self := s.self(); self != nil {
		return self.PeerAddr
	}
	return ""
}
