package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"gopherwood/internal/certs"
	"gopherwood/internal/certs/certtest"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// secureTest is the client's side of TLS, with the server's own certificate if it is asked for one.
func secureTest(nc net.Conn, source *certs.Source) net.Conn { return source.Client(nc, "localhost") }

// openSource is a source of test certificates.
func openSource(t testing.TB, ca *certtest.Authority, name string, auth certs.ClientAuth) *certs.Source {
	t.Helper()
	dir := t.TempDir()
	o := certs.Options{ClientAuth: auth, Log: slog.New(slog.DiscardHandler)}
	o.Trust.File = ca.File(t, dir, "ca.crt")
	if name != "" {
		o.Key.File, o.Key.KeyFile = ca.Issue(t, certtest.Leaf{Name: name}).Files(t, dir, "own")
	} else {
		o.DialOnly = true
	}
	s, err := certs.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// anonymousGuard is a port with TLS that asks for no certificate.
func anonymousGuard(t testing.TB) *guard {
	return &guard{source: openSource(t, certtest.NewAuthority(t, "CA"), "server", certs.ClientAuthNone)}
}

// through is a connection to members[0] that comes through g, without TLS yet.
func (e *ensemble) through(g *guard) net.Conn {
	e.t.Helper()
	near := e.dial2(func(far net.Conn) { e.members[0].server.serveConn(far, g) })
	if err := near.SetDeadline(time.Now().Add(testDeadline)); err != nil {
		e.t.Fatal(err)
	}
	return near
}

// dial2 makes a connection over loopback and hands its far end over.
func (e *ensemble) dial2(serve func(far net.Conn)) net.Conn {
	e.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		far, err := l.Accept()
		if err != nil {
			far = nil
		}
		accepted <- far
	}()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { near.Close() })
	far := <-accepted
	if far == nil {
		e.t.Fatal("nothing was accepted")
	}
	serve(far)
	return near
}

// TestTLSPorts: who speaks what to which port.
func TestTLSPorts(t *testing.T) {
	ca := certtest.NewAuthority(t, "CA")
	source := openSource(t, ca, "server", certs.ClientAuthNone)
	client := openSource(t, ca, "", certs.ClientAuthNone)
	secure := func(nc net.Conn) net.Conn { return client.Client(nc, "localhost") }
	plain := func(nc net.Conn) net.Conn { return nc }
	for _, c := range []struct {
		name   string
		g      *guard
		client func(net.Conn) net.Conn
		served bool
	}{
		{"TLS to TLS", &guard{source, OnlyTLS}, secure, true},
		{"plain to TLS", &guard{source, OnlyTLS}, plain, false},
		{"TLS to both", &guard{source, AlsoTLS}, secure, true},
		{"plain to both", &guard{source, AlsoTLS}, plain, true},
		{"TLS to plain", nil, secure, false},
		{"plain to plain", nil, plain, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnsemble(t, 1, nil)
			word := c.client(e.through(c.g))
			_, err := io.WriteString(word, "ruok")
			answer, readErr := io.ReadAll(word)
			if err = errors.Join(err, readErr); c.served != (string(answer) == "imok" && err == nil) {
				t.Errorf("ruok: %q, %v", answer, err)
			}
			if !c.served {
				return
			}
			zc := newClient(t, c.client(e.through(c.g)))
			zc.connect()
			zc.create("/a", strings.Repeat("x", 900_000), zk.ModePersistent)
			for range 8 { // more than fits into the socket's buffers
				zc.send(zk.OpGetData, &wire.GetDataRequest{Path: "/a", Watch: true})
			}
			for range 8 {
				h, d := zc.reply()
				if data, _, code := getReply(h, d); code != zk.OK || len(data) != 900_000 {
					t.Fatalf("%v, %d bytes", code, len(data))
				}
			}
			other := newClient(t, c.client(e.through(c.g)))
			other.connect()
			other.must(zk.OpSetData, setReq("/a", "y"))
			if got := zc.seen(); !strings.HasPrefix(got, "changed /a") {
				t.Errorf("events: %q", got)
			}
			zc.must(zk.OpCloseSession, nil)
			if n, err := zc.nc.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("after the end of the session: %d, %v; want a clean end", n, err)
			}
		})
	}
}

// TestX509 shows what a certificate is good for in ACLs.
func TestX509(t *testing.T) {
	ca := certtest.NewAuthority(t, "CA")
	g := &guard{source: openSource(t, ca, "server", certs.ClientAuthWant)}
	e := newEnsemble(t, 1, func(c *Config) { c.X509SuperUser = "CN=root" })
	as := func(name string) *rawClient {
		c := newClient(t, openSource(t, ca, name, certs.ClientAuthNone).Client(e.through(g), "localhost"))
		c.connect()
		return c
	}
	alice, bob, root, nobody := as("alice"), as("bob"), as("root"), as("")
	mine := &wire.CreateRequest{Path: "/mine", Data: []byte("hers"), ACL: []zk.ACL{{Perms: zk.PermAll, ID: zk.ID{Scheme: "auth"}}}}
	alice.must(zk.OpCreate, mine)
	bobs := &wire.CreateRequest{Path: "/bobs", Data: []byte("his"), ACL: []zk.ACL{{Perms: zk.PermRead, ID: zk.ID{Scheme: "x509", ID: "CN=bob"}}}}
	nobody.must(zk.OpCreate, bobs)
	for _, c := range []struct {
		who  string
		c    *rawClient
		path string
		want zk.Code
	}{
		{"alice", alice, "/mine", zk.OK}, {"bob", bob, "/mine", zk.ErrNoAuth}, {"nobody", nobody, "/mine", zk.ErrNoAuth}, {"root", root, "/mine", zk.OK},
		{"alice", alice, "/bobs", zk.ErrNoAuth}, {"bob", bob, "/bobs", zk.OK}, {"nobody", nobody, "/bobs", zk.ErrNoAuth},
	} {
		if _, _, code := c.c.get(c.path, false); code != c.want {
			t.Errorf("%s reads %s: %v, want %v", c.who, c.path, code, c.want)
		}
	}
	d := alice.must(zk.OpWhoAmI, nil)
	var who wire.WhoAmIResponse
	who.Decode(d)
	if len(who.ClientInfo) != 2 || who.ClientInfo[0].AuthScheme != "ip" || who.ClientInfo[1] != (wire.ClientInfo{AuthScheme: "x509", User: "CN=alice"}) {
		t.Errorf("alice is %+v", who.ClientInfo)
	}
	alice.must(zk.OpAuth, &wire.AuthPacket{Scheme: "x509"}) // says again what is known
	if h, _ := nobody.call(zk.OpAuth, &wire.AuthPacket{Scheme: "x509", Auth: []byte("CN=alice")}); h.Err != zk.ErrAuthFailed {
		t.Errorf("an identity without a certificate: %v", h.Err)
	}
	bad := &wire.CreateRequest{Path: "/bad", ACL: []zk.ACL{{Perms: zk.PermAll, ID: zk.ID{Scheme: "x509", ID: "bob"}}}}
	if h, _ := bob.call(zk.OpCreate, bad); h.Err != zk.ErrInvalidACL {
		t.Errorf("an entry that is no name: %v", h.Err)
	}
}

// logged is a log that tests read.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *logged) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// TestTLSRefused: each kind of bad beginning ends the connection, with a line that says why.
func TestTLSRefused(t *testing.T) {
	ca, foreign := certtest.NewAuthority(t, "CA"), certtest.NewAuthority(t, "foreign")
	g := &guard{source: openSource(t, ca, "server", certs.ClientAuthNeed)}
	var hello []byte
	{
		near, far := net.Pipe()
		go func() { _ = tls.Client(near, &tls.Config{ServerName: "localhost"}).Handshake() }()
		b := make([]byte, 4096)
		n, err := far.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		hello = b[:n]
		far.Close()
	}
	send := func(b []byte) func(net.Conn) {
		return func(nc net.Conn) {
			if _, err := nc.Write(b); err != nil {
				t.Error(err)
			}
			_ = nc.(*net.TCPConn).CloseWrite()
		}
	}
	show := func(of *certtest.Authority, l certtest.Leaf) func(net.Conn) {
		pair := of.Issue(t, l)
		return func(nc net.Conn) {
			cert := tls.Certificate{Certificate: [][]byte{pair.Cert.Raw}, PrivateKey: pair.Key}
			_ = tls.Client(nc, &tls.Config{InsecureSkipVerify: true,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }}).Handshake()
		}
	}
	for _, c := range []struct {
		name   string
		client func(net.Conn)
		want   string
	}{
		{"garbage", send([]byte("\x16garbage of some length")), "it does not speak TLS"},
		{"a plain frame", send([]byte{0, 0, 0, 45, 0, 0, 0, 0}), "it does not speak TLS, which its port is for"},
		{"cut", send(hello[:len(hello)/2]), "it hung up in the TLS handshake"},
		{"cut after one byte", send(hello[:1]), "it hung up in the TLS handshake"},
		{"damaged", send(append(append([]byte{}, hello[:60]...), bytes.Repeat([]byte{0xff}, len(hello)-60)...)), "the TLS handshake failed"},
		{"no certificate", func(nc net.Conn) { _ = tls.Client(nc, &tls.Config{InsecureSkipVerify: true}).Handshake() }, "it has shown no certificate"},
		{"a foreign certificate", show(foreign, certtest.Leaf{Name: "mallory"}), "no authority in the trust store has signed it (CN=mallory)"},
		{"an expired certificate", show(ca, certtest.Leaf{Name: "old", NotAfter: time.Now().Add(-time.Minute)}), "it has expired, or is not valid yet (CN=old)"},
		{"an old version", func(nc net.Conn) {
			_ = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Handshake()
		}, "the TLS handshake failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := &logged{}
			e := newEnsemble(t, 1, func(cfg *Config) { cfg.Log = slog.New(slog.NewTextHandler(log, nil)) })
			nc := e.through(g)
			c.client(nc)
			if _, err := io.Copy(io.Discard, nc); err != nil && !isHangUp(err) {
				t.Errorf("the end of the connection: %v", err)
			}
			e.members[0].server.awaitNoConns(t)
			if !strings.Contains(log.String(), c.want) {
				t.Errorf("the log does not say %q:\n%s", c.want, log.String())
			}
			if n := e.members[0].server.stats.tlsFails.Load(); n != 1 {
				t.Errorf("counted %d failed handshakes", n)
			}
		})
	}
}

// awaitNoConns waits until every connection has been taken down.
func (s *Server) awaitNoConns(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(testDeadline); s.connCount.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the connection is still there")
		}
	}
}

// TestTLSSlow: a handshake that does not go on ends after the time for handshakes, and costs no accept loop nor another client anything.
func TestTLSSlow(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.HandshakeTimeout = time.Minute; c.MaxTLSHandshakes = 2 })
	g := anonymousGuard(t)
	s := e.members[0].server
	silent, begun, second := e.through(g), e.through(g), e.through(g)
	for _, nc := range []net.Conn{begun, second} {
		if _, err := nc.Write([]byte{0x16, 3, 1}); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(testDeadline); s.tlsHandshakes.Load() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the handshakes have not begun")
		}
	}
	third := e.through(g)
	if _, err := third.Write([]byte{0x16}); err != nil {
		t.Fatal(err)
	}
	if n, err := third.Read(make([]byte, 1)); n != 0 || err == nil || s.stats.tlsExceeded.Load() != 1 {
		t.Errorf("a third handshake at a time: %d, %v", n, err)
	}
	second.Close()
	for end := time.Now().Add(testDeadline); s.tlsHandshakes.Load() > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the second handshake has not ended")
		}
	}
	c := newClient(t, secureTest(e.through(g), g.source))
	c.connect()
	s.Housekeep(time.Duration(s.now()) + 2*time.Minute)
	for _, nc := range []net.Conn{silent, begun} {
		if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("a silent connection was not closed: %d, %v", n, err)
		}
	}
	c.must(zk.OpPing, nil)
}

// TestTLSDeaf: a client of TLS that reads nothing holds up nobody: neither the loop nor the flushers.
func TestTLSDeaf(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	g := anonymousGuard(t)
	setup := e.client(0)
	setup.create("/a", strings.Repeat("x", 500_000), zk.ModePersistent)
	deaf := newClient(t, secureTest(e.through(g), g.source))
	deaf.connect()
	for range 40 {
		deaf.send(zk.OpGetData, &wire.GetDataRequest{Path: "/a", Watch: true})
		deaf.send(zk.OpSetData, setReq("/zookeeper", "y"))
	}
	other := newClient(t, secureTest(e.through(g), g.source))
	other.connect()
	for range 100 {
		other.must(zk.OpSetData, setReq("/zookeeper", "z"))
	}
}
