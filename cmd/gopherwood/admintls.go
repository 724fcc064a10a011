package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"gopherwood/internal/certs"
	"gopherwood/internal/sock"
)

// adminListener is a port of the HTTP server's. With a config its connections take TLS off themselves, in their first Read: so an accept loop waits for no
// client, and the server's deadlines bound the handshake.
type adminListener struct {
	net.Listener
	scheme string      // of its address for people
	config *tls.Config // nil: no TLS
	mixed  bool        // HTTP, too

	metrics bool // for metrics alone
}

// Accept implements net.Listener.
func (l adminListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || l.config == nil {
		return c, err
	}
	return &adminConn{Conn: c, config: l.config, mixed: l.mixed}, nil
}

// adminConn is a connection whose first byte tells whether it is TLS.
type adminConn struct {
	net.Conn
	config *tls.Config
	mixed  bool

	in     net.Conn                 // owned by the reader: what it reads without TLS; nil: not begun
	secure atomic.Pointer[tls.Conn] // nil: plain, or not begun
}

// onlyHTTPS answers a request without TLS.
const onlyHTTPS = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis port takes HTTPS only\n"

// refuseTimeout and refuseBytes bound what is read and thrown away after it.
const (
	refuseTimeout = time.Second
	refuseBytes   = 64 << 10
)

var errOnlyHTTPS = errors.New("a request without TLS, which the admin port does not take")

// Read implements net.Conn.
func (c *adminConn) Read(p []byte) (int, error) {
	if c.in == nil && len(p) > 0 {
		if err := c.begin(); err != nil {
			return 0, err
		}
	}
	if t := c.secure.Load(); t != nil {
		return t.Read(p)
	}
	if c.in == nil {
		return 0, nil
	}
	return c.in.Read(p)
}

// begin looks at the first byte.
func (c *adminConn) begin() error {
	first := make([]byte, 1)
	if _, err := c.Conn.Read(first); err != nil {
		return err
	}
	c.in = sock.Unread(c.Conn, first)
	switch {
	case certs.IsTLS(first):
		c.secure.Store(tls.Server(c.in, c.config))
	case !c.mixed:
		c.refuse()
		return errOnlyHTTPS
	}
	return nil
}

// refuse says what the port takes. What the client has sent is read, for closing would otherwise destroy the answer. Errors do not matter: the connection ends.
func (c *adminConn) refuse() {
	_ = c.Conn.SetDeadline(time.Now().Add(refuseTimeout))
	_, _ = io.WriteString(c.Conn, onlyHTTPS)
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, c.Conn, refuseBytes)
}

// Write implements net.Conn. Nothing is written before something was read.
func (c *adminConn) Write(p []byte) (int, error) {
	if t := c.secure.Load(); t != nil {
		return t.Write(p)
	}
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *adminConn) Close() error {
	if t := c.secure.Load(); t != nil {
		return t.Close()
	}
	return c.Conn.Close()
}

type connKey struct{}

// rememberConn lets a request find its connection.
func rememberConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// knowTLS gives requests that came by TLS their state of it, as the HTTP server itself does for listeners of its own.
func knowTLS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*adminConn); ok {
			if t := c.secure.Load(); t != nil {
				state := t.ConnectionState()
				r.TLS = &state
				w.Header().Set("Strict-Transport-Security", strictTransport)
			}
		}
		next.ServeHTTP(w, r)
	})
}
