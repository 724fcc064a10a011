package sasl

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// What ZooKeeper's servers and clients agree on without saying so (SecurityUtils.createSaslServer).
const (
	digestService = "zookeeper"
	digestHost    = "zk-sasl-md5"

	// DigestRealm is the realm of DIGEST-MD5's users: the server's name in SASL, as in ZooKeeper. It is part of every verifier.
	DigestRealm = digestHost
)

const nameDigest = "DIGEST-MD5"

// Digest is the mechanism DIGEST-MD5 for users, without a security layer: qop is auth.
func Digest(users *Users) Mechanism { return digestMechanism{users} }

type digestMechanism struct{ users *Users }

func (digestMechanism) Name() string             { return nameDigest }
func (digestMechanism) Starts(token []byte) bool { return len(token) == 0 }
func (m digestMechanism) Start() Dialogue        { return &digestServer{users: m.users} }

// digestServer is a Dialogue: a challenge, then the client's response.
type digestServer struct {
	users *Users
	nonce string // "" before the challenge
}

var (
	errMalformed = errors.New("a malformed token")
	errNonce     = errors.New("an answer to another challenge")
	errQOP       = errors.New("the client wants a security layer, which there is none of")
	errURI       = errors.New("the digest-uri is not zookeeper/" + digestHost)
)

// Step implements Dialogue.
func (d *digestServer) Step(token []byte) (answer []byte, user string, err error) {
	if d.nonce == "" {
		d.nonce = newNonce()
		return fmt.Appendf(nil, `realm="%s",nonce="%s",charset=utf-8,algorithm=md5-sess`, DigestRealm, d.nonce), "", nil
	}
	r, err := parseDigestResponse(token)
	if err != nil {
		return nil, "", err
	}
	switch {
	case r.nonce != d.nonce || r.nc != "00000001":
		return nil, "", errNonce
	case r.qop != "auth":
		return nil, "", errQOP
	case !strings.EqualFold(r.uri, digestService+"/"+digestHost):
		return nil, "", errURI
	}
	ha1, known := d.users.digest(r.user)
	want := r.proof(ha1, "AUTHENTICATE")
	if subtle.ConstantTimeCompare([]byte(want), []byte(r.response)) != 1 || !known || r.realm != DigestRealm {
		return nil, "", ErrRefused
	}
	return []byte("rspauth=" + r.proof(ha1, "")), r.user, nil
}

// newNonce is 192 random bits as text.
func newNonce() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // crypto/rand never returns an error
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// digestResponse is what a client answers to a challenge.
type digestResponse struct {
	user, realm, nonce, cnonce, nc, qop, uri, authzid, response string
}

// proof is the value of response, or with no method that of rspauth (RFC 2831, section 2.1.2.1).
func (r *digestResponse) proof(ha1 [md5.Size]byte, method string) string {
	a1 := string(ha1[:]) + ":" + r.nonce + ":" + r.cnonce
	if r.authzid != "" {
		a1 += ":" + r.authzid
	}
	return hexMD5(hexMD5(a1) + ":" + r.nonce + ":" + r.nc + ":" + r.cnonce + ":" + r.qop + ":" + hexMD5(method+":"+r.uri))
}

func hexMD5(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// digestHA1 is the verifier of a user: MD5 of user:realm:password, each as ISO 8859-1 if it can be, else as UTF-8.
func digestHA1(user, realm, password string) [md5.Size]byte {
	return md5.Sum([]byte(narrow(user) + ":" + narrow(realm) + ":" + narrow(password)))
}

// narrow turns UTF-8 into ISO 8859-1 if all of it has a place there.
func narrow(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff || r == utf8.RuneError {
			return s
		}
		b = append(b, byte(r))
	}
	return string(b)
}

// widen turns ISO 8859-1 into UTF-8.
func widen(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

func parseDigestResponse(token []byte) (*digestResponse, error) {
	f, err := parseFields(token)
	if err != nil {
		return nil, err
	}
	r := &digestResponse{user: f["username"], realm: f["realm"], nonce: f["nonce"], cnonce: f["cnonce"], nc: f["nc"], qop: "auth",
		uri: f["digest-uri"], authzid: f["authzid"], response: f["response"]}
	if qop, ok := f["qop"]; ok {
		r.qop = qop
	}
	switch charset, ok := f["charset"]; {
	case !ok:
		r.user = widen(r.user)
	case charset != "utf-8":
		return nil, errMalformed
	}
	if r.user == "" || len(r.user) > maxNameBytes || !utf8.ValidString(r.user) || r.cnonce == "" || len(r.response) != 2*md5.Size {
		return nil, errMalformed
	}
	return r, nil
}

// parseFields reads name=value and name="quoted value", separated by commas. A name that is there twice is an error, but for a challenge's realm,
// of which the first counts.
func parseFields(token []byte) (map[string]string, error) {
	if len(token) > maxDigestBytes {
		return nil, errMalformed
	}
	s := string(token)
	fields := make(map[string]string)
	for {
		s = strings.TrimLeft(s, " \t\r\n,")
		if s == "" {
			return fields, nil
		}
		name, rest, ok := strings.Cut(s, "=")
		name = strings.ToLower(strings.TrimRight(name, " \t\r\n"))
		if !ok || name == "" || strings.ContainsAny(name, ",\" \t\r\n") || len(fields) == maxDigestFields {
			return nil, errMalformed
		}
		value, rest, ok := cutValue(strings.TrimLeft(rest, " \t\r\n"))
		if _, twice := fields[name]; !ok || (twice && name != "realm") {
			return nil, errMalformed
		} else if !twice {
			fields[name] = value
		}
		s = rest
	}
}

// cutValue cuts a token or a quoted string, and the comma behind it.
func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ",")
		value = strings.TrimRight(value, " \t\r\n")
		return value, rest, value != "" && !strings.ContainsAny(value, "\" \t\r\n")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			rest = strings.TrimLeft(s[i+1:], " \t\r\n")
			return b.String(), strings.TrimPrefix(rest, ","), rest == "" || rest[0] == ','
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// quote is a quoted string (RFC 2831, section 7.1).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
