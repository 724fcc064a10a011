package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"

	"gopherwood/internal/certs/certtest"
)

const secret = "s3cret-of-the-test"

// jks writes a JKS key store.
func jks(t *testing.T, path string, p *certtest.Pair, ca *certtest.Authority) string {
	t.Helper()
	ks := keystore.New()
	chain := []keystore.Certificate{{Type: "X509", Content: ca.Cert.Raw}}
	var err error
	if p != nil {
		chain = append([]keystore.Certificate{{Type: "X509", Content: p.Cert.Raw}}, chain...)
		err = ks.SetPrivateKeyEntry("own", keystore.PrivateKeyEntry{CreationTime: time.Now(), PrivateKey: p.PKCS8(t), CertificateChain: chain}, []byte(secret))
	} else {
		err = ks.SetTrustedCertificateEntry("ca", keystore.TrustedCertificateEntry{CreationTime: time.Now(), Certificate: chain[0]})
	}
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := ks.Store(&b, []byte(secret)); err != nil {
		t.Fatal(err)
	}
	return certtest.Write(t, path, b.Bytes())
}

func TestStores(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	ca := certtest.NewAuthority(t, "CA")
	own := ca.Issue(t, certtest.Leaf{Name: "own"})
	cert, key := own.Files(t, dir, "own")
	encrypted, err := pkcs8.MarshalPrivateKey(own.Key, []byte(secret), nil)
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: encrypted})
	p12, err := pkcs12.Modern.Encode(own.Key, own.Cert, []*x509.Certificate{ca.Cert}, secret)
	if err != nil {
		t.Fatal(err)
	}
	p12Trust, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{ca.Cert}, secret)
	if err != nil {
		t.Fatal(err)
	}
	passwords := certtest.Write(t, in("password"), []byte(secret+"\n"))
	for _, s := range []Store{
		{File: cert, KeyFile: key},
		{File: own.File(t, dir, "both.pem"), Type: "PEM"},
		{File: cert, KeyFile: certtest.Write(t, in("encrypted.key"), block), Password: secret},
		{File: certtest.Write(t, in("own.p12"), p12), Password: secret},
		{File: in("own.p12"), PasswordFile: passwords, Password: "wins not"},
		{File: jks(t, in("own.jks"), own, ca), Password: secret, Type: "JKS"},
		{File: in("own.p12"), Password: secret, Type: "JKS"}, // as Java has it
	} {
		pair, err := s.pair()
		if err != nil || !pair.Leaf.Equal(own.Cert) {
			t.Errorf("%s: %v", s.File, err)
		}
	}
	for _, s := range []Store{
		{File: ca.File(t, dir, "ca.crt")},
		{File: certtest.Write(t, in("trust.p12"), p12Trust), Password: secret},
		{File: jks(t, in("trust.jks"), nil, ca), Password: secret},
	} {
		if _, n, err := s.authorities(); err != nil || n != 1 {
			t.Errorf("%s: %d authorities, %v", s.File, n, err)
		}
	}
}

func TestStoresThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	ca := certtest.NewAuthority(t, "CA")
	own, other := ca.Issue(t, certtest.Leaf{Name: "own"}), ca.Issue(t, certtest.Leaf{Name: "other"})
	cert, _ := own.Files(t, dir, "own")
	_, otherKey := other.Files(t, dir, "other")
	p12, err := pkcs12.Modern.Encode(own.Key, own.Cert, nil, secret)
	if err != nil {
		t.Fatal(err)
	}
	certtest.Write(t, in("own.p12"), p12)
	jks(t, in("own.jks"), own, ca)
	jks(t, in("trust.jks"), nil, ca)
	for _, c := range []struct {
		s    Store
		want string
	}{
		{Store{File: in("missing")}, "the file cannot be read (no such file or directory); correct the path or its permissions"},
		{Store{File: certtest.Write(t, in("garbage"), []byte("garbage"))}, "it holds no certificate in PEM"},
		{Store{File: cert}, "holds no private key in PEM"},
		{Store{File: cert, KeyFile: otherKey}, "its private key is not that of its first certificate, CN=own"},
		{Store{File: in("own.p12"), Password: "wrong"}, "its password is another"},
		{Store{File: in("own.jks"), Password: "wrong"}, "its password is another"},
		{Store{File: in("trust.jks"), Password: secret}, "it holds no private key"},
		{Store{File: in("own.p12"), PasswordFile: in("nowhere")}, "the file with its password cannot be read"},
		{Store{File: certtest.Write(t, in("jceks"), append([]byte{0xce, 0xce, 0xce, 0xce}, 0))}, "JCEKS"},
		{Store{File: certtest.Write(t, in("cut.p12"), p12[:len(p12)/2]), Password: secret}, "pkcs12"},
		{Store{File: certtest.Write(t, in("huge"), make([]byte, maxFileBytes+1))}, "more than"},
	} {
		c.s.Setting = "ssl.keyStore.location"
		_, err := c.s.pair()
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.s.Setting) {
			t.Errorf("%s: %v, want %q", c.s.File, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "wrong")) {
			t.Errorf("%s: the password is in the error: %v", c.s.File, err)
		}
	}
	empty := Store{Setting: "ssl.trustStore.location", File: in("garbage")}
	if _, _, err := empty.authorities(); err == nil || !strings.Contains(err.Error(), "it holds no trusted certificate") {
		t.Errorf("no authority: %v", err)
	}
}

// FuzzStore: whatever is in a file, it gives a pair, authorities or an error.
func FuzzStore(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
	f.Add([]byte{0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1})
	f.Add([]byte{0x30, 0x80, 0x02, 0x01, 0x03, 0x30})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := Store{Setting: "x", File: filepath.Join(t.TempDir(), "f"), Password: secret}
		certtest.Write(t, s.File, b)
		if pair, err := s.pair(); err == nil && pair.Leaf == nil {
			t.Error("a pair without a certificate")
		}
		if _, n, err := s.authorities(); err == nil && n == 0 {
			t.Error("no authorities and no error")
		}
	})
}
