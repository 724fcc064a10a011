package server

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"strings"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// The schemes with which a client can authenticate itself (ProviderRegistry).
const (
	schemeDigest = "digest"
	schemeIP     = "ip"
	schemeX509   = "x509"
	schemeSuper  = "super"
)

var (
	errScheme            = errors.New("no such scheme; digest, ip and x509 are known")
	errNoCertificate     = errors.New("the client has shown no certificate")
	errNoCredentials     = errors.New("no credentials")
	errTooManyIdentities = errors.New("too many or too long identities on one connection")
)

// authenticate is the identities that an auth request proves.
func (s *Server) authenticate(c *conn, r *wire.AuthPacket) ([]zk.ID, error) {
	switch r.Scheme {
	case schemeIP: // nothing to prove: every connection has its address
		return c.auth[:1], nil
	case schemeX509: // proved in the TLS handshake
		if len(c.x509) == 0 {
			return nil, errNoCertificate
		}
		return c.x509, nil
	case schemeDigest:
		if r.Auth == nil {
			return nil, errNoCredentials
		}
		id := digestID(string(r.Auth))
		ids := []zk.ID{{Scheme: schemeDigest, ID: id}}
		if s.cfg.SuperDigest != "" && id == s.cfg.SuperDigest {
			ids = append([]zk.ID{{Scheme: schemeSuper}}, ids...)
		}
		return ids, nil
	}
	return nil, errScheme
}

// digestID is the identity of "user:password": the user and the SHA-1 of the whole (DigestAuthenticationProvider.generateDigest).
func digestID(userPassword string) string {
	user, _, _ := strings.Cut(userPassword, ":")
	sum := sha1.Sum([]byte(userPassword))
	return user + ":" + base64.StdEncoding.EncodeToString(sum[:])
}

func identityBytes(ids []zk.ID) (n int) {
	for _, id := range ids {
		n += len(id.Scheme) + len(id.ID)
	}
	return n
}
