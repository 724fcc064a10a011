package main

import (
	"log/slog"
	"net"
	"syscall"
	"time"

	"gopherwood/internal/server/zoocfg"
)

// keepAliveEvery is how often a silent client's connection is probed if clientTcpKeepAlive asks for it. Sessions have timeouts of their own.
const keepAliveEvery = 15 * time.Second

// listenClients is listen with what the configuration file says of clients' connections.
func (s *settings) listenClients(flag, key, host string, port int) (net.Listener, error) {
	l, err := listen(flag, key, host, port)
	if err != nil {
		return nil, err
	}
	if s.file.Backlog > 0 {
		if err := setBacklog(l, s.file.Backlog); err != nil {
			l.Close()
			return nil, usagef("clientPortListenBacklog=%d: %v; remove it", s.file.Backlog, err)
		}
	}
	if s.file.KeepAlive {
		l = keptAlive{l}
	}
	return l, nil
}

// setBacklog bounds the connections that wait to be accepted: listening a second time changes nothing else.
func setBacklog(l net.Listener, n int) error {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = syscall.Listen(int(fd), n) }); err != nil {
		return err
	}
	return failed
}

// keptAlive is a listener whose connections the system probes when they are silent.
type keptAlive struct{ net.Listener }

// Accept implements net.Listener.
func (k keptAlive) Accept() (net.Conn, error) {
	c, err := k.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok && err == nil {
		if err := t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: keepAliveEvery, Interval: keepAliveEvery}); err != nil {
			slog.Debug("setting keep-alive", "error", err)
		}
	}
	return c, err
}

// warnOfKeys names the keys of the configuration file that do nothing.
func (s *settings) warnOfKeys(log *slog.Logger) {
	for _, key := range s.file.Ignored {
		log.Warn(zoocfg.Why(key), "key", key)
	}
	for _, key := range s.file.Unknown {
		log.Warn(key+" is not a key of ZooKeeper or Gopherwood, so it does nothing (ZooKeeper would make a system property of it); correct or remove it", "key", key)
	}
}
