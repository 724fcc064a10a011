package server

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"hash"
	"slices"
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

	schemeEnsemble = "ensemble"
)

var (
	errScheme            = errors.New("no such scheme; digest, ip and x509 are known, and SASL has requests of its own")
	errEnsemble          = errors.New("the client looks for another ensemble (ensembleAuthName)")
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
	case schemeEnsemble: // proves nothing about the client: it wants to know whether it is at the right ensemble
		return nil, s.checkEnsemble(string(r.Auth))
	case schemeDigest:
		if s.cfg.Security.NoDigest {
			return nil, errScheme
		}
		if r.Auth == nil {
			return nil, errNoCredentials
		}
		return s.digestIdentities(string(r.Auth)), nil
	}
	return nil, errScheme
}

// checkEnsemble says whether a client is at the ensemble that it looks for (EnsembleAuthenticationProvider).
func (s *Server) checkEnsemble(name string) error {
	switch {
	case len(s.cfg.EnsembleNames) == 0:
		return errScheme
	case name == "":
		s.stats.ensembleSkip.Add(1)
	case slices.Contains(s.cfg.EnsembleNames, name):
		s.stats.ensembleOK.Add(1)
	default:
		s.stats.ensembleFail.Add(1)
		return errEnsemble
	}
	return nil
}

// digestIdentities is what "user:password" proves.
func (s *Server) digestIdentities(userPassword string) []zk.ID {
	id := s.digestID(userPassword)
	ids := []zk.ID{{Scheme: schemeDigest, ID: id}}
	if s.cfg.SuperDigest != "" && id == s.cfg.SuperDigest {
		ids = append([]zk.ID{{Scheme: schemeSuper}}, ids...)
	}
	return ids
}

// digestID is the identity of "user:password": the user and a hash of the whole (DigestAuthenticationProvider.generateDigest).
func (s *Server) digestID(userPassword string) string {
	user, _, _ := strings.Cut(userPassword, ":")
	newHash, _ := digestAlgorithm(s.cfg.Security.DigestAlgorithm)
	h := newHash()
	h.Write([]byte(userPassword))
	return user + ":" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// digestAlgorithm is a hash by the name that Java's MessageDigest has for it; "" is SHA1.
func digestAlgorithm(name string) (newHash func() hash.Hash, ok bool) {
	newHash, ok = map[string]func() hash.Hash{
		"": sha1.New, "SHA1": sha1.New, "SHA-1": sha1.New, "SHA": sha1.New, "MD5": md5.New, "SHA-224": sha256.New224, "SHA-256": sha256.New,
		"SHA-384": sha512.New384, "SHA-512": sha512.New, "SHA-512/224": sha512.New512_224, "SHA-512/256": sha512.New512_256,
		"SHA3-224": func() hash.Hash { return sha3.New224() }, "SHA3-256": func() hash.Hash { return sha3.New256() },
		"SHA3-384": func() hash.Hash { return sha3.New384() }, "SHA3-512": func() hash.Hash { return sha3.New512() },
	}[strings.ToUpper(name)]
	return newHash, ok
}

// addIdentities gives the connection what it has proved. Its reader calls it.
func (c *conn) addIdentities(ids []zk.ID) error {
	grown := slices.Clone(c.auth)
	for _, id := range ids {
		if !slices.Contains(grown, id) {
			grown = append(grown, id)
		}
	}
	if len(grown) > maxIdentities || identityBytes(grown) > maxIdentityBytes {
		return errTooManyIdentities
	}
	c.mu.Lock()
	c.auth = grown
	c.mu.Unlock()
	return nil
}

func identityBytes(ids []zk.ID) (n int) {
	for _, id := range ids {
		n += len(id.Scheme) + len(id.ID)
	}
	return n
}
