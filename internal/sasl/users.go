package sasl

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Users are who may log in by DIGEST-MD5 and SCRAM-SHA-256. It is filled before it is used, and immutable from then on. Passwords are turned into
// verifiers at once.
type Users struct {
	byName map[string]*user
	secret [sha256.Size]byte // makes the salts of users that do not exist
}

type user struct {
	digest    [md5.Size]byte
	scram     Verifier
	hasDigest bool
	hasSCRAM  bool
}

// NewUsers is nobody.
func NewUsers() *Users {
	u := &Users{byName: make(map[string]*user)}
	_, _ = rand.Read(u.secret[:]) // crypto/rand never returns an error
	return u
}

// Len is how many users there are.
func (u *Users) Len() int { return len(u.byName) }

// Mechanisms are those that at least one user can use.
func (u *Users) Mechanisms() (all []Mechanism) {
	var digest, scram bool
	for _, v := range u.byName {
		digest, scram = digest || v.hasDigest, scram || v.hasSCRAM
	}
	if digest {
		all = append(all, Digest(u))
	}
	if scram {
		all = append(all, SCRAM(u))
	}
	return all
}

// SetPassword adds a user, or replaces its password, for both mechanisms.
func (u *Users) SetPassword(name, password string) error {
	if password == "" || len(password) > maxPasswordBytes || !utf8.ValidString(password) {
		return fmt.Errorf("the password of user %q is empty, longer than %d bytes or no UTF-8", name, maxPasswordBytes)
	}
	v, err := u.entry(name)
	if err != nil {
		return err
	}
	*v = user{digest: digestHA1(name, DigestRealm, password), hasDigest: true, scram: NewVerifier(password), hasSCRAM: true}
	return nil
}

// entry is the user's, made if there is none.
func (u *Users) entry(name string) (*user, error) {
	if why := CheckName(name); why != nil {
		return nil, why
	}
	v := u.byName[name]
	if v == nil {
		if len(u.byName) >= maxUsers {
			return nil, fmt.Errorf("there are more than %d users", maxUsers)
		}
		v = new(user)
		u.byName[name] = v
	}
	return v, nil
}

// CheckName says what is wrong with a user's name. An @ would make it look like a Kerberos principal.
func CheckName(name string) error {
	if name == "" || len(name) > maxNameBytes || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool {
		return r == '@' || unicode.IsSpace(r) || unicode.IsControl(r)
	}) {
		return fmt.Errorf("%q is no user's name: it has to be 1 to %d bytes without spaces, control characters and @", short(name), maxNameBytes)
	}
	return nil
}

// short bounds what an error repeats.
func short(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// digest is a user's verifier; of one that does not exist, one that nothing matches.
func (u *Users) digest(name string) (ha1 [md5.Size]byte, ok bool) {
	if v := u.byName[name]; v != nil && v.hasDigest {
		return v.digest, true
	}
	return [md5.Size]byte(u.secret[:]), false
}

// scram is a user's verifier; of one that does not exist, one that looks the same every time and that nothing matches.
func (u *Users) scram(name string) (v Verifier, ok bool) {
	if v := u.byName[name]; v != nil && v.hasSCRAM {
		return v.scram, true
	}
	none := mac(u.secret[:], name)
	return Verifier{Iterations: minIterations, Salt: none[:16], StoredKey: sha256.Sum256(none), ServerKey: [sha256.Size]byte(none)}, false
}

// The kinds of line in a users' file.
const (
	kindDigest = "digest-md5"
	kindSCRAM  = "scram-sha-256"
	kindPlain  = "plain"
)

// Lines are the lines of a users' file for a user with this password: verifiers, one for each mechanism.
func Lines(name, password string) (string, error) {
	if err := NewUsers().SetPassword(name, password); err != nil {
		return "", err
	}
	ha1, v := digestHA1(name, DigestRealm, password), NewVerifier(password)
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s %s %s\n%s %s %d:%s:%s:%s\n", name, kindDigest, hex.EncodeToString(ha1[:]),
		name, kindSCRAM, v.Iterations, b64(v.Salt), b64(v.StoredKey[:]), b64(v.ServerKey[:])), nil
}

// ReadFile adds the users of a users' file. Each line is a name, a kind and a verifier, separated by spaces; # starts a comment line:
//
//	bob    digest-md5     MD5 of bob:zk-sasl-md5:password, in hex
//	bob    scram-sha-256  iterations:salt:StoredKey:ServerKey, the last three in base64
//	alice  plain          her password, up to the end of the line
//
// An error names the line, and nothing of what it holds but the user.
func (u *Users) ReadFile(text []byte) error {
	if len(text) > MaxFileBytes {
		return fmt.Errorf("the file is longer than %d bytes", MaxFileBytes)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := u.line(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

var errLine = errors.New("it has to be NAME digest-md5 HASH, NAME scram-sha-256 VERIFIER or NAME plain PASSWORD")

func (u *Users) line(line string) error {
	name, rest := cutSpace(line)
	kind, value := cutSpace(rest)
	if value == "" {
		return errLine
	}
	switch strings.ToLower(kind) {
	case kindPlain:
		return u.SetPassword(name, value)
	case kindDigest:
		ha1, err := hex.DecodeString(value)
		if err != nil || len(ha1) != md5.Size {
			return fmt.Errorf("the digest-md5 verifier of user %q is not 32 hex digits", short(name))
		}
		v, err := u.entry(name)
		if err != nil {
			return err
		}
		v.digest, v.hasDigest = [md5.Size]byte(ha1), true
		return nil
	case kindSCRAM:
		verifier, ok := parseVerifier(value)
		if !ok {
			return fmt.Errorf("the scram-sha-256 verifier of user %q is not iterations:salt:StoredKey:ServerKey", short(name))
		}
		v, err := u.entry(name)
		if err != nil {
			return err
		}
		v.scram, v.hasSCRAM = verifier, true
		return nil
	}
	return errLine
}

func parseVerifier(s string) (v Verifier, ok bool) {
	parts := strings.Split(s, ":")
	if len(parts) != 4 {
		return v, false
	}
	var raw [3][]byte
	for i, p := range parts[1:] {
		var err error
		if raw[i], err = base64.StdEncoding.DecodeString(p); err != nil {
			return v, false
		}
	}
	n, err := strconv.Atoi(parts[0])
	if err != nil || n < minIterations || n > maxIterations || len(raw[0]) == 0 || len(raw[0]) > 64 || len(raw[1]) != sha256.Size || len(raw[2]) != sha256.Size {
		return v, false
	}
	return Verifier{Iterations: n, Salt: raw[0], StoredKey: [sha256.Size]byte(raw[1]), ServerKey: [sha256.Size]byte(raw[2])}, true
}

func cutSpace(s string) (word, rest string) {
	at := strings.IndexFunc(s, unicode.IsSpace)
	if at < 0 {
		return s, ""
	}
	return s[:at], strings.TrimSpace(s[at:])
}
