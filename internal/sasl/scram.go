package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const nameSCRAM = "SCRAM-SHA-256"

// Verifier is what a server keeps of a SCRAM user: the password cannot be computed from it, nor can it be used to log in.
type Verifier struct {
	Iterations int
	Salt       []byte
	StoredKey  [sha256.Size]byte
	ServerKey  [sha256.Size]byte
}

// NewVerifier makes a verifier with a random salt and the least number of iterations that RFC 7677 allows.
func NewVerifier(password string) Verifier {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // crypto/rand never returns an error
	client, server := scramKeys(password, salt, minIterations)
	return Verifier{Iterations: minIterations, Salt: salt, StoredKey: sha256.Sum256(client), ServerKey: [sha256.Size]byte(server)}
}

// scramKeys are ClientKey and ServerKey (RFC 5802, section 3).
func scramKeys(password string, salt []byte, iterations int) (client, server []byte) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		panic(fmt.Sprintf("sasl: pbkdf2 of %d iterations: %v", iterations, err)) // lengths that the bounds exclude
	}
	return mac(salted, "Client Key"), mac(salted, "Server Key")
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// SCRAM is the mechanism SCRAM-SHA-256 for users, without channel binding.
func SCRAM(users *Users) Mechanism { return scramMechanism{users} }

type scramMechanism struct{ users *Users }

func (scramMechanism) Name() string      { return nameSCRAM }
func (m scramMechanism) Start() Dialogue { return &scramServer{users: m.users} }

func (scramMechanism) Starts(token []byte) bool {
	s := string(token[:min(2, len(token))])
	return s == "n," || s == "y," || s == "p="
}

// scramServer is a Dialogue: client-first, server-first, client-final, server-final.
type scramServer struct {
	users    *Users
	user     string // "" before client-first
	known    bool
	header   string // gs2-header
	nonce    string // both halves
	exchange string // client-first-bare "," server-first
	verifier Verifier
}

var (
	errBinding = errors.New("the client wants channel binding, which this server does not have")
	errAuthzid = errors.New("the client wants to act as another user")
)

// Step implements Dialogue.
func (d *scramServer) Step(token []byte) (answer []byte, user string, err error) {
	if len(token) > maxSCRAMBytes || !utf8.Valid(token) || strings.ContainsRune(string(token), 0) {
		return nil, "", errMalformed
	}
	if d.user == "" {
		answer, err = d.first(string(token))
		return answer, "", err
	}
	return d.final(string(token))
}

func (d *scramServer) first(msg string) ([]byte, error) {
	if strings.HasPrefix(msg, "p=") {
		return nil, errBinding
	}
	parts := strings.SplitN(msg, ",", 3)
	if len(parts) < 3 || (parts[0] != "n" && parts[0] != "y") {
		return nil, errMalformed
	}
	bare := parts[2]
	fields := strings.Split(bare, ",")
	if len(fields) < 2 {
		return nil, errMalformed
	}
	user, okUser := saslName(fields[0], "n=")
	nonce, okNonce := strings.CutPrefix(fields[1], "r=")
	if !okUser || !okNonce || nonce == "" { // an extension "m=" that must be understood comes here too
		return nil, errMalformed
	}
	if parts[1] != "" {
		authzid, ok := saslName(parts[1], "a=")
		if !ok {
			return nil, errMalformed
		}
		if authzid != user {
			return nil, errAuthzid
		}
	}
	d.user, d.header, d.nonce = user, parts[0]+","+parts[1]+",", nonce+newNonce()
	d.verifier, d.known = d.users.scram(user)
	first := fmt.Sprintf("r=%s,s=%s,i=%d", d.nonce, base64.StdEncoding.EncodeToString(d.verifier.Salt), d.verifier.Iterations)
	d.exchange = bare + "," + first
	return []byte(first), nil
}

// saslName reads a name with its commas and equals signs escaped.
func saslName(field, prefix string) (name string, ok bool) {
	s, ok := strings.CutPrefix(field, prefix)
	if !ok || s == "" || len(s) > maxNameBytes {
		return "", false
	}
	name = strings.NewReplacer("=2C", ",", "=3D", "=").Replace(s)
	return name, strings.Count(s, "=") == strings.Count(s, "=2C")+strings.Count(s, "=3D")
}

func (d *scramServer) final(msg string) (answer []byte, user string, err error) {
	at := strings.LastIndex(msg, ",p=")
	if at < 0 {
		return nil, "", errMalformed
	}
	without := msg[:at]
	proof, err := base64.StdEncoding.DecodeString(msg[at+len(",p="):])
	if err != nil || len(proof) != sha256.Size {
		return nil, "", errMalformed
	}
	fields := strings.Split(without, ",")
	if len(fields) < 2 || fields[0] != "c="+base64.StdEncoding.EncodeToString([]byte(d.header)) {
		return nil, "", errMalformed
	}
	if fields[1] != "r="+d.nonce {
		return nil, "", errNonce
	}
	message := d.exchange + "," + without
	signature := mac(d.verifier.StoredKey[:], message)
	subtle.XORBytes(proof, proof, signature)
	stored := sha256.Sum256(proof)
	if subtle.ConstantTimeCompare(stored[:], d.verifier.StoredKey[:]) != 1 || !d.known {
		return nil, "", ErrRefused
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(mac(d.verifier.ServerKey[:], message))), d.user, nil
}
