package certs

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"
)

// Store is a file of certificates, with their private key or without.
type Store struct {
	// Setting is what the file is called where it was set ("ssl.keyStore.location", "--tls-cert"), for errors.
	Setting string
	// File is PEM, PKCS #12 or JKS. "" is no store.
	File string
	// KeyFile is a PEM file with the private key, if File does not hold it.
	KeyFile string
	// Type is what the file was said to be; see CheckType.
	Type string
	// Password opens the file, or the private key in it. PasswordFile is a file that holds it, and wins.
	Password, PasswordFile string
}

// given says whether there is a store.
func (s *Store) given() bool { return s.File != "" }

// files are those that a change of which changes the store.
func (s *Store) files() []string {
	return slices.DeleteFunc([]string{s.File, s.KeyFile, s.PasswordFile}, func(f string) bool { return f == "" })
}

// fail makes an error of a store one sentence.
func (s *Store) fail(file string, format string, args ...any) error {
	return fmt.Errorf("%s=%s: %w", s.Setting, file, fmt.Errorf(format, args...))
}

// CheckType says what is wrong with a store's type as zoo.cfg gives it; "" if nothing is. What the file holds decides in the end, as Java's own
// key stores do it (keystore.type.compat).
func CheckType(t string) (bad string) {
	switch strings.ToUpper(t) {
	case "", "PEM", "PKCS12", "JKS":
		return ""
	case "BCFKS":
		return "is a format of BouncyCastle's that is not read here; convert the store with keytool -importkeystore -deststoretype PKCS12 and give PKCS12"
	}
	return "is no type of key store; give PEM, PKCS12 or JKS"
}

// readLimited reads a file of at most limit bytes. The error is without the path.
func readLimited(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, cause(err)
	case int64(len(b)) > limit:
		return nil, fmt.Errorf("it has more than %d bytes", limit)
	}
	return b, nil
}

func cause(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}

// password is the one that was given, or the one in the file.
func (s *Store) password() (string, error) {
	if s.PasswordFile == "" {
		return s.Password, nil
	}
	b, err := readLimited(s.PasswordFile, maxPasswordBytes)
	if err != nil {
		return "", s.fail(s.PasswordFile, "the file with its password cannot be read (%w)", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

var (
	jksMagic   = []byte{0xfe, 0xed, 0xfe, 0xed}
	jceksMagic = []byte{0xce, 0xce, 0xce, 0xce}
)

// content reads the file and its password.
func (s *Store) content() (b []byte, password string, err error) {
	if password, err = s.password(); err != nil {
		return nil, "", err
	}
	if b, err = readLimited(s.File, maxFileBytes); err != nil {
		return nil, "", s.fail(s.File, "the file cannot be read (%w); correct the path or its permissions", err)
	}
	if bytes.HasPrefix(b, jceksMagic) {
		return nil, "", s.fail(s.File, "it is a JCEKS key store, which is not read here; convert it with keytool -importkeystore -deststoretype PKCS12")
	}
	return b, password, nil
}

// pair reads a certificate chain and its private key.
func (s *Store) pair() (tls.Certificate, error) {
	var none tls.Certificate
	b, password, err := s.content()
	if err != nil {
		return none, err
	}
	var chain []*x509.Certificate
	var key crypto.PrivateKey
	switch {
	case bytes.HasPrefix(b, jksMagic):
		chain, key, err = jksPair(b, password)
	case isDER(b):
		var leaf *x509.Certificate
		var rest []*x509.Certificate
		key, leaf, rest, err = pkcs12.DecodeChain(b, password)
		chain = append([]*x509.Certificate{leaf}, rest...)
	default:
		chain, key, err = s.pemPair(b, password)
	}
	if err != nil {
		return none, s.fail(s.File, "%w", explainStore(err))
	}
	cert := tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	own, ok := key.(crypto.Signer)
	if !ok {
		return none, s.fail(s.File, "its private key cannot sign")
	}
	public, ok := own.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(chain[0].PublicKey) {
		return none, s.fail(s.File, "its private key is not that of its first certificate, %s; give the two that belong together", Subject(chain[0]))
	}
	return cert, nil
}

// authorities reads trusted certificates.
func (s *Store) authorities() (*x509.CertPool, int, error) {
	b, password, err := s.content()
	if err != nil {
		return nil, 0, err
	}
	var all []*x509.Certificate
	switch {
	case bytes.HasPrefix(b, jksMagic):
		all, err = jksAuthorities(b, password)
	case isDER(b):
		all, err = pkcs12.DecodeTrustStore(b, password)
	default:
		all, _, err = pemBlocks(b)
	}
	switch {
	case err != nil:
		return nil, 0, s.fail(s.File, "%w", explainStore(err))
	case len(all) == 0:
		return nil, 0, s.fail(s.File, "it holds no trusted certificate; give one with the certificate of the authority (CA)")
	}
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	return pool, len(all), nil
}

// isDER says whether the bytes are a binary ASN.1 sequence, as PKCS #12 is.
func isDER(b []byte) bool {
	return len(b) > 1 && b[0] == 0x30 && (b[1] >= 0x80 || int(b[1])+2 == len(b))
}

// explainStore puts a library's error into words.
func explainStore(err error) error {
	if errors.Is(err, pkcs12.ErrIncorrectPassword) || strings.Contains(err.Error(), "got invalid digest") || strings.Contains(err.Error(), "incorrect password") {
		return errors.New("its password is another; correct the setting of the password, or of the file that holds it")
	}
	return err
}

// pemPair is the chain and the key of one PEM file, or of two.
func (s *Store) pemPair(b []byte, password string) (chain []*x509.Certificate, key crypto.PrivateKey, err error) {
	chain, keys, err := pemBlocks(b)
	if err != nil {
		return nil, nil, err
	}
	if s.KeyFile != "" {
		kb, err := readLimited(s.KeyFile, maxFileBytes)
		if err != nil {
			return nil, nil, fmt.Errorf("the private key in %s cannot be read (%w)", s.KeyFile, err)
		}
		if _, keys, err = pemBlocks(kb); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", s.KeyFile, err)
		}
	}
	where := s.File
	if s.KeyFile != "" {
		where = s.KeyFile
	}
	switch {
	case len(chain) == 0:
		return nil, nil, errors.New("it holds no certificate in PEM (-----BEGIN CERTIFICATE-----), and is no PKCS #12 or JKS either")
	case len(keys) == 0:
		return nil, nil, fmt.Errorf("%s holds no private key in PEM (-----BEGIN PRIVATE KEY-----)", where)
	}
	key, err = parseKey(keys[0], password)
	if err != nil {
		return nil, nil, fmt.Errorf("the private key in %s: %w", where, err)
	}
	return chain, key, nil
}

// pemBlocks are the certificates and the keys of a PEM file. Other blocks and text are passed over.
func pemBlocks(b []byte) (certs []*x509.Certificate, keys []*pem.Block, err error) {
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return certs, keys, nil
		}
		switch {
		case block.Type == "CERTIFICATE" || block.Type == "X509 CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
			}
			certs = append(certs, c)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			keys = append(keys, block)
		}
	}
}

func parseKey(block *pem.Block, password string) (crypto.PrivateKey, error) {
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY":
		if password == "" {
			return nil, errors.New("it is encrypted, and there is no password for it")
		}
		return pkcs8.ParsePKCS8PrivateKey(block.Bytes, []byte(password))
	case block.Headers["DEK-Info"] != "":
		return nil, errors.New("it is encrypted in a way that is not read here; convert it with openssl pkcs8 -topk8")
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it is neither PKCS #8 nor PKCS #1 nor SEC 1; convert it with openssl pkcs8 -topk8")
	}
	return key, nil
}

func loadJKS(b []byte, password string) (*keystore.KeyStore, error) {
	ks := keystore.New(keystore.WithOrderedAliases())
	if err := ks.Load(bytes.NewReader(b), []byte(password)); err != nil {
		return nil, fmt.Errorf("it is a damaged JKS key store, or %w", err)
	}
	return &ks, nil
}

// jksPair is the first private key of a JKS key store. The key has the store's password, as ZooKeeper wants it.
func jksPair(b []byte, password string) (chain []*x509.Certificate, key crypto.PrivateKey, err error) {
	ks, err := loadJKS(b, password)
	if err != nil {
		return nil, nil, err
	}
	for _, alias := range ks.Aliases() {
		if !ks.IsPrivateKeyEntry(alias) {
			continue
		}
		e, err := ks.GetPrivateKeyEntry(alias, []byte(password))
		if err != nil {
			return nil, nil, fmt.Errorf("the key %s: %w; a key has to have the password of its store", alias, err)
		}
		if key, err = x509.ParsePKCS8PrivateKey(e.PrivateKey); err != nil {
			return nil, nil, fmt.Errorf("the key %s: %w", alias, err)
		}
		for _, c := range e.CertificateChain {
			parsed, err := x509.ParseCertificate(c.Content)
			if err != nil {
				return nil, nil, fmt.Errorf("the certificate of %s: %w", alias, err)
			}
			chain = append(chain, parsed)
		}
		if len(chain) == 0 {
			return nil, nil, fmt.Errorf("the key %s has no certificate", alias)
		}
		return chain, key, nil
	}
	return nil, nil, errors.New("it holds no private key")
}

func jksAuthorities(b []byte, password string) (all []*x509.Certificate, err error) {
	ks, err := loadJKS(b, password)
	if err != nil {
		return nil, err
	}
	for _, alias := range ks.Aliases() {
		if !ks.IsTrustedCertificateEntry(alias) {
			continue
		}
		e, err := ks.GetTrustedCertificateEntry(alias)
		if err != nil {
			return nil, fmt.Errorf("the certificate %s: %w", alias, err)
		}
		c, err := x509.ParseCertificate(e.Certificate.Content)
		if err != nil {
			return nil, fmt.Errorf("the certificate %s: %w", alias, err)
		}
		all = append(all, c)
	}
	return all, nil
}
