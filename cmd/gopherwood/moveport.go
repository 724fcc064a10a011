package main

import (
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"gopherwood/internal/server"
)

// portRetry is the pause between two tries to take a port that a reconfig has given and somebody else has.
const portRetry = time.Second

// portMover makes the port without TLS the one that a reconfig has given, as ZooKeeper does: the clients that are connected stay. While the new port
// cannot be had, the old one stays open.
type portMover struct {
	s     *settings
	ports *clientPorts
	srv   *server.Server
	log   *slog.Logger

	moves chan string // the last address that a reconfig has given
	quit  chan struct{}
	wg    sync.WaitGroup
}

func newPortMover(s *settings, ports *clientPorts, log *slog.Logger) *portMover {
	return &portMover{s: s, ports: ports, log: log, moves: make(chan string, 1), quit: make(chan struct{})}
}

// tell notes an address. One goroutine calls it.
func (m *portMover) tell(addr string) {
	select {
	case <-m.moves: // superseded
	default:
	}
	m.moves <- addr
}

// start begins to follow what it is told, until close.
func (m *portMover) start(srv *server.Server, failed chan<- error) {
	m.srv = srv
	m.wg.Go(func() { m.run(failed) })
}

func (m *portMover) close() {
	close(m.quit)
	m.wg.Wait()
}

func (m *portMover) run(failed chan<- error) {
	retry := time.NewTicker(portRetry)
	defer retry.Stop()
	var want string
	told := false
	for {
		select {
		case want = <-m.moves:
			told = false
		case <-retry.C:
		case <-m.quit:
			return
		}
		if want == "" {
			continue
		}
		if err := m.move(want, failed); err != nil {
			if !told {
				m.log.Error("the port for clients was changed by a reconfig, and cannot be had; the old one stays open until it can", "address", want, "error", err)
			}
			told = true
			continue
		}
		want = ""
	}
}

// move opens the port of addr and closes the one that was open. The interface stays the one that is configured, and with --advertise the port does, too: then what
// clients are told is not where this server listens.
func (m *portMover) move(addr string, failed chan<- error) error {
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(p)
	if err != nil || m.s.advertise != "" || m.ports.port() == 0 || port == m.ports.port() {
		return err
	}
	l, err := m.s.listenClients("client-port", "clientPort", m.s.listen, port)
	if err != nil {
		return err
	}
	old := m.ports.replace(l)
	m.ports.servePlain(m.srv, l, failed)
	if err := old.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		m.log.Debug("closing a listener", "error", err)
	}
	m.log.Info("the port for clients was changed by a reconfig", "from", old.Addr(), "to", l.Addr())
	return nil
}
