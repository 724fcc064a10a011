package e2e

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"gopherwood/client"
	"gopherwood/e2e/internal/ensemble"
	"gopherwood/internal/certs"
	"gopherwood/internal/certs/certtest"
)

// keys are the files of one test: authorities and, signed by ours, certificates by name.
type keys struct {
	dir           string
	ours, foreign *certtest.Authority
	pairs         map[string]*certtest.Pair
}

func newKeys(t *testing.T) *keys {
	k := &keys{dir: t.TempDir(), ours: certtest.NewAuthority(t, "ours"), foreign: certtest.NewAuthority(t, "foreign"), pairs: map[string]*certtest.Pair{}}
	k.ours.File(t, k.dir, "ca.pem")
	k.foreign.File(t, k.dir, "foreign-ca.pem")
	for _, name := range []string{"server", "alice", "bob", "root"} {
		k.issue(t, k.ours, name)
	}
	k.issue(t, k.foreign, "mallory")
	return k
}

// issue makes name.pem, with key and certificate, name.crt and name.key.
func (k *keys) issue(t *testing.T, by *certtest.Authority, name string) {
	t.Helper()
	pair := by.Issue(t, certtest.Leaf{Name: name})
	k.pairs[name] = pair
	pair.File(t, k.dir, name+".pem")
	pair.Files(t, k.dir, name)
}

func (k *keys) in(name string) string { return filepath.Join(k.dir, name) }

// java are the properties with which ZooKeeper's Java client speaks TLS; name "": it shows no certificate.
func (k *keys) java(name, ca string) []string {
	p := []string{"-Dzookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty", "-Dzookeeper.client.secure=true",
		"-Dzookeeper.ssl.trustStore.location=" + k.in(ca)}
	if name != "" {
		p = append(p, "-Dzookeeper.ssl.keyStore.location="+k.in(name+".pem"))
	}
	return p
}

// tool are the flags with which our shell tool speaks TLS.
func (k *keys) tool(name string) []string {
	return []string{"--tls-ca", k.in("ca.pem"), "--tls-cert", k.in(name + ".crt"), "--tls-key", k.in(name + ".key"), "--timeout", "10s"}
}

// TestTLS: three servers that speak TLS with each other and, on one port with those who do not, with clients: ours, ZooKeeper's Java client
// and kazoo; accepted and refused, x509 ACLs that grant and deny, a super user.
func TestTLS(t *testing.T) {
	need(t)
	k := newKeys(t)
	e := ensemble.Start(t, ensemble.Options{Servers: 3, Config: []string{
		"client.portUnification=true", "ssl.keyStore.location=" + k.in("server.pem"), "ssl.trustStore.location=" + k.in("ca.pem"), "ssl.clientAuth=need",
		"X509AuthenticationProvider.superUser=CN=root",
		"sslQuorum=true", "ssl.quorum.keyStore.location=" + k.in("server.pem"), "ssl.quorum.trustStore.location=" + k.in("ca.pem")}})
	for i, run := range []struct {
		args  []string
		code  int
		shows string
	}{
		{append(k.tool("alice"), "create", "/hers", "secret", "--acl", "x509:CN=alice:cdrwa"), 0, "/hers"},
		{append(k.tool("alice"), "whoami"), 0, "CN=alice"},
		{append(k.tool("bob"), "get", "/hers"), 5, ""},
		{append(k.tool("root"), "get", "/hers"), 0, "secret"},
		{append(k.tool("mallory"), "get", "/hers"), 8, ""},
		{[]string{"get", "/hers"}, 5, ""}, // without TLS, on the same port
		{append(k.tool("alice"), "status"), 0, "leader"},
		{[]string{"--tls-ca", k.in("ca.pem"), "--timeout", "3s", "get", "/hers"}, 8, ""},
		{[]string{"--tls-ca", k.in("foreign-ca.pem"), "--timeout", "3s", "get", "/hers"}, 8, ""},
	} {
		code, out, errs := runTool(t, append(run.args, "--server", e.Connect())...)
		if code != run.code || !strings.Contains(out, run.shows) {
			t.Errorf("run %d: code %d, want %d, and %q; printed %q, errors %q", i, code, run.code, run.shows, out, errs)
		}
	}
	t.Run("java", func(t *testing.T) { javaTLS(t, e, k) })
	t.Run("kazoo", func(t *testing.T) { kazooTLS(t, e.Connect(), k) })
	var logs strings.Builder
	for _, s := range e.Servers {
		b, err := os.ReadFile(s.LogPath())
		if err != nil {
			t.Fatal(err)
		}
		logs.Write(b)
	}
	shows(t, "the servers' log", logs.String(), "it has shown no certificate, which it has to", "it refused: ",
		"its certificate is not accepted: no authority in the trust store has signed it (CN=mallory)")
}

func javaTLS(t *testing.T, e *ensemble.Ensemble, k *keys) {
	for _, c := range []struct {
		name, ca string
		server   int
		commands string
		shows    []string
		not      string
	}{
		{"alice", "ca.pem", 0, "whoami\nsync /\nget /hers\ncreate /java x x509:CN=alice:cdrwa\ngetAcl /java\ncreate /auth y auth::r\ngetAcl /auth",
			[]string{"x509: CN=alice", "secret", "Created /java", "'x509,'CN=alice"}, ""},
		{"bob", "ca.pem", 1, "whoami\nsync /\nget /hers", []string{"x509: CN=bob", "Insufficient permission : /hers"}, "secret"},
		{"root", "ca.pem", 2, "whoami\nsync /\nget /hers", []string{"super: CN=root", "secret"}, ""},
		{"", "ca.pem", 0, "get /hers", []string{"ConnectionLoss"}, "secret"},              // no certificate
		{"mallory", "ca.pem", 0, "get /hers", []string{"ConnectionLoss"}, "secret"},       // a foreign one
		{"alice", "foreign-ca.pem", 0, "get /hers", []string{"ConnectionLoss"}, "secret"}, // it does not trust the server
	} {
		out := javaShell(t, e.Servers[c.server].Addr(), "", c.commands, k.java(c.name, c.ca)...)
		shows(t, fmt.Sprintf("java as %q with %s", c.name, c.ca), out, c.shows...)
		if c.not != "" && strings.Contains(out, c.not) {
			t.Errorf("%q was let in:\n%s", c.name, out)
		}
	}
}

// kazooTLS connects as each user in one process and prints what it gets.
func kazooTLS(t *testing.T, connect string, k *keys) {
	script := `
import sys, logging
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
logging.disable(logging.CRITICAL)
connect, d = sys.argv[1:]
for user, ca in (("alice", "ca"), ("bob", "ca"), ("mallory", "ca"), ("alice", "foreign-ca")):
    zk = KazooClient(hosts=connect, use_ssl=True, ca=d + "/" + ca + ".pem", certfile=d + "/" + user + ".crt", keyfile=d + "/" + user + ".key", timeout=5)
    try:
        zk.start(timeout=2)
        print(user, ca, zk.get("/hers")[0].decode())
    except Exception as e:
        print(user, ca, type(e).__name__)
    zk.stop()
    zk.close()
`
	out, err := exec.CommandContext(suiteContext(t), cached(t, "venv", "bin", "python"), "-c", script, connect, k.dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	shows(t, "kazoo", string(out), "alice ca secret\n", "bob ca NoAuthError\n", "mallory ca KazooTimeoutError\n", "alice foreign-ca KazooTimeoutError\n")
}

// TestTLSReload: a port for TLS alone, whose key store keytool made, is given another certificate while it serves; a bad one is not used.
func TestTLSReload(t *testing.T) {
	need(t)
	k := newKeys(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := l.Addr().String()
	_, port, _ := net.SplitHostPort(secure)
	l.Close()
	store := func(name, kind string) string {
		file := k.in(name + "." + kind)
		pair := k.pairs[name]
		b, err := pkcs12.Modern.Encode(pair.Key, pair.Cert, nil, "changeit")
		if err != nil {
			t.Fatal(err)
		}
		p12 := certtest.Write(t, k.in(name+".p12.tmp"), b)
		out, err := exec.CommandContext(suiteContext(t), "keytool", "-importkeystore", "-noprompt", "-srckeystore", p12, "-srcstoretype", "PKCS12",
			"-srcstorepass", "changeit", "-destkeystore", file, "-deststoretype", kind, "-deststorepass", "changeit").CombinedOutput()
		if err != nil {
			t.Fatalf("keytool: %v\n%s", err, out)
		}
		return file
	}
	live := k.in("live.store")
	replace := func(file string) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		certtest.Write(t, live, b)
	}
	replace(store("server", "JKS"))
	k.issue(t, k.foreign, "next")
	e := ensemble.Start(t, ensemble.Options{Config: []string{
		"secureClientPort=" + port, "secureClientPortAddress=127.0.0.1", "ssl.keyStore.location=" + live,
		"ssl.keyStore.passwordPath=" + secretFile(t, "password", "changeit\n"), "ssl.keyStore.type=JKS", "ssl.clientAuth=none"}})
	trusts := func(ca string) bool {
		code, _, _ := runTool(t, "ls", "/", "--server", secure, "--tls-ca", k.in(ca), "--timeout", "2s")
		return code == 0
	}
	if !trusts("ca.pem") || trusts("foreign-ca.pem") {
		t.Fatal("the first certificate is not shown")
	}
	old, err := client.Connect(t.Context(), secure, client.Options{TLS: toolConfig(t, k.in("ca.pem")).ClientConfig()})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	certtest.Write(t, live, []byte("no key store"))
	awaitLog(t, e.Servers[0], "the changed files cannot be used, so the certificates from before stay in use")
	if !trusts("ca.pem") {
		t.Error("a bad file put the first certificate out of use")
	}
	replace(store("next", "PKCS12"))
	awaitLog(t, e.Servers[0], "certificates were read again")
	if trusts("ca.pem") || !trusts("foreign-ca.pem") {
		t.Error("the second certificate is not shown")
	}
	out := javaShell(t, secure, "", "ls /", k.java("", "foreign-ca.pem")...)
	shows(t, "java after the change", out, "[zookeeper]")
	if _, _, err := old.Get(t.Context(), "/zookeeper/quota"); err != nil {
		t.Errorf("the connection from before the change: %v", err)
	}
}

func toolConfig(t *testing.T, ca string) *certs.Source {
	t.Helper()
	s, err := certs.Open(certs.Options{DialOnly: true, Trust: certs.Store{File: ca}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// awaitLog waits until a server has logged a text.
func awaitLog(t *testing.T, s *ensemble.Server, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if b, err := os.ReadFile(s.LogPath()); err == nil && strings.Contains(string(b), text) {
			return
		}
	}
	t.Fatalf("server %d does not log %q:\n%s", s.ID, text, s.LogTail())
}

// TestTLSMembers: a member whose certificate is foreign takes no part, and takes part as soon as it has one of ours, without a restart.
func TestTLSMembers(t *testing.T) {
	need(t)
	k := newKeys(t)
	e := ensemble.New(t, ensemble.Options{Servers: 3, Config: []string{
		"sslQuorum=true", "ssl.quorum.keyStore.location=member.pem", "ssl.quorum.trustStore.location=" + k.in("ca.pem")}})
	for _, s := range e.Servers {
		k.ours.Issue(t, certtest.Leaf{Name: fmt.Sprintf("zoo%d", s.ID)}).File(t, s.Dir, "member.pem")
	}
	if err := e.StartAll(); err != nil {
		t.Fatal(err)
	}
	third := e.Servers[2]
	if err := third.Terminate(); err != nil {
		t.Fatal(err)
	}
	k.foreign.Issue(t, certtest.Leaf{Name: "zoo3"}).File(t, third.Dir, "member.pem")
	if err := third.Start(); err != nil {
		t.Fatal(err)
	}
	awaitLog(t, e.Servers[0], "no authority in the trust store has signed it (CN=zoo3)")
	awaitLog(t, third, "it refused: ")
	if mode, err := ensemble.Mode(third.Addr()); err == nil {
		t.Errorf("the member with a foreign certificate serves as %s", mode)
	}
	if code, _, errs := runTool(t, "create", "/x", "y", "--server", e.Servers[0].Addr()); code != 0 {
		t.Errorf("the other two: %s", errs)
	}
	k.ours.Issue(t, certtest.Leaf{Name: "zoo3"}).File(t, third.Dir, "member.pem")
	if _, err := third.WaitServing(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := runTool(t, "get", "/x", "--server", third.Addr()); code != 0 || strings.TrimSpace(out) != "y" {
		t.Errorf("the third member: %q %s", out, errs)
	}
}

// TestSubjects asks Java what it makes of names.
func TestSubjects(t *testing.T) {
	need(t)
	ca := certtest.NewAuthority(t, "CA")
	dir := t.TempDir()
	oid := func(n ...int) asn1.ObjectIdentifier { return n }
	ia5 := func(s string) asn1.RawValue { return asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(s)} }
	var files, ours []string
	for i, name := range []pkix.RDNSequence{
		{{{Type: oid(2, 5, 4, 3), Value: "alice"}}},
		{{{Type: oid(2, 5, 4, 6), Value: "DE"}}, {{Type: oid(2, 5, 4, 10), Value: "Acme, Inc."}}, {{Type: oid(2, 5, 4, 11), Value: "R+D"}}, {{Type: oid(2, 5, 4, 3), Value: "zoo 1"}}},
		{{{Type: oid(0, 9, 2342, 19200300, 100, 1, 25), Value: ia5("org")}}, {{Type: oid(0, 9, 2342, 19200300, 100, 1, 1), Value: "bob"}}},
		{{{Type: oid(1, 2, 840, 113549, 1, 9, 1), Value: ia5("a@b.org")}}, {{Type: oid(2, 5, 4, 5), Value: "42"}}, {{Type: oid(2, 5, 4, 12), Value: "Dr"}}},
		{{{Type: oid(2, 5, 4, 3), Value: " # a;<b>=\"c\"\\ "}}},
		{{{Type: oid(2, 5, 4, 3), Value: "   "}}},
		{{{Type: oid(2, 5, 4, 3), Value: "a"}, {Type: oid(2, 5, 4, 11), Value: "b"}}},
		{{{Type: oid(2, 5, 4, 8), Value: "x\u00fc\u4e16"}}, {{Type: oid(2, 5, 4, 9), Value: "Street 1"}}, {{Type: oid(2, 5, 4, 7), Value: "L"}}},
		{{{Type: oid(2, 5, 4, 17), Value: "12345"}}, {{Type: oid(2, 5, 4, 4), Value: "Last"}}, {{Type: oid(2, 5, 4, 42), Value: "First"}}},
	} {
		pair := ca.Issue(t, certtest.Leaf{Subject: name})
		cert, _ := pair.Files(t, dir, fmt.Sprintf("c%d", i))
		files, ours = append(files, cert), append(ours, certs.Subject(pair.Cert))
	}
	classPath, err := ensemble.ClassPath()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(suiteContext(t), "java", append([]string{"-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-XX:+UseSerialGC", "-cp", classPath, "gopherwood.Subjects"}, files...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for i, java := range strings.Split(strings.TrimRight(string(out), "\n"), "\n") {
		if java != ours[i] {
			t.Errorf("certificate %d: %q; Java says %q", i, ours[i], java)
		}
	}
}

// tlsIdleConnections and tlsIdleBytes: so many clients that connected by TLS and do nothing, and what the server may need for each.
const (
	tlsIdleConnections = 1000
	tlsIdleBytes       = 96 << 10
)

// TestTLSIdle measures what an idle connection of TLS costs the server.
func TestTLSIdle(t *testing.T) {
	need(t)
	k := newKeys(t)
	e := ensemble.Start(t, ensemble.Options{Config: []string{
		"client.portUnification=true", "ssl.keyStore.location=" + k.in("server.pem"), "ssl.trustStore.location=" + k.in("ca.pem")}})
	source, err := certs.Open(certs.Options{DialOnly: true, Key: certs.Store{File: k.in("alice.pem")}, Trust: certs.Store{File: k.in("ca.pem")}})
	if err != nil {
		t.Fatal(err)
	}
	s := e.Servers[0]
	connect := func(n int, config *tls.Config) (resident int64) {
		for range n {
			c, err := client.Connect(t.Context(), s.Addr(), client.Options{TLS: config, SessionTimeout: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
		}
		resident, err := s.ResidentBytes()
		if err != nil {
			t.Fatal(err)
		}
		return resident
	}
	before := connect(20, source.ClientConfig()) // what the first ones make the process need anyway
	secure := (connect(tlsIdleConnections, source.ClientConfig()) - before) / tlsIdleConnections
	if secure > tlsIdleBytes {
		t.Errorf("an idle connection with TLS costs %d bytes, want at most %d", secure, tlsIdleBytes)
	}
	t.Logf("an idle connection with TLS and a client's certificate costs %d bytes of resident memory, garbage of the handshake included", secure)
}
