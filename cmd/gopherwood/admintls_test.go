package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopherwood/internal/certs/certtest"
)

// browser asks an admin port: with TLS it trusts ca, and shows show if there is one.
func browser(ca *certtest.Authority, show *tls.Certificate) *http.Client {
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(ca.Cert)
	if show != nil {
		config.Certificates = []tls.Certificate{*show}
	}
	return &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
}

// fetch is a status, or an error as text, and the serial number of the certificate that was shown.
func fetch(t *testing.T, c *http.Client, url, auth string) (status, serial string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	resp, err := c.Do(req)
	if err != nil {
		return err.Error(), ""
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err.Error(), ""
	}
	if resp.TLS != nil {
		serial = resp.TLS.PeerCertificates[0].SerialNumber.Text(16)
		if resp.Header.Get("Strict-Transport-Security") == "" {
			t.Error("no Strict-Transport-Security")
		}
	}
	return fmt.Sprint(resp.StatusCode), serial
}

// stopAtEnd waits for a server before its directory is removed.
func stopAtEnd(t *testing.T, r *running) {
	t.Cleanup(func() {
		r.cancel()
		if err := <-r.done; err != nil {
			t.Error(err)
		}
	})
}

// TestAdminTLS: HTTPS on the admin port by flags and by ZooKeeper's settings, with and without HTTP beside it, with certificates that have to be shown, which
// prove an identity, and with files that change.
func TestAdminTLS(t *testing.T) {
	dir, ca := tlsDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	issue := func() {
		ca.Issue(t, certtest.Leaf{Name: "own"}).Files(t, dir, "own")
	}
	issue()
	alice := ca.Issue(t, certtest.Leaf{Name: "alice"})
	alice.Files(t, dir, "alice")
	pair, err := tls.LoadX509KeyPair(in("alice.crt"), in("alice.key"))
	if err != nil {
		t.Fatal(err)
	}
	anybody, known := browser(ca, nil), browser(ca, &pair)
	const snapshot = "/commands/snapshot?streaming=false"

	for _, tc := range []struct {
		name                    string
		args                    []string
		file                    string
		https, http, x509, show string // statuses or parts of errors
	}{
		{"flags", []string{"--admin-tls-cert", in("own.crt"), "--admin-tls-key", in("own.key")}, "", "200", "400", "401", "401"},
		{"flags, HTTP too", []string{"--admin-tls-cert", in("own.crt"), "--admin-tls-key", in("own.key"), "--admin-tls-also-plain"}, "", "200", "200", "401", "401"},
		{"certificates have to be shown", []string{"--admin-tls-cert", in("own.crt"), "--admin-tls-key", in("own.key"), "--admin-tls-ca", in("ca.crt")}, "", "certificate required", "400", "certificate required", "200"},
		{"portUnification", nil, "admin.portUnification=true\nssl.quorum.keyStore.location=OWN\nssl.quorum.trustStore.location=CA", "200", "200", "401", "401"},
		{"forceHttps wins", nil, "admin.portUnification=true\nadmin.forceHttps=true\nadmin.needClientAuth=true\nssl.quorum.keyStore.location=OWN\nssl.quorum.trustStore.location=CA", "certificate required", "400", "certificate required", "200"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ca.Issue(t, certtest.Leaf{Name: "own"}).File(t, dir, "own.pem")
			client, admin := unusedPort(t), unusedPort(t)
			args := append([]string{"serve", "--log-level", "error", "--client-address", "127.0.0.1", "--client-port", client, "--data-dir", t.TempDir(),
				"--admin-address", "127.0.0.1", "--admin-port", admin}, tc.args...)
			if tc.file != "" {
				text := strings.NewReplacer("OWN", in("own.pem"), "CA", in("ca.crt")).Replace(tc.file) + "\nadmin.rateLimiterIntervalInMS=1"
				args = append(args, "--config", zooCfg(t, text, ""))
			}
			stopAtEnd(t, launch(t, args...))
			awaitMode(t, "127.0.0.1:"+client)
			secure, plain := "https://127.0.0.1:"+admin, "http://127.0.0.1:"+admin
			for _, ask := range []struct {
				what      string
				by        *http.Client
				url, auth string
				want      string
			}{
				{"HTTPS", anybody, secure + "/readyz", "", tc.https},
				{"HTTP", anybody, plain + "/readyz", "", tc.http},
				{"x509 without a certificate", anybody, secure + snapshot, "x509 x", tc.x509},
				{"x509 with one", known, secure + snapshot, "x509 x", tc.show},
			} {
				if got, _ := fetch(t, ask.by, ask.url, ask.auth); !strings.Contains(got, ask.want) {
					t.Errorf("%s: %s, want %s", ask.what, got, ask.want)
				}
			}
		})
	}
}

// TestAdminTLSReload: new files are used by new connections, and a connection that says nothing, or breaks off its handshake, holds up nobody.
func TestAdminTLSReload(t *testing.T) {
	dir, ca := tlsDir(t)
	issue := func() {
		ca.Issue(t, certtest.Leaf{Name: "own"}).Files(t, dir, "own")
	}
	issue()
	client, admin := unusedPort(t), unusedPort(t)
	stopAtEnd(t, launch(t, "serve", "--log-level", "error", "--client-address", "127.0.0.1", "--client-port", client, "--data-dir", t.TempDir(), "--admin-address", "127.0.0.1",
		"--admin-port", admin, "--admin-tls-cert", filepath.Join(dir, "own.crt"), "--admin-tls-key", filepath.Join(dir, "own.key")))
	awaitMode(t, "127.0.0.1:"+client)
	for _, begin := range []string{"", "\x16", "\x16\x03\x01\x02\x00\x01", "\x00\x00\x00\x2d"} {
		nc, err := net.Dial("tcp", "127.0.0.1:"+admin)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write([]byte(begin)); err != nil {
			t.Fatal(err)
		}
	}
	ask := browser(ca, nil)
	status, first := fetch(t, ask, "https://127.0.0.1:"+admin+"/readyz", "")
	if status != "200" {
		t.Fatal(status)
	}
	issue()
	deadline := time.Now().Add(patience)
	for {
		status, serial := fetch(t, ask, "https://127.0.0.1:"+admin+"/readyz", "")
		if status == "200" && serial != first {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still certificate %s after it was replaced: %s", serial, status)
		}
		time.Sleep(50 * time.Millisecond)
	}
	nc, err := net.Dial("tcp", "127.0.0.1:"+admin)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(nc).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 400") {
		t.Errorf("HTTP gets %q, %v", line, err)
	}
}

// TestAdminTLSMistakes: one sentence that says what to do.
func TestAdminTLSMistakes(t *testing.T) {
	for _, tc := range []struct {
		args []string
		file string
		want string
	}{
		{[]string{"--admin-tls-ca", "ca.crt"}, "", "are of no use without --admin-tls-cert"},
		{[]string{"--admin-tls-also-plain"}, "", "are of no use without --admin-tls-cert"},
		{nil, "admin.needClientAuth=true", "admin.needClientAuth=true is of no use without TLS on the admin port; set admin.forceHttps=true, too"},
		{nil, "admin.forceHttps=true", "ssl.quorum.keyStore.location is missing"},
		{nil, "admin.forceHttps=true\nadmin.needClientAuth=true\nssl.quorum.keyStore.location=/k", "ssl.quorum.trustStore.location is missing; it names the authorities of the certificates that the other side has to show (or set admin.needClientAuth to none)"},
	} {
		args := tc.args
		if tc.file != "" {
			args = append(args, "--config", zooCfg(t, tc.file, ""))
		}
		s, err := resolveArgs(t, args...)
		if err == nil {
			_, err = s.adminMaterial(slog.New(slog.DiscardHandler))
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) || exitCode(err) != exitUsage {
			t.Errorf("%v %q: %v", tc.args, tc.file, err)
		}
	}
}
