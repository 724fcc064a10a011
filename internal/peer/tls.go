package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"gopherwood/internal/certs"
	"gopherwood/internal/sock"
)

// TLS protects the connections between members. With it a member has to show a certificate of a trusted authority (unless the source's
// ClientAuth says otherwise), and where the source checks names, one that names the host of the member that it says it is, or the address that
// it connects from.
type TLS struct {
	Source *certs.Source
	// Dial: other members are dialled with TLS.
	Dial bool
	// AlsoPlain: connections without TLS are taken, too, while the members change over.
	AlsoPlain bool
}

// tlsError is a failure of TLS, told apart from others in the log.
type tlsError struct{ err error }

func (e *tlsError) Error() string { return "peer: " + certs.Explain(e.err) + ": " + e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// errPlain says that a connection without TLS came to a member that takes none.
var errPlain = errors.New("peer: it does not speak TLS, which this server wants of members (sslQuorum)")

// protect is the accepting side's TLS, within the deadline that conn has.
func (t *Transport) protect(conn net.Conn) (net.Conn, error) {
	if t.cfg.TLS == nil {
		return conn, nil
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		return conn, err
	}
	conn = sock.Unread(conn, first)
	if !certs.IsTLS(first) {
		if t.cfg.TLS.AlsoPlain {
			return conn, nil
		}
		return conn, errPlain
	}
	c := t.cfg.TLS.Source.Server(conn)
	if err := c.Handshake(); err != nil {
		return conn, &tlsError{err}
	}
	return c, nil
}

// checkName says why the certificate that conn has shown is not that of the server that h says; nil if it is.
func (t *Transport) checkName(conn net.Conn, h hello) *RefusedError {
	c, ok := conn.(*certs.Conn)
	if !ok {
		return nil
	}
	var hosts []string
	if p := (*t.peers.Load())[h.from]; p != nil {
		if host, _, err := net.SplitHostPort(p.address()); err == nil {
			hosts = append(hosts, host)
		}
	}
	ctx, cancel := context.WithTimeout(t.ctx, t.cfg.HandshakeTimeout)
	defer cancel()
	if err := t.cfg.TLS.Source.CheckClientName(ctx, c.ConnectionState(), c.RemoteAddr(), hosts...); err != nil {
		return &RefusedError{Refusal: RefusedIdentity, Reason: err.Error() + " (ssl.quorum.clientHostnameVerification)"}
	}
	return nil
}

// secure is the dialling side's TLS to addr.
func (t *Transport) secure(conn net.Conn, addr string) (net.Conn, error) {
	if t.cfg.TLS == nil || !t.cfg.TLS.Dial {
		return conn, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return conn, err
	}
	if err := conn.SetDeadline(time.Now().Add(t.cfg.HandshakeTimeout)); err != nil {
		return conn, err
	}
	c := t.cfg.TLS.Source.Client(conn, host)
	if err := c.Handshake(); err != nil {
		return conn, &tlsError{err}
	}
	return c, nil
}

// explainAlert puts the other side's alert into words. With TLS 1.3 it comes when the dialling side has shaken hands already.
func explainAlert(err error) error {
	if err != nil && strings.Contains(err.Error(), "remote error: tls: ") {
		return &tlsError{err}
	}
	return err
}
