package certs

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"gopherwood/internal/certs/certtest"
)

// side is one end of a connection under test.
type side struct {
	leaf  certtest.Leaf
	of    *certtest.Authority // who signed its certificate; nil: it has none
	trust *certtest.Authority
	rules Options
}

func (s side) open(t *testing.T, dialOnly bool) *Source {
	t.Helper()
	o := s.rules
	o.DialOnly = dialOnly
	o.Key.Setting, o.Trust.Setting, o.ClientAuthSetting = "ssl.keyStore.location", "ssl.trustStore.location", "ssl.clientAuth"
	dir := t.TempDir()
	if s.of != nil {
		o.Key.File, o.Key.KeyFile = s.of.Issue(t, s.leaf).Files(t, dir, "own")
	}
	if s.trust != nil {
		o.Trust.File = s.trust.File(t, dir, "ca.crt")
	}
	o.Log = slog.New(slog.DiscardHandler)
	source, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// meet makes a TLS connection over loopback, sends a byte each way, and returns what each side says.
func meet(t *testing.T, server, client *Source, host string) (atServer, atClient error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		nc, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer nc.Close()
		c := server.Server(nc)
		err = c.Handshake()
		if err == nil {
			err = server.CheckClientName(t.Context(), c.ConnectionState(), nc.RemoteAddr())
		}
		if err == nil {
			_, err = c.Write([]byte{1})
		}
		done <- err
	}()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	config := client.ClientConfig()
	config.ServerName = host
	_, atClient = tls.Client(nc, config).Read(make([]byte, 1))
	if atClient != nil {
		nc.Close()
	}
	return <-done, atClient
}

func TestHandshakes(t *testing.T) {
	ours, foreign := certtest.NewAuthority(t, "ours"), certtest.NewAuthority(t, "foreign")
	good := side{leaf: certtest.Leaf{Name: "good"}, of: ours, trust: ours}
	with := func(s side, change func(*side)) side { change(&s); return s }
	for _, c := range []struct {
		name           string
		server, client side
		host           string
		atServer       string // how the explanation begins; "": no error
		atClient       string
	}{
		{"mutual", good, good, "127.0.0.1", "", ""},
		{"by name", good, good, "localhost", "", ""},
		{"a client without a certificate", good, side{trust: ours}, "localhost", "it has shown no certificate", "it refused: certificate required"},
		{"a client that none is asked of", with(good, func(s *side) { s.rules.ClientAuth = ClientAuthNone }), side{trust: ours}, "localhost", "", ""},
		{"a client that one is wanted of", with(good, func(s *side) { s.rules.ClientAuth = ClientAuthWant }), side{trust: ours}, "localhost", "", ""},
		{"a foreign client that one is wanted of", with(good, func(s *side) { s.rules.ClientAuth = ClientAuthWant }), side{of: foreign, trust: ours}, "localhost",
			"its certificate is not accepted: no authority in the trust store", "it refused: unknown certificate authority"},
		{"a foreign client", good, side{of: foreign, trust: ours}, "localhost", "its certificate is not accepted: no authority in the trust store", "it refused: "},
		{"a foreign server", side{of: foreign, trust: ours}, good, "localhost", "it refused: bad certificate", "its certificate is not accepted: no authority"},
		{"an expired client", good, side{leaf: certtest.Leaf{NotAfter: time.Now().Add(-time.Minute)}, of: ours, trust: ours}, "localhost",
			"its certificate is not accepted: it has expired", "it refused: expired certificate"},
		{"an expired server", side{leaf: certtest.Leaf{NotAfter: time.Now().Add(-time.Minute)}, of: ours, trust: ours}, good, "localhost", "it refused: ",
			"its certificate is not accepted: it has expired"},
		{"a server for clients only", side{leaf: certtest.Leaf{ClientOnly: true}, of: ours, trust: ours}, good, "localhost", "it refused: ",
			"its certificate is not accepted: its extended key usage"},
		{"another server's name", good, good, "zoo7", "it refused: bad certificate", "its certificate is not accepted: it does not name zoo7"},
		{"another server's name that does not matter", good, with(good, func(s *side) { s.rules.AnyServerName = true }), "zoo7", "", ""},
		{"a foreign server, whatever its name", side{of: foreign, trust: ours}, with(good, func(s *side) { s.rules.AnyServerName = true }), "zoo7", "it refused: ",
			"its certificate is not accepted: no authority"},
		{"a client's name", with(good, func(s *side) { s.rules.CheckClientName = true }), good, "localhost", "", ""},
		{"a client's wrong name", with(good, func(s *side) { s.rules.CheckClientName = true }), with(good, func(s *side) { s.leaf.Hosts = []string{"zoo9"} }), "localhost",
			"the TLS handshake failed", "it hung up"},
		{"no common version", with(good, func(s *side) { s.rules.Versions = Versions{Max: tls.VersionTLS12} }),
			with(good, func(s *side) { s.rules.Versions = Versions{Min: tls.VersionTLS13} }), "localhost", "the TLS handshake failed", "it refused: protocol version not supported"},
	} {
		atServer, atClient := meet(t, c.server.open(t, false), c.client.open(t, true), c.host)
		for _, e := range []struct {
			who  string
			err  error
			want string
		}{{"server", atServer, c.atServer}, {"client", atClient, c.atClient}} {
			got := ""
			if e.err != nil {
				got = Explain(e.err)
			}
			if (e.want == "") != (e.err == nil) || !strings.HasPrefix(got, e.want) {
				t.Errorf("%s: the %s says %q (%v), want %q", c.name, e.who, got, e.err, e.want)
			}
		}
	}
}

func TestOpenNamesWhatIsMissing(t *testing.T) {
	ca := certtest.NewAuthority(t, "CA")
	dir := t.TempDir()
	key := Store{Setting: "ssl.keyStore.location", File: ca.Issue(t, certtest.Leaf{}).File(t, dir, "own.pem")}
	noKey, noTrust := Store{Setting: "ssl.keyStore.location"}, Store{Setting: "ssl.trustStore.location"}
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Key: noKey, Trust: noTrust}, "ssl.keyStore.location is missing"},
		{Options{Key: key, Trust: noTrust, ClientAuthSetting: "ssl.clientAuth"}, "ssl.trustStore.location is missing; it names the authorities of the certificates that the other side has to show (or set ssl.clientAuth to none)"},
		{Options{Key: key, ClientAuth: ClientAuthNone, Versions: Versions{Max: tls.VersionTLS12}, Suites: Suites{TLS13: true, Given: true}}, "nothing in common"},
	} {
		if _, err := Open(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// TestRefresh: changed files are used for new connections; ones that cannot be used are not, and that is said once.
func TestRefresh(t *testing.T) {
	var log bytes.Buffer
	dir := t.TempDir()
	first, second := certtest.NewAuthority(t, "first"), certtest.NewAuthority(t, "second")
	cert, key := first.Issue(t, certtest.Leaf{Name: "one"}).Files(t, dir, "own")
	s, err := Open(Options{Name: "clients", Key: Store{File: cert, KeyFile: key}, ClientAuth: ClientAuthNone, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	trusts := func(ca *certtest.Authority) bool {
		_, atClient := meet(t, s, side{trust: ca}.open(t, true), "localhost")
		return atClient == nil
	}
	if !trusts(first) || trusts(second) {
		t.Fatal("the first certificate is not in use")
	}
	s.refresh()
	if log.Len() > 0 {
		t.Errorf("nothing has changed, and it said: %s", log.String())
	}
	next := second.Issue(t, certtest.Leaf{Name: "two"})
	nextCert, nextKey := next.Files(t, t.TempDir(), "next")
	if err := os.Rename(nextCert, cert); err != nil { // the pair does not fit now
		t.Fatal(err)
	}
	s.refresh()
	s.refresh()
	if n := strings.Count(log.String(), "the changed files cannot be used"); n != 1 {
		t.Errorf("said %d times that the files cannot be used: %s", n, log.String())
	}
	if !trusts(first) {
		t.Error("the first certificate is not in use any more")
	}
	if err := os.Rename(nextKey, key); err != nil {
		t.Fatal(err)
	}
	s.refresh()
	if !strings.Contains(log.String(), "certificates were read again") || !strings.Contains(log.String(), "CN=two") {
		t.Errorf("the log: %s", log.String())
	}
	if trusts(first) || !trusts(second) {
		t.Error("the second certificate is not in use")
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	s.refresh()
	if !trusts(second) || !strings.Contains(log.String(), "no such file") {
		t.Errorf("after the key was removed: %s", log.String())
	}
	s.Watch()
	s.Close()
	s.Close()
}

func TestRules(t *testing.T) {
	for s, want := range map[string]Versions{
		"TLS": {}, "TLSv1.2": {tls.VersionTLS12, tls.VersionTLS12}, "tlsv1.3": {tls.VersionTLS12, tls.VersionTLS13}, "TLSv1.1": {tls.VersionTLS11, tls.VersionTLS11},
	} {
		if v, bad := ParseProtocol(s); bad != "" || v != want {
			t.Errorf("%s: %v, %q", s, v, bad)
		}
	}
	for s, want := range map[string]Versions{
		"TLSv1.2,TLSv1.3": {tls.VersionTLS12, tls.VersionTLS13}, "TLSv1.3": {tls.VersionTLS13, tls.VersionTLS13}, "SSLv2Hello, TLSv1.2": {tls.VersionTLS12, tls.VersionTLS12},
	} {
		if v, bad := ParseProtocols(s); bad != "" || v != want {
			t.Errorf("%s: %v, %q", s, v, bad)
		}
	}
	for _, s := range []string{"", "SSLv3", "TLSv1.1,TLSv1.3", "TLSv9"} {
		if _, bad := ParseProtocols(s); bad == "" {
			t.Errorf("%q is accepted", s)
		}
	}
	u, bad := ParseSuites("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_DHE_RSA_WITH_AES_128_GCM_SHA256")
	if bad != "" || len(u.IDs) != 1 || u.TLS13 || len(u.Skipped) != 1 {
		t.Errorf("suites: %+v, %q", u, bad)
	}
	var c tls.Config
	if err := u.apply(&c, Versions{}); err != nil || c.MaxVersion != tls.VersionTLS12 {
		t.Errorf("suites of TLS 1.2 alone: up to %x, %v", c.MaxVersion, err)
	}
	if u, bad = ParseSuites("TLS_AES_128_GCM_SHA256"); bad != "" || !u.TLS13 {
		t.Errorf("suites: %+v, %q", u, bad)
	}
	if err := u.apply(&c, Versions{}); err != nil || c.MinVersion != tls.VersionTLS13 {
		t.Errorf("suites of TLS 1.3 alone: from %x, %v", c.MinVersion, err)
	}
	if _, bad = ParseSuites("TLS_NO_SUCH"); bad == "" {
		t.Error("unknown suites alone are accepted")
	}
	if a, ok := ParseClientAuth("WANT"); !ok || a != ClientAuthWant {
		t.Errorf("want: %v, %v", a, ok)
	}
	if _, ok := ParseClientAuth("maybe"); ok {
		t.Error("maybe is accepted")
	}
	if CheckType("pem") != "" || CheckType("BCFKS") == "" || CheckType("doc") == "" {
		t.Error("types of stores")
	}
}
