package main

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"

	"github.com/spf13/pflag"

	"gopherwood/internal/certs"
	"gopherwood/internal/peer"
	"gopherwood/internal/server"
)

// tlsFlags is what serve was told of TLS by flags. For what they do not say there is the file.
type tlsFlags struct {
	port       int
	host       string
	unified    bool
	clients    pemFiles
	clientAuth string
	superUser  string
	members    pemFiles
	mixed      bool
}

// pemFiles are flags for one kind of connection.
type pemFiles struct{ cert, key, ca string }

func (t *tlsFlags) flags(f *pflag.FlagSet) {
	f.IntVar(&t.port, "secure-client-port", 0, "port for clients with TLS; --client-port is then open only if it is given, too")
	f.StringVar(&t.host, "secure-client-address", "", "interface for --secure-client-port (default: all)")
	f.BoolVar(&t.unified, "tls-on-client-port", false, "take TLS on --client-port as well; the first byte of a connection tells")
	f.StringVar(&t.clients.cert, "tls-cert", "", "certificate that clients are shown, with its chain: PEM, PKCS #12 or JKS")
	f.StringVar(&t.clients.key, "tls-key", "", "its private key in PEM (default: in --tls-cert)")
	f.StringVar(&t.clients.ca, "tls-ca", "", "authorities (CA) of clients' certificates, which clients then have to show")
	f.StringVar(&t.clientAuth, "tls-client-auth", "", "need, want or none of clients' certificates (default: need with --tls-ca, else none)")
	f.StringVar(&t.superUser, "tls-super-user", "", "distinguished name whose certificate makes a super user, as in CN=admin,O=example")
	f.StringVar(&t.members.cert, "peer-tls-cert", "", "certificate that other servers are shown; makes all connections between servers TLS")
	f.StringVar(&t.members.key, "peer-tls-key", "", "its private key in PEM (default: in --peer-tls-cert)")
	f.StringVar(&t.members.ca, "peer-tls-ca", "", "authorities (CA) of the other servers' certificates")
	f.BoolVar(&t.mixed, "peer-tls-also-plain", false, "take connections of other servers without TLS, too, while they change over")
}

// material is the options of one kind of connections: the flags where there are some, and else the file's.
func (p *pemFiles) material(file certs.Options, keys, flags string) certs.Options {
	o := file
	o.Key.Setting, o.Trust.Setting, o.ClientAuthSetting = keys+"keyStore.location", keys+"trustStore.location", keys+"clientAuth"
	if p.cert != "" {
		o.Key = certs.Store{Setting: flags + "cert", File: p.cert, KeyFile: p.key}
		o.ClientAuthSetting = flags + "client-auth"
		if o.Trust.File == "" {
			o.Trust.Setting = flags + "ca"
		}
	}
	if p.ca != "" {
		o.Trust = certs.Store{Setting: flags + "ca", File: p.ca}
	}
	return o
}

// secured says whether clients get TLS on some port.
func (s *settings) secured() bool { return s.securePort() != 0 || s.unified() }

func (s *settings) securePort() int { return cmp.Or(s.tls.port, s.file.Secure.Port) }

func (s *settings) unified() bool { return s.tls.unified || s.file.Secure.Unified }

// isPlain says whether there is a port for clients without TLS: always, but for a server that was told a port with TLS and none without.
func (s *settings) isPlain() bool { return s.securePort() == 0 || s.plainGiven || s.unified() }

// clientMaterial is TLS for clients. Nil: there is none.
func (s *settings) clientMaterial(log *slog.Logger) (*certs.Source, error) {
	if !s.secured() {
		if s.tls.clients != (pemFiles{}) {
			return nil, usagef("--tls-cert, --tls-key and --tls-ca are of no use without a port; give --secure-client-port or --tls-on-client-port")
		}
		return nil, nil
	}
	o := s.tls.clients.material(s.file.Secure.TLS, "ssl.", "--tls-")
	o.Name, o.Log = "clients", log
	o.CheckClientName = o.CheckClientName && !o.AnyServerName
	switch auth, ok := certs.ParseClientAuth(s.tls.clientAuth); {
	case !ok:
		return nil, usagef("--tls-client-auth %q: give need, want or none", s.tls.clientAuth)
	case s.tls.clientAuth != "":
		o.ClientAuth = auth
	case s.tls.clients.cert != "" && o.Trust.File == "":
		o.ClientAuth = certs.ClientAuthNone
	}
	return openMaterial(o)
}

// memberMaterial is TLS between members. Nil: there is none.
func (s *settings) memberMaterial(log *slog.Logger) (*peer.TLS, error) {
	f := s.file.Secure
	if !f.Quorum && !f.QuorumUnified && s.tls.members.cert == "" {
		if s.tls.members != (pemFiles{}) || s.tls.mixed {
			return nil, usagef("--peer-tls-key, --peer-tls-ca and --peer-tls-also-plain are of no use without --peer-tls-cert")
		}
		return nil, nil
	}
	if f.QuorumUnified && !f.Quorum && s.tls.members.cert == "" && f.QuorumTLS.Key.File == "" {
		return nil, nil // portUnification alone asks for what there is without TLS
	}
	o := s.tls.members.material(f.QuorumTLS, "ssl.quorum.", "--peer-tls-")
	o.Name, o.Log = "members", log
	o.CheckClientName = !o.AnyServerName && !f.AnyMemberName
	source, err := openMaterial(o)
	if err != nil {
		return nil, err
	}
	return &peer.TLS{Source: source, Dial: f.Quorum || s.tls.members.cert != "", AlsoPlain: f.QuorumUnified || s.tls.mixed}, nil
}

func openMaterial(o certs.Options) (*certs.Source, error) {
	source, err := certs.Open(o)
	if err != nil {
		return nil, usageError{err}
	}
	source.Watch()
	return source, nil
}

// clientPorts are the ports for clients.
type clientPorts struct {
	secure  net.Listener  // nil: there is none
	source  *certs.Source // nil: no TLS
	unified bool          // plain takes TLS, too

	mu    sync.Mutex
	plain net.Listener // nil: there is none; see portMover
}

// openClientPorts takes the ports.
func (s *settings) openClientPorts(log *slog.Logger) (*clientPorts, error) {
	source, err := s.clientMaterial(log)
	if err != nil {
		return nil, err
	}
	p := &clientPorts{source: source, unified: s.unified()}
	if s.isPlain() {
		p.plain, err = s.listenClients("client-port", "clientPort", s.listen, s.clientPort)
	}
	if port := s.securePort(); err == nil && port != 0 {
		p.secure, err = s.listenClients("secure-client-port", "secureClientPort", cmp.Or(s.tls.host, s.file.Secure.Address), port)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *clientPorts) listeners() (all []net.Listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range []net.Listener{p.plain, p.secure} {
		if l != nil {
			all = append(all, l)
		}
	}
	return all
}

func (p *clientPorts) close() {
	if p.source != nil {
		p.source.Close()
	}
	for _, l := range p.listeners() {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			slog.Debug("closing a listener", "error", err)
		}
	}
}

// serve serves all ports; the first that ends says so.
func (p *clientPorts) serve(srv *server.Server, failed chan<- error) {
	if p.plain != nil {
		p.servePlain(srv, p.plain, failed)
	}
	if p.secure != nil {
		go func() { failed <- srv.ServeTLS(p.secure, p.source, server.OnlyTLS) }()
	}
}

// servePlain serves l until it is closed, which is no failure if another has taken its place.
func (p *clientPorts) servePlain(srv *server.Server, l net.Listener, failed chan<- error) {
	go func() {
		var err error
		if p.unified {
			err = srv.ServeTLS(l, p.source, server.AlsoTLS)
		} else {
			err = srv.Serve(l)
		}
		p.mu.Lock()
		replaced := p.plain != l
		p.mu.Unlock()
		if !replaced {
			failed <- err
		}
	}()
}

// replace makes l the port without TLS and returns the one before.
func (p *clientPorts) replace(l net.Listener) (old net.Listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, p.plain = p.plain, l
	return old
}

// port is the one without TLS; 0: there is none.
func (p *clientPorts) port() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.plain == nil {
		return 0
	}
	return p.plain.Addr().(*net.TCPAddr).Port
}

// secureAddr is the address with TLS; "": there is none.
func (p *clientPorts) secureAddr() string {
	switch {
	case p.secure != nil:
		return p.secure.Addr().String()
	case p.unified:
		return p.plain.Addr().String()
	}
	return ""
}

// describe is the ports for the log.
func (p *clientPorts) describe() (all []any) {
	if p.plain != nil {
		all = append(all, "clients", p.plain.Addr().String())
	}
	if p.secure != nil {
		all = append(all, "secureClients", p.secure.Addr().String())
	} else if p.unified {
		all = append(all, "tlsOnClientPort", strconv.FormatBool(true))
	}
	return all
}
