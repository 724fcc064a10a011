package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"

	"gopherwood/internal/certs"
	"gopherwood/internal/sock"
	"gopherwood/internal/tree"
	"gopherwood/zk"
)

// TLS is taken off by the connection's reader, before the first frame: an accept loop never waits for a handshake. The time for a handshake of
// ZooKeeper's (Config.HandshakeTimeout) covers that of TLS, too. From then on the connection has no descriptor that others may use: its replies are
// sent by writers of their own, never by a flusher.

// aclSchemes are the schemes that ACLs may have on every server of an ensemble, whatever its configuration: what a command does must not depend on
// which of the servers has a certificate. Security decides which of them are taken at a server's edge.
var aclSchemes = []string{schemeX509, schemeSASL}

// treeOptions are those of the state.
var treeOptions = tree.Options{Schemes: aclSchemes}

// Mixed says whether a port with TLS takes connections without it as well.
type Mixed bool

// The two kinds of port with TLS.
const (
	OnlyTLS Mixed = false // secureClientPort
	AlsoTLS Mixed = true  // clientPort with client.portUnification
)

// guard is the TLS of one port.
type guard struct {
	source *certs.Source
	mixed  Mixed
}

// ServeTLS is Serve for a port with TLS.
func (s *Server) ServeTLS(l net.Listener, source *certs.Source, m Mixed) error {
	return s.serve(l, &guard{source, m})
}

// protect makes the connection one of TLS if its port is for that. The first byte tells whether the client speaks it.
func (c *conn) protect() error {
	if c.guard == nil {
		return nil
	}
	if err := c.fill(0); err != nil {
		if errors.Is(err, io.EOF) { // a port scan, a load balancer's probe
			return c.refuse(reasonQuiet)
		}
		return err
	}
	if !certs.IsTLS(c.in.bytes()) {
		if c.guard.mixed {
			return nil
		}
		c.srv.stats.tlsFails.Add(1)
		return &badRequest{"it does not speak TLS, which its port is for", beginning(c.in.bytes())}
	}
	n := c.srv.tlsHandshakes.Add(1)
	defer c.srv.tlsHandshakes.Add(-1)
	if limit := c.srv.cfg.MaxTLSHandshakes; limit > 0 && n > int64(limit) {
		c.srv.stats.tlsExceeded.Add(1)
		return c.refuse("too many TLS handshakes are under way (netty.server.outstandingHandshake.limit)")
	}
	if err := c.shakeHands(); err != nil {
		c.srv.stats.tlsFails.Add(1)
		return &badRequest{certs.Explain(err), err}
	}
	return nil
}

// shakeHands is the TLS handshake. What was read so far belongs to it.
func (c *conn) shakeHands() error {
	under := sock.Unread(sock.Wrap(c.nc), append([]byte(nil), c.in.bytes()...))
	c.in.release(c.srv)
	c.in.pos, c.in.end = 0, 0
	t := c.guard.source.Server(under)
	c.raw, c.stream = nil, t
	if err := t.Handshake(); err != nil {
		return err
	}
	state := t.ConnectionState()
	ctx, cancel := context.WithTimeout(context.Background(), c.srv.cfg.HandshakeTimeout)
	defer cancel()
	if err := c.guard.source.CheckClientName(ctx, state, c.nc.RemoteAddr()); err != nil {
		return err
	}
	return c.identify(&state)
}

// identify adds the identity of the client's certificate (X509AuthenticationProvider.handleAuthentication).
func (c *conn) identify(state *tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return nil
	}
	c.x509 = append(c.x509, c.srv.certificateIdentities(state)...)
	if identityBytes(c.x509) > maxIdentityBytes {
		return errTooManyIdentities
	}
	c.mu.Lock()
	c.auth = append(c.auth[:1:1], c.x509...)
	c.mu.Unlock()
	c.srv.log.Debug("a client has shown a certificate", "client", c, "subject", c.x509[len(c.x509)-1].ID)
	return nil
}

// certificateIdentities is what the certificate of a client proves, the super user first.
func (s *Server) certificateIdentities(state *tls.ConnectionState) (ids []zk.ID) {
	name := certs.Subject(state.PeerCertificates[0])
	if name == s.cfg.X509SuperUser && name != "" {
		ids = append(ids, zk.ID{Scheme: schemeSuper, ID: name})
	}
	return append(ids, zk.ID{Scheme: schemeX509, ID: name})
}

// beginning is an error that shows what a connection began with.
func beginning(b []byte) error { return fmt.Errorf("it began with %q", b[:min(len(b), 4)]) }

// farewell tells a client of TLS that nothing more comes, so that it can tell the end from a cut.
func (c *conn) farewell() {
	if t, ok := c.stream.(*certs.Conn); ok {
		_ = t.CloseWrite() // bounded by the deadline that it sets; the connection ends in any case
	}
}
