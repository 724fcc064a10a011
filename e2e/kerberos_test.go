package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
)

// kdc is MIT's Kerberos for one test, with all its files in a folder.
type kdc struct {
	t   *testing.T
	dir string
	env []string
}

const kerberosRealm = "EXAMPLE.COM"

// sbin is a program that Debian does not put into everybody's path.
func sbin(name string) (string, bool) {
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path := filepath.Join(dir, name); exec.Command("test", "-x", path).Run() == nil {
			return path, true
		}
	}
	path, err := exec.LookPath(name)
	return path, err == nil
}

func startKDC(t *testing.T) *kdc {
	t.Helper()
	server, ok := sbin("krb5kdc")
	if _, admin := sbin("kadmin.local"); !ok || !admin {
		t.Skip("no krb5kdc here; scripts/deps installs krb5-kdc and krb5-admin-server")
	}
	k := &kdc{t: t, dir: t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	k.write("krb5.conf", fmt.Sprintf("[libdefaults]\n default_realm = %s\n dns_lookup_kdc = false\n dns_canonicalize_hostname = false\n rdns = false\n"+
		" udp_preference_limit = 1\n[realms]\n %s = {\n  kdc = %s\n }\n[domain_realm]\n localhost = %s\n", kerberosRealm, kerberosRealm, addr, kerberosRealm))
	k.write("kdc.conf", fmt.Sprintf("[kdcdefaults]\n kdc_listen = %s\n kdc_tcp_listen = %s\n[realms]\n %s = {\n  database_name = %s\n  key_stash_file = %s\n }\n",
		addr, addr, kerberosRealm, k.path("principal"), k.path("stash")))
	k.env = append(os.Environ(), "KRB5_CONFIG="+k.path("krb5.conf"), "KRB5_KDC_PROFILE="+k.path("kdc.conf"))
	k.run("kdb5_util", "create", "-s", "-P", "master", "-r", kerberosRealm)
	cmd := exec.Command(server, "-n", "-P", k.path("pid"))
	cmd.Env = k.env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for limit := time.Now().Add(suiteLimit); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return k
		}
		if time.Now().After(limit) {
			t.Fatal("the KDC does not listen: ", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (k *kdc) path(name string) string { return filepath.Join(k.dir, name) }

func (k *kdc) write(name, text string) {
	k.t.Helper()
	if err := os.WriteFile(k.path(name), []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kdc) run(name string, args ...string) {
	k.t.Helper()
	path, ok := sbin(name)
	if !ok {
		k.t.Skipf("no %s here", name)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = k.env
	if out, err := cmd.CombinedOutput(); err != nil {
		k.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// keytab makes a principal and returns a keytab with its key.
func (k *kdc) keytab(principal string) string {
	k.t.Helper()
	file := k.path(strings.ReplaceAll(principal, "/", "-") + ".keytab")
	k.run("kadmin.local", "-q", "addprinc -randkey "+principal)
	k.run("kadmin.local", "-q", "ktadd -k "+file+" "+principal)
	return file
}

// jaas is a JAAS section with a keytab.
func (k *kdc) jaas(section, principal, keytab string) string {
	return secretFile(k.t, section+".jaas", fmt.Sprintf("%s { com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true keyTab=%q storeKey=true "+
		"useTicketCache=false principal=%q; };\n", section, keytab, principal+"@"+kerberosRealm))
}

// TestKerberos: ZooKeeper's Java client with a ticket of MIT's KDC.
func TestKerberos(t *testing.T) {
	need(t)
	k := startKDC(t)
	const service = "zookeeper/localhost"
	server := k.jaas("Server", service, k.keytab(service))
	e := ensemble.Start(t, ensemble.Options{Config: []string{"sessionRequireClientSASLAuth=true", "java.security.auth.login.config=" + server,
		"kerberos.removeHostFromPrincipal=true", "kerberos.removeRealmFromPrincipal=true"}})
	connect := fmt.Sprintf("localhost:%d", e.Servers[0].ClientPort)
	conf := "-Djava.security.krb5.conf=" + k.path("krb5.conf")
	out := javaShell(t, connect, k.jaas("Client", "bob/desk", k.keytab("bob/desk")), "whoami\ncreate /bob secret sasl:bob:cdrwa\nget /bob", conf)
	shows(t, "bob/desk", out, "state:SaslAuthenticated", "sasl: bob", "Created /bob", "secret")
	out = javaShell(t, connect, k.jaas("Client", "alice", k.keytab("alice")), "whoami\nget /bob", conf)
	shows(t, "alice", out, "sasl: alice", "Insufficient permission : /bob")
	// A server whose key is another: the ticket is not for it.
	k.run("kadmin.local", "-q", "cpw -randkey -keepold "+service)
	out = javaShell(t, connect, k.jaas("Client", "carol", k.keytab("carol")), "get /bob", conf)
	shows(t, "carol, with a ticket under a key that the server does not have", out, "state:AuthFailed")
}
