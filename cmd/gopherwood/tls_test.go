package main

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"gopherwood/internal/certs"
	"gopherwood/internal/certs/certtest"
)

// tlsDir is a directory with an authority and a certificate, as files ca.crt, own.crt, own.key and both.pem.
func tlsDir(t *testing.T) (dir string, ca *certtest.Authority) {
	t.Helper()
	dir, ca = t.TempDir(), certtest.NewAuthority(t, "CA")
	ca.File(t, dir, "ca.crt")
	own := ca.Issue(t, certtest.Leaf{Name: "own"})
	own.Files(t, dir, "own")
	own.File(t, dir, "both.pem")
	return dir, ca
}

// TestTLSSettings: which ports and which rules come from flags and from a zoo.cfg.
func TestTLSSettings(t *testing.T) {
	dir, _ := tlsDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	cert := []string{"--tls-cert", in("own.crt"), "--tls-key", in("own.key")}
	stores := "\nssl.keyStore.location=" + in("both.pem") + "\nssl.trustStore.location=" + in("ca.crt") + "\n"
	quorum := strings.ReplaceAll(stores, "ssl.", "ssl.quorum.")
	for _, tc := range []struct {
		name         string
		args         []string
		file         string
		plain, mixed bool
		auth         certs.ClientAuth
		clients      bool // TLS
		members      string
	}{
		{"nothing", nil, "", true, false, 0, false, ""},
		{"a secure port alone", append(cert, "--secure-client-port", "2281"), "", false, false, certs.ClientAuthNone, true, ""},
		{"both ports", append(cert, "--secure-client-port", "2281", "--client-port", "2181"), "", true, false, certs.ClientAuthNone, true, ""},
		{"one port for both", append(cert, "--tls-on-client-port"), "", true, true, certs.ClientAuthNone, true, ""},
		{"with an authority", append(cert, "--tls-ca", in("ca.crt"), "--secure-client-port", "2281"), "", false, false, certs.ClientAuthNeed, true, ""},
		{"wanted", append(cert, "--tls-ca", in("ca.crt"), "--secure-client-port", "2281", "--tls-client-auth", "want"), "", false, false, certs.ClientAuthWant, true, ""},
		{"a file", nil, "secureClientPort=2281" + stores, false, false, certs.ClientAuthNeed, true, ""},
		{"a file with both", nil, "clientPort=2181\nsecureClientPort=2281\nssl.clientAuth=none" + stores, true, false, certs.ClientAuthNone, true, ""},
		{"a file with one port for both", nil, "client.portUnification=true" + stores, true, true, certs.ClientAuthNeed, true, ""},
		{"members by flags", []string{"--peer-tls-cert", in("both.pem"), "--peer-tls-ca", in("ca.crt")}, "", true, false, 0, false, "dial"},
		{"members by a file", nil, "sslQuorum=true" + quorum, true, false, 0, false, "dial"},
		{"members that change over", nil, "portUnification=true" + quorum, true, false, 0, false, "mixed"},
		{"members that have changed over", nil, "sslQuorum=true\nportUnification=true" + quorum, true, false, 0, false, "dial mixed"},
		{"members that may be unified", nil, "portUnification=true", true, false, 0, false, ""},
	} {
		args := tc.args
		if tc.file != "" {
			args = append(args, "--config", zooCfg(t, tc.file, ""))
		}
		s, err := resolveArgs(t, args...)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		log := slog.New(slog.DiscardHandler)
		source, err := s.clientMaterial(log)
		if err != nil || (source != nil) != tc.clients || s.isPlain() != tc.plain || s.unified() != tc.mixed {
			t.Errorf("%s: plain %v, unified %v, TLS %v, %v", tc.name, s.isPlain(), s.unified(), source != nil, err)
			continue
		}
		if source != nil {
			if source.ClientAuth() != tc.auth {
				t.Errorf("%s: clients show certificates: %v, want %v", tc.name, source.ClientAuth(), tc.auth)
			}
			source.Close()
		}
		members, err := s.memberMaterial(log)
		got := ""
		if members != nil {
			if members.Dial {
				got = "dial"
			}
			if members.AlsoPlain {
				got = strings.TrimSpace(got + " mixed")
			}
			members.Source.Close()
		}
		if err != nil || got != tc.members {
			t.Errorf("%s: members %q, %v; want %q", tc.name, got, err, tc.members)
		}
	}
}

// TestTLSMistakes: one sentence that names the setting and the remedy, and exit code 2.
func TestTLSMistakes(t *testing.T) {
	dir, ca := tlsDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	ca.Issue(t, certtest.Leaf{Name: "other"}).Files(t, dir, "other")
	for _, tc := range []struct {
		args []string
		file string
		want string
	}{
		{[]string{"--secure-client-port", "2281"}, "", "ssl.keyStore.location is missing; TLS needs a certificate and its private key, in a file that it names"},
		{[]string{"--tls-cert", in("own.crt")}, "", "--tls-cert, --tls-key and --tls-ca are of no use without a port; give --secure-client-port or --tls-on-client-port"},
		{[]string{"--tls-cert", in("none"), "--secure-client-port", "1"}, "", "--tls-cert=" + in("none") + ": the file cannot be read (no such file or directory); correct the path or its permissions"},
		{[]string{"--tls-cert", in("own.crt"), "--tls-key", in("other.key"), "--secure-client-port", "1"}, "", "its private key is not that of its first certificate, CN=own; give the two that belong together"},
		{[]string{"--tls-cert", in("both.pem"), "--tls-client-auth", "need", "--secure-client-port", "1"}, "", "--tls-ca is missing; it names the authorities of the certificates that the other side has to show (or set --tls-client-auth to none)"},
		{[]string{"--tls-cert", in("both.pem"), "--tls-client-auth", "maybe", "--secure-client-port", "1"}, "", `--tls-client-auth "maybe": give need, want or none`},
		{nil, "secureClientPort=2281\nssl.keyStore.location=" + in("both.pem"), "ssl.trustStore.location is missing; it names the authorities of the certificates that the other side has to show (or set ssl.clientAuth to none)"},
		{nil, "sslQuorum=true", "ssl.quorum.keyStore.location is missing"},
		{[]string{"--peer-tls-ca", in("ca.crt")}, "", "are of no use without --peer-tls-cert"},
	} {
		args := tc.args
		if tc.file != "" {
			args = append(args, "--config", zooCfg(t, tc.file, ""))
		}
		s, err := resolveArgs(t, args...)
		if err == nil {
			_, err = s.clientMaterial(slog.New(slog.DiscardHandler))
		}
		if err == nil {
			_, err = s.memberMaterial(slog.New(slog.DiscardHandler))
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) || exitCode(err) != exitUsage {
			t.Errorf("%v %q: %v (code %d), want %q", tc.args, tc.file, err, exitCode(err), tc.want)
		}
	}
}
