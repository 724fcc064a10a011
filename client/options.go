package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gopherwood/zk"
)

// DefaultPort is the port of a server that was named without one.
const DefaultPort = 2181

// Auth is an identity to prove: the scheme and its credentials ("digest" and "user:password").
type Auth struct {
	Scheme string
	Auth   []byte
}

// Session is what a client needs to take up a session that exists: its id and password. The zero Session is none.
type Session struct {
	ID     int64
	Passwd []byte // 16 bytes
}

// Options says how Connect is to behave. The zero value is good; Connect copies it.
type Options struct {
	// SessionTimeout is how long the session outlives its last sign of life; the server may grant another (Client.SessionTimeout).
	// Zero is 10 s. The client pings after a third of it and leaves a server that was silent for two thirds.
	SessionTimeout time.Duration

	// Session is a session to take up instead of a new one, from Client.Session or Client.Detach.
	Session Session

	// Auth is proved on every connection, before anything else. When a server refuses one, the client ends with zk.ErrAuthFailed.
	Auth []Auth

	// SASL is who the client authenticates itself as by SASL, before Auth. When the server refuses it, the client ends with zk.ErrAuthFailed. Nil:
	// it does not.
	SASL *SASL

	// OnState is called for every state change, one at a time, on a goroutine of its own. It loses older changes while it is slow. It
	// must not call Close, which waits for it. Nil: nobody is told (but see Client.States).
	OnState func(StateChange)

	// ConnectTimeout bounds one attempt at one server. Zero is SessionTimeout divided by the number of servers, at least 1 s.
	ConnectTimeout time.Duration

	// ConnectRounds is how many times Connect tries all servers before it fails with a *ConnectError; zero is until its context
	// ends. It does not matter once there is a session: the client then goes on until it is closed or the session has expired.
	ConnectRounds int

	// MaxPendingBytes bounds the requests submitted and not yet answered; callers wait at the bound. Zero is 16 MiB.
	MaxPendingBytes int

	// MaxReplyBytes bounds one reply; a connection that announces a longer one is given up. Zero is 64 MiB.
	MaxReplyBytes int

	// WatchBuffer is how many events of one persistent watch may wait in its channel. At the bound the watch ends with
	// ErrWatchOverflow. Zero is 1024.
	WatchBuffer int

	// TLS makes connections secure. Its ServerName is the server's host if empty. Nil is plain TCP.
	TLS *tls.Config

	// Dial opens connections; nil is net.Dialer's DialContext. TLS comes on top of what it returns.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Rand chooses among servers and draws pauses. Nil is a random seed. Only the client may use it from now on.
	Rand rand.Source

	// Logger is told about lost connections and ended sessions, at level Info and Warn. Nil is silence.
	Logger *slog.Logger
}

// validate puts defaults in place of zeros and says what cannot be.
func (o *Options) validate(servers int) error {
	if o.SessionTimeout == 0 {
		o.SessionTimeout = defaultSessionTimeout
	}
	if o.SessionTimeout < minSessionTimeout || o.SessionTimeout > maxSessionTimeout {
		return fmt.Errorf("client: Options.SessionTimeout is %v, must be between %v and %v", o.SessionTimeout, minSessionTimeout, maxSessionTimeout)
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = max(o.SessionTimeout/time.Duration(servers), minConnectTimeout)
	}
	if o.MaxPendingBytes == 0 {
		o.MaxPendingBytes = defaultMaxPendingBytes
	}
	if o.MaxReplyBytes == 0 {
		o.MaxReplyBytes = defaultMaxReplyBytes
	}
	if o.WatchBuffer == 0 {
		o.WatchBuffer = defaultWatchBuffer
	}
	if o.ConnectTimeout < 0 || o.ConnectRounds < 0 || o.MaxPendingBytes < 0 || o.MaxReplyBytes < 0 || o.WatchBuffer < 0 {
		return errors.New("client: a negative bound in Options")
	}
	if o.Session.ID != 0 && len(o.Session.Passwd) != passwdSize {
		return fmt.Errorf("client: Options.Session.Passwd has %d bytes, must have %d", len(o.Session.Passwd), passwdSize)
	}
	if o.SASL != nil {
		if err := o.SASL.validate(); err != nil {
			return err
		}
		own := *o.SASL
		o.SASL = &own
	}
	if o.Rand == nil {
		o.Rand = rand.NewPCG(rand.Uint64(), rand.Uint64())
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// ParseServers splits a connect string, "host:port,host:port/chroot", into addresses and the chroot, "" if there is none. A host without
// port gets DefaultPort; IPv6 addresses stand in brackets.
func ParseServers(s string) (servers []string, chroot string, err error) {
	list := s
	if i := strings.IndexByte(s, '/'); i >= 0 {
		list, chroot = s[:i], s[i:]
		if err := zk.ValidatePath(chroot); err != nil {
			return nil, "", fmt.Errorf("client: connect string %q: chroot: %w", s, err)
		}
		if chroot == zk.Root {
			chroot = ""
		}
	}
	for part := range strings.SplitSeq(list, ",") {
		addr, err := parseServer(strings.TrimSpace(part))
		if err != nil {
			return nil, "", fmt.Errorf("client: connect string %q: %w", s, err)
		}
		servers = append(servers, addr)
	}
	return servers, chroot, nil
}

func parseServer(s string) (string, error) {
	if s == "" {
		return "", errors.New("a server without a name")
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = s, strconv.Itoa(DefaultPort)
		if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
			host = inner[:len(inner)-1]
		} else if strings.Contains(s, ":") {
			return "", fmt.Errorf("server %q: IPv6 addresses stand in brackets, as in [::1]:2181", s)
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("server %q: the port must be a number from 1 to 65535", s)
	}
	if host == "" || strings.ContainsAny(host, "[]") || strings.ContainsFunc(host, unicode.IsSpace) {
		return "", fmt.Errorf("server %q: no host, or one with a bracket or a space in it", s)
	}
	return net.JoinHostPort(host, port), nil
}
