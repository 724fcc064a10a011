package sasl

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Client is a client's side of one authentication. It is for one goroutine.
type Client struct {
	name, password string
	step           func(challenge []byte) (answer []byte, err error)
	done           bool
	expect         string // the server's last token

	nonce, bare string // of SCRAM
}

// NewClient begins an authentication as a user. The mechanism is DIGEST-MD5 or SCRAM-SHA-256, in any case of letters.
func NewClient(mechanism, name, password string) (*Client, error) {
	c := &Client{name: name, password: password}
	if name == "" || len(name) > maxNameBytes || len(password) > maxPasswordBytes || !utf8.ValidString(name+password) {
		return nil, errors.New("sasl: a user's name has to be UTF-8 and not empty, and its password UTF-8")
	}
	switch strings.ToUpper(mechanism) {
	case nameDigest:
		c.step = c.digestHello
	case nameSCRAM:
		c.step = c.scramHello
	default:
		return nil, fmt.Errorf("sasl: there is no mechanism %q; DIGEST-MD5 and SCRAM-SHA-256 are known", short(mechanism))
	}
	return c, nil
}

// Done says whether the server has accepted the client, and has proved to know its password.
func (c *Client) Done() bool { return c.done }

var (
	errServer = errors.New("the server has not proved that it knows the password")
	errAfter  = errors.New("the server goes on after the end")
)

// Step takes the server's token, nil at first, and returns the client's next. There is none to be sent when the client is Done.
func (c *Client) Step(challenge []byte) (answer []byte, err error) {
	if c.done {
		return nil, errAfter
	}
	return c.step(challenge)
}

func (c *Client) digestHello([]byte) ([]byte, error) {
	c.step = c.digestAnswer
	return []byte{}, nil
}

func (c *Client) digestAnswer(challenge []byte) ([]byte, error) {
	f, err := parseFields(challenge)
	if err != nil {
		return nil, err
	}
	if f["algorithm"] != "md5-sess" || f["nonce"] == "" {
		return nil, errMalformed
	}
	r := digestResponse{user: c.name, realm: f["realm"], nonce: f["nonce"], cnonce: newNonce(), nc: "00000001", qop: "auth", uri: digestService + "/" + digestHost}
	ha1 := digestHA1(r.user, r.realm, c.password)
	c.expect = "rspauth=" + r.proof(ha1, "")
	c.step = c.last
	return fmt.Appendf(nil, `charset=utf-8,username=%s,realm=%s,nonce=%s,nc=%s,cnonce=%s,digest-uri=%s,response=%s,qop=auth`,
		quote(r.user), quote(r.realm), quote(r.nonce), r.nc, quote(r.cnonce), quote(r.uri), r.proof(ha1, "AUTHENTICATE")), nil
}

// last takes the server's proof that it knows the password too.
func (c *Client) last(challenge []byte) ([]byte, error) {
	if subtle.ConstantTimeCompare(challenge, []byte(c.expect)) != 1 {
		return nil, errServer
	}
	c.done = true
	return nil, nil
}

func (c *Client) scramHello([]byte) ([]byte, error) {
	c.nonce = newNonce()
	c.bare = "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(c.name) + ",r=" + c.nonce
	c.step = c.scramAnswer
	return []byte("n,," + c.bare), nil
}

func (c *Client) scramAnswer(challenge []byte) ([]byte, error) {
	fields := strings.Split(string(challenge[:min(len(challenge), maxSCRAMBytes)]), ",")
	if len(fields) < 3 || !strings.HasPrefix(fields[0], "r="+c.nonce) || !strings.HasPrefix(fields[1], "s=") || !strings.HasPrefix(fields[2], "i=") {
		return nil, errMalformed
	}
	salt, err := base64.StdEncoding.DecodeString(fields[1][2:])
	if err != nil || len(salt) == 0 {
		return nil, errMalformed
	}
	n, err := strconv.Atoi(fields[2][2:])
	if err != nil || n < minIterations || n > maxIterations {
		return nil, fmt.Errorf("the server asks for a number of iterations that is not from %d to %d", minIterations, maxIterations)
	}
	without := "c=biws," + fields[0]
	message := c.bare + "," + string(challenge) + "," + without
	client, server := scramKeys(c.password, salt, n)
	stored := sha256.Sum256(client)
	proof := mac(stored[:], message)
	subtle.XORBytes(proof, proof, client)
	c.expect = "v=" + base64.StdEncoding.EncodeToString(mac(server, message))
	c.step = c.last
	return []byte(without + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}
