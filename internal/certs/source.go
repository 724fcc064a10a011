package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what a Source works with. Open copies it.
type Options struct {
	// Name is what the material is for ("clients", "members"), for the log.
	Name string
	// Key holds our own certificate chain and its private key. Who accepts connections needs it.
	Key Store
	// Trust holds the authorities that others' certificates have to come from. None: the system's for those that are dialled; who accepts
	// connections has to have ClientAuthNone then.
	Trust Store
	// ClientAuth is whether those that connect show a certificate. Zero: they have to.
	ClientAuth ClientAuth
	// ClientAuthSetting is what that is called where it was set, for errors.
	ClientAuthSetting string
	Versions          Versions
	Suites            Suites
	// AnyServerName: the certificate of a server that is dialled need not name it.
	AnyServerName bool
	// CheckClientName: the certificate of who connects has to name where it connects from; see Source.CheckClientName.
	CheckClientName bool
	// ReverseDNS lets CheckClientName ask what an address is called.
	ReverseDNS bool
	// Fixed: the files are read once (client.certReload=false).
	Fixed bool
	// DialOnly: no connections are accepted, so that there need not be a key.
	DialOnly bool
	// Log is told of changes. Nil: slog.Default().
	Log *slog.Logger
}

// validate says what is missing, in a sentence that names the setting.
func (o *Options) validate() error {
	switch {
	case !o.DialOnly && !o.Key.given():
		return fmt.Errorf("%s is missing; TLS needs a certificate and its private key, in a file that it names", o.Key.Setting)
	case !o.DialOnly && !o.Trust.given() && o.ClientAuth != ClientAuthNone:
		return fmt.Errorf("%s is missing; it names the authorities of the certificates that the other side has to show (or set %s to none)",
			o.Trust.Setting, o.ClientAuthSetting)
	}
	return nil
}

// Source is key material that follows its files. Any goroutine may use it.
type Source struct {
	// constant
	opts  Options
	log   *slog.Logger
	files []string

	material atomic.Pointer[material]

	// owned by the watcher, before Watch by Open
	stamps []stamp

	quit    chan struct{}
	closing sync.Once
	wg      sync.WaitGroup // the watcher
}

// material is what one reading of the files gave. It is never changed.
type material struct {
	server *tls.Config // nil for DialOnly
	client *tls.Config
}

// stamp is what a file looked like.
type stamp struct {
	info os.FileInfo // nil: not there
}

func (s stamp) same(o stamp) bool {
	if s.info == nil || o.info == nil {
		return s.info == nil && o.info == nil
	}
	return os.SameFile(s.info, o.info) && s.info.Size() == o.info.Size() && s.info.ModTime().Equal(o.info.ModTime())
}

// Open reads the files. The error is one sentence that names the setting, the file and the remedy.
func Open(o Options) (*Source, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Source{opts: o, log: o.Log, quit: make(chan struct{})}
	s.files = append(o.Key.files(), o.Trust.files()...)
	slices.Sort(s.files)
	s.files = slices.Compact(s.files)
	s.stamps = s.look()
	m, err := s.load()
	if err != nil {
		return nil, err
	}
	s.material.Store(m)
	if len(o.Suites.Skipped) > 0 {
		s.log.Warn("TLS: cipher suites that there are none of here were left out", "for", o.Name, "suites", o.Suites.Skipped)
	}
	return s, nil
}

// Watch starts the goroutine that reads the files again when they change, until Close.
func (s *Source) Watch() {
	if !s.opts.Fixed && len(s.files) > 0 {
		s.wg.Go(s.watch)
	}
}

// Close ends the watching. The material stays usable. It is idempotent.
func (s *Source) Close() {
	s.closing.Do(func() { close(s.quit) })
	s.wg.Wait()
}

func (s *Source) watch() {
	tick := time.NewTicker(WatchInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.refresh()
		case <-s.quit:
			return
		}
	}
}

// refresh reads the files if they have changed since they were read last. What cannot be used is told once, until the files change again:
// whoever replaces two files one after the other has a pair in between that does not fit.
func (s *Source) refresh() {
	now := s.look()
	if slices.EqualFunc(now, s.stamps, stamp.same) {
		return
	}
	s.stamps = now
	m, err := s.load()
	if err != nil {
		s.log.Error("TLS: the changed files cannot be used, so the certificates from before stay in use", "for", s.opts.Name, "error", err)
		return
	}
	s.material.Store(m)
	s.log.Info("TLS: certificates were read again; new connections use them", append([]any{"for", s.opts.Name}, m.describe()...)...)
}

func (s *Source) look() []stamp {
	var all []stamp
	for _, f := range s.files {
		info, err := os.Stat(f)
		if err != nil {
			info = nil
		}
		all = append(all, stamp{info})
	}
	return all
}

// load reads the files and makes the configurations.
func (s *Source) load() (*material, error) {
	o := &s.opts
	var own []tls.Certificate
	if o.Key.given() {
		pair, err := o.Key.pair()
		if err != nil {
			return nil, err
		}
		own = append(own, pair)
		s.warnOfExpiry(pair.Leaf)
	}
	var roots *x509.CertPool
	if o.Trust.given() {
		var err error
		if roots, _, err = o.Trust.authorities(); err != nil {
			return nil, err
		}
	}
	m := &material{client: &tls.Config{Certificates: own, RootCAs: roots}}
	if err := o.Suites.apply(m.client, o.Versions); err != nil {
		return nil, err
	}
	if len(own) > 0 { // shown to whoever asks, so that one that is not accepted is told apart from none
		m.client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own[0], nil }
	}
	if o.AnyServerName {
		m.client.InsecureSkipVerify = true // replaced by:
		m.client.VerifyConnection = verifyChain(roots)
	}
	if o.DialOnly {
		return m, nil
	}
	m.server = &tls.Config{
		Certificates: own, ClientCAs: roots, ClientAuth: o.ClientAuth.tls(),
		DynamicRecordSizingDisabled: true, // the small records at a connection's start would each be a system call
	}
	return m, o.Suites.apply(m.server, o.Versions)
}

func (a ClientAuth) tls() tls.ClientAuthType {
	switch a {
	case ClientAuthNone:
		return tls.NoClientCert
	case ClientAuthWant:
		return tls.VerifyClientCertIfGiven
	}
	return tls.RequireAndVerifyClientCert
}

// verifyChain is the check of a server's certificate without that of its name.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server has shown no certificate")
		}
		o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			o.Intermediates.AddCert(c)
		}
		if _, err := state.PeerCertificates[0].Verify(o); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		return nil
	}
}

func (s *Source) warnOfExpiry(c *x509.Certificate) {
	switch now := time.Now(); {
	case now.After(c.NotAfter):
		s.log.Warn("TLS: this server's certificate has expired; others will refuse it", "for", s.opts.Name, "subject", Subject(c), "until", c.NotAfter)
	case now.Before(c.NotBefore):
		s.log.Warn("TLS: this server's certificate is not valid yet; others will refuse it", "for", s.opts.Name, "subject", Subject(c), "from", c.NotBefore)
	case now.Add(expirySoon).After(c.NotAfter):
		s.log.Warn("TLS: this server's certificate expires soon", "for", s.opts.Name, "subject", Subject(c), "until", c.NotAfter)
	}
}

// describe is the material in a log line.
func (m *material) describe() []any {
	if len(m.client.Certificates) == 0 {
		return nil
	}
	leaf := m.client.Certificates[0].Leaf
	return []any{"subject", Subject(leaf), "until", leaf.NotAfter.UTC().Format(time.RFC3339), "serial", leaf.SerialNumber.Text(16)}
}

// Describe is the present material as pairs for a log line.
func (s *Source) Describe() []any { return s.material.Load().describe() }

// Conn is a TLS connection whose Close closes what is beneath it at once. (tls.Conn's own would first send an alert, and wait for
// a peer that does not read.) Its handshake is made by the first Read or Write, or by Handshake.
type Conn struct {
	*tls.Conn
	under net.Conn
}

// Close closes the connection beneath.
func (c *Conn) Close() error { return c.under.Close() }

// Server is the accepting side of TLS on nc.
func (s *Source) Server(nc net.Conn) *Conn {
	return &Conn{tls.Server(nc, s.material.Load().server), nc}
}

// Client is the dialling side of TLS on nc, to host, which is a name or an address without its port.
func (s *Source) Client(nc net.Conn, host string) *Conn {
	config := s.material.Load().client.Clone()
	config.ServerName = host
	return &Conn{tls.Client(nc, config), nc}
}

// ServerConfig is a configuration for those who accept by themselves. It follows the files.
func (s *Source) ServerConfig() *tls.Config {
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.material.Load().server, nil }}
}

// ClientConfig is the present configuration for those who dial by themselves; they set ServerName. It does not follow the files.
func (s *Source) ClientConfig() *tls.Config { return s.material.Load().client.Clone() }

// ClientAuth is whether those that connect show a certificate.
func (s *Source) ClientAuth() ClientAuth { return s.opts.ClientAuth }

// CheckClientName looks whether the certificate of who connected names the address that it connects from, or one of the hosts given, or with
// ReverseDNS a name of that address (ZKTrustManager.performHostVerification). Nil without Options.CheckClientName. It may wait for DNS.
func (s *Source) CheckClientName(ctx context.Context, state tls.ConnectionState, remote net.Addr, hosts ...string) error {
	if !s.opts.CheckClientName || len(state.PeerCertificates) == 0 {
		return nil
	}
	leaf := state.PeerCertificates[0]
	address, _, err := net.SplitHostPort(remote.String())
	if err != nil {
		return err
	}
	for _, h := range append(hosts, address) {
		if leaf.VerifyHostname(h) == nil {
			return nil
		}
	}
	if s.opts.ReverseDNS {
		names, err := net.DefaultResolver.LookupAddr(ctx, address)
		if err != nil {
			return fmt.Errorf("its certificate, of %s, does not name its address %s, which has no name either: %w", Subject(leaf), address, err)
		}
		if slices.ContainsFunc(names, func(n string) bool { return leaf.VerifyHostname(n) == nil }) {
			return nil
		}
	}
	return fmt.Errorf("its certificate, of %s, names neither its address %s nor its host", Subject(leaf), address)
}
