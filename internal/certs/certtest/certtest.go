// Package certtest makes authorities, certificates and key stores for tests.
//
// Only tests import it. Its keys are made anew in every process.
package certtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority is a CA.
type Authority struct {
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey
}

// Leaf says what a certificate is to hold. The zero value is good for some weeks and for localhost and 127.0.0.1.
type Leaf struct {
	Name       string           // common name
	Subject    pkix.RDNSequence // the whole name in place of it
	Hosts      []string         // names and addresses; nil: localhost and 127.0.0.1
	NotBefore  time.Time        // zero: an hour ago
	NotAfter   time.Time        // zero: in four weeks
	ClientOnly bool             // extended key usage
}

// Pair is a certificate and its key.
type Pair struct {
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey
}

// NewAuthority makes a CA.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{parse(t, der), key}
}

// Issue makes a certificate.
func (a *Authority) Issue(t testing.TB, l Leaf) *Pair {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: l.Name}, NotBefore: l.NotBefore, NotAfter: l.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if l.ClientOnly {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if l.Subject != nil {
		raw, err := asn1.Marshal(l.Subject)
		if err != nil {
			t.Fatal(err)
		}
		template.RawSubject = raw
	}
	if l.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if l.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(4 * 7 * 24 * time.Hour)
	}
	hosts := l.Hosts
	if hosts == nil {
		hosts = []string{"localhost", "127.0.0.1"}
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Cert, &key.PublicKey, a.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &Pair{parse(t, der), key}
}

// File writes the authority's certificate to a PEM file in dir and returns its path.
func (a *Authority) File(t testing.TB, dir, name string) string {
	t.Helper()
	return Write(t, filepath.Join(dir, name), certBlock(a.Cert))
}

// Files writes the certificate and the key to two PEM files, name.crt and name.key.
func (p *Pair) Files(t testing.TB, dir, name string) (cert, key string) {
	t.Helper()
	return Write(t, filepath.Join(dir, name+".crt"), certBlock(p.Cert)), Write(t, filepath.Join(dir, name+".key"), p.keyBlock(t))
}

// File writes the key and the certificate to one PEM file, as ZooKeeper's PEM key stores have it.
func (p *Pair) File(t testing.TB, dir, name string) string {
	t.Helper()
	return Write(t, filepath.Join(dir, name), append(p.keyBlock(t), certBlock(p.Cert)...))
}

// PKCS8 is the key.
func (p *Pair) PKCS8(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (p *Pair) keyBlock(t testing.TB) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p.PKCS8(t)})
}

func certBlock(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// Write writes a file in one step, so that nobody reads half of it, and returns its path.
func Write(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path+".new", bytes.Clone(b), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
