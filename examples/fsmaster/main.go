// Command fsmaster is the metadata master of a distributed file system, as an example of a service with a state, and of two ways to make one highly
// available. One core (package core), chosen by a flag:
//
//	fsmaster serve --ha=zookeeper    masters elect one in a ZooKeeper and share a journal       package zkha, package journal
//	fsmaster serve --ha=raft         package replica inside the masters                        package raftha
//	fsmaster import                  the journal of the former into the latter, while it runs
//	fsmaster sh, ls, mkdir, mv …     the shell
//
// docs/from-zookeeper-to-raft.md tells what the difference is; examples/fsmaster/compare measures it, and examples/fsmaster/splitbrain shows it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"gopherwood/examples/fsmaster/core"
	"gopherwood/examples/fsmaster/raftha"
	"gopherwood/examples/fsmaster/zkha"
	"gopherwood/replica"
	"gopherwood/replica/admin"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fsmaster:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: fsmaster serve|import|sh|" + strings.Join(shellNames(), "|") + " …; fsmaster serve --help and fsmaster import --help list the flags")
	}
	switch args[0] {
	case "serve":
		return serve(args[1:])
	case "import":
		return importJournal(args[1:])
	}
	return shell(args)
}

// master is what both ways of availability give the face.
type master interface {
	Do(ctx context.Context, op core.Op) (*core.Result, error)
	Read(ctx context.Context, read func(*core.FS)) error
	Peek(read func(*core.FS))
	Term() (term uint64, leads bool)
}

// options are the flags of serve.
type options struct {
	ha, addr, dir, peers, zookeeper string
	id                              uint
	session, workerTimeout          time.Duration
	fencing, quiet                  bool
}

func serve(args []string) error {
	var o options
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	f.StringVar(&o.ha, "ha", "raft", "how it is highly available: raft or zookeeper")
	f.StringVar(&o.addr, "http", "127.0.0.1:9001", "where to serve clients, as they reach it")
	f.StringVar(&o.dir, "dir", "fsmaster-data", "raft: this master's own data directory; zookeeper: the directory that all masters share, with the journal")
	f.UintVar(&o.id, "id", 1, "raft: this master's number")
	f.StringVar(&o.peers, "peers", "", "raft: all masters, as 1=host:port,2=host:port; empty: this one alone")
	f.StringVar(&o.zookeeper, "zookeeper", "127.0.0.1:2181", "zookeeper: its servers")
	f.DurationVar(&o.session, "session", 4*time.Second, "zookeeper: the session's timeout")
	f.BoolVar(&o.fencing, "fencing", true, "zookeeper: keep a deposed master out of the journal")
	f.DurationVar(&o.workerTimeout, "worker-timeout", 10*time.Second, "for how long a worker may be silent before it is lost")
	f.BoolVar(&o.quiet, "quiet", false, "log warnings and errors only")
	if err := f.Parse(args); err != nil {
		return err
	}
	level := slog.LevelInfo
	if o.quiet {
		level = slog.LevelWarn
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch o.ha {
	case "raft":
		return o.serveRaft(ctx, l, log)
	case "zookeeper":
		if err := os.MkdirAll(o.dir, 0o755); err != nil {
			return err
		}
		m := zkha.Start(zkha.Config{Servers: o.zookeeper, Dir: o.dir, Addr: o.addr, Session: o.session, Fencing: o.fencing, Logger: log})
		defer m.Close()
		return o.serveHTTP(ctx, l, newFace("zookeeper", m).handler(), m)
	}
	return fmt.Errorf("--ha=%s: it must be raft or zookeeper", o.ha)
}

func (o *options) serveRaft(ctx context.Context, l net.Listener, log *slog.Logger) error {
	peers, err := replica.ParsePeers(o.peers)
	if err != nil {
		return err
	}
	m, err := raftha.Start(replica.Config{Dir: o.dir, ServerID: uint16(o.id), Peers: peers, Logger: log})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	face := newFace("raft", m)
	face.phase = func() string { return m.Progress().Phase.String() }
	mux.Handle("/", face.handler())
	mux.Handle(admin.Prefix, admin.Handler(m.Replica, admin.Options{Logger: log}))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		<-m.Done()
		stop()
	}()
	if err := o.serveHTTP(ctx, l, mux, m); err != nil {
		return errors.Join(err, m.Close())
	}
	if err := m.Err(); err != nil {
		return errors.Join(err, m.Close())
	}
	bounded, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return m.Shutdown(bounded)
}

// serveHTTP serves until ctx ends, and watches the workers while this master leads.
func (o *options) serveHTTP(ctx context.Context, l net.Listener, h http.Handler, m master) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchWorkers(ctx, m, o.workerTimeout)
	}()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		bounded, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if s.Shutdown(bounded) != nil {
			err = s.Close()
		}
	}
	cancel()
	<-watched
	return err
}

// watchWorkers is the leader's duty: it takes workers for lost that were silent for too long. What it decides carries its term, and is void in another.
func watchWorkers(ctx context.Context, m master, timeout time.Duration) {
	tick := time.NewTicker(timeout / 10)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		term, leads := m.Term()
		if !leads {
			continue
		}
		var late []core.Worker
		m.Peek(func(fs *core.FS) { late = fs.Overdue(time.Now().Add(-timeout).UnixMilli()) })
		for _, w := range late {
			bounded, cancel := context.WithTimeout(ctx, timeout)
			if _, err := m.Do(bounded, core.Op{Kind: core.Lose, Worker: w.ID, Since: w.SeenMs, Term: term}); err != nil {
				slog.Debug("a worker is overdue", "worker", w.ID, "error", err)
			}
			cancel()
		}
	}
}
