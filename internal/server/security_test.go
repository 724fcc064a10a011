package server

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"gopherwood/internal/sasl"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

const bobSecret = "a-secret-that-is-in-no-log"

// secured runs n servers with bob, alice and super as users.
func secured(t *testing.T, n int, change func(*Config)) *ensemble {
	t.Helper()
	users := sasl.NewUsers()
	for _, name := range []string{"bob", "alice", "super", "root"} {
		if err := users.SetPassword(name, bobSecret); err != nil {
			t.Fatal(err)
		}
	}
	return newEnsemble(t, n, func(c *Config) {
		c.Security.SASL = users.Mechanisms()
		if change != nil {
			change(c)
		}
	})
}

// token sends one token and returns the answer.
func (c *rawClient) token(token []byte) ([]byte, zk.Code) {
	c.t.Helper()
	h, d := c.call(zk.OpSASL, &wire.GetSASLRequest{Token: token})
	var r wire.SetSASLResponse
	if r.Decode(d); d.Err() != nil {
		c.t.Fatal(d.Err())
	}
	return r.Token, h.Err
}

// login authenticates the connection, or says with which code that failed.
func (c *rawClient) login(mechanism, user, password string) zk.Code {
	c.t.Helper()
	client, err := sasl.NewClient(mechanism, user, password)
	if err != nil {
		c.t.Fatal(err)
	}
	var challenge []byte
	for {
		answer, err := client.Step(challenge)
		if err != nil {
			c.t.Fatal(err)
		}
		if client.Done() {
			return zk.OK
		}
		var code zk.Code
		if challenge, code = c.token(answer); code != zk.OK {
			return code
		}
	}
}

// saslClient is a client that has authenticated itself.
func (e *ensemble) saslClient(i int, user string) *rawClient {
	e.t.Helper()
	c := e.client(i)
	if code := c.login("DIGEST-MD5", user, bobSecret); code != zk.OK {
		e.t.Fatal(code)
	}
	return c
}

func (c *rawClient) whoAmI() string {
	c.t.Helper()
	var r wire.WhoAmIResponse
	r.Decode(c.must(zk.OpWhoAmI, nil))
	var all []string
	for _, i := range r.ClientInfo {
		all = append(all, i.AuthScheme+":"+i.User)
	}
	return strings.Join(all, " ")
}

func (c *rawClient) createWith(path string, acl ...zk.ACL) zk.Code {
	c.t.Helper()
	h, _ := c.call(zk.OpCreate, &wire.CreateRequest{Path: path, ACL: acl})
	return h.Err
}

func saslACL(user string) zk.ACL {
	return zk.ACL{Perms: zk.PermAll, ID: zk.ID{Scheme: "sasl", ID: user}}
}

func TestSASL(t *testing.T) {
	e := secured(t, 3, func(c *Config) { c.Security.SuperUsers = []string{"root"} })
	for i, mechanism := range []string{"DIGEST-MD5", "SCRAM-SHA-256"} {
		c := e.client(i)
		if code := c.login(mechanism, "bob", bobSecret); code != zk.OK {
			t.Fatalf("%s: %v", mechanism, code)
		}
		if got := c.whoAmI(); got != "ip:127.0.0.1 sasl:bob" {
			t.Errorf("%s: %s", mechanism, got)
		}
	}
	bob, alice, super, root := e.saslClient(0, "bob"), e.saslClient(1, "alice"), e.saslClient(2, "super"), e.saslClient(0, "root")
	if code := bob.createWith("/bob", saslACL("bob")); code != zk.OK {
		t.Fatal(code)
	}
	if code := bob.createWith("/auth", zk.ACL{Perms: zk.PermAll, ID: zk.ID{Scheme: "auth"}}); code != zk.OK {
		t.Fatal(code)
	}
	var acl wire.GetACLResponse
	acl.Decode(bob.must(zk.OpGetACL, &wire.GetACLRequest{Path: "/auth"}))
	if !slices.Equal(acl.ACL, []zk.ACL{saslACL("bob")}) {
		t.Errorf("auth became %v", acl.ACL)
	}
	for name, c := range map[string]struct {
		c    *rawClient
		want zk.Code
	}{"bob": {bob, zk.OK}, "alice": {alice, zk.ErrNoAuth}, "super, whom sasl ACLs let in": {super, zk.OK}, "root, a super user": {root, zk.OK}, "nobody": {e.client(1), zk.ErrNoAuth}} {
		c.c.must(zk.OpSync, &wire.SyncRequest{Path: "/"})
		if _, _, code := c.c.get("/bob", false); code != c.want {
			t.Errorf("%s reads /bob: %v, want %v", name, code, c.want)
		}
		if h, _ := c.c.call(zk.OpSetData, setReq("/bob", "x")); h.Err != c.want {
			t.Errorf("%s writes /bob: %v, want %v", name, h.Err, c.want)
		}
	}
	if got := root.whoAmI(); got != "ip:127.0.0.1 sasl:root super:" {
		t.Errorf("root is %s", got)
	}
	for id, want := range map[string]zk.Code{"": zk.OK, "bob/host@REALM": zk.OK, "a/b/c": zk.OK, "a/b/c@R": zk.ErrInvalidACL, "a@b@c": zk.ErrInvalidACL} {
		if code := bob.createWith("/id-"+strings.ReplaceAll(id, "/", "."), saslACL(id)); code != want {
			t.Errorf("ACL of sasl:%s: %v, want %v", id, code, want)
		}
	}
}

func TestSASLRefused(t *testing.T) {
	e := secured(t, 1, nil)
	for _, mechanism := range []string{"DIGEST-MD5", "SCRAM-SHA-256"} {
		c := e.client(0)
		if code := c.login(mechanism, "bob", "wrong"); code != zk.ErrAuthFailed {
			t.Errorf("%s: %v", mechanism, code)
		}
		c.ended()
	}
	for name, tokens := range map[string][][]byte{
		"another mechanism": {[]byte("PLAIN"), []byte("PLAIN")}, "malformed": {{}, []byte("x")}, "too long": {make([]byte, sasl.MaxTokenBytes+1)}, "none": {{}, nil},
	} {
		c := e.client(0)
		var code zk.Code
		for _, token := range tokens {
			_, code = c.token(token)
		}
		if code != zk.ErrAuthFailed {
			t.Errorf("%s: %v", name, code)
		}
		c.ended()
	}
	again := e.saslClient(0, "bob")
	if _, code := again.token(nil); code != zk.ErrAuthFailed {
		t.Errorf("a second authentication: %v", code)
	}
	again.ended()
	short := e.client(0)
	short.write(request1(1, zk.OpSASL, nil))
	if h, _ := short.reply(); h.Err != zk.ErrMarshalling {
		t.Errorf("no token at all: %v", h.Err)
	}
	short.ended()
	if h, _ := e.client(0).call(zk.OpAuth, &wire.AuthPacket{Scheme: "sasl", Auth: []byte("bob")}); h.Err != zk.ErrAuthFailed {
		t.Errorf("sasl by an auth request: %v", h.Err)
	}
}

// Replies to tokens come in their turn, behind the writes before them.
func TestSASLInTurn(t *testing.T) {
	e := secured(t, 1, nil)
	c := e.client(0)
	e.hold()
	write := c.send(zk.OpCreate, createReq("/a", "", zk.ModePersistent))
	token := c.send(zk.OpSASL, &wire.GetSASLRequest{})
	e.await(1)
	e.release()
	for _, want := range []int32{write, token} {
		if h, _ := c.reply(); h.Xid != want || h.Err != zk.OK {
			t.Errorf("reply to %d: %v, want one to %d", h.Xid, h.Err, want)
		}
	}
}

func TestSASLKeptOrRequired(t *testing.T) {
	kept := secured(t, 1, func(c *Config) { c.Security.KeepFailedSASL = true }).client(0)
	kept.token(nil)
	if _, code := kept.token([]byte("x")); code != zk.OK {
		t.Errorf("allowSaslFailedClients: %v", code)
	}
	if got := kept.whoAmI(); got != "ip:127.0.0.1" {
		t.Errorf("it is %s", got)
	}
	e := secured(t, 1, func(c *Config) { c.Security.KeepFailedSASL, c.Security.Enforce = true, []string{"sasl"} })
	c := e.client(0)
	c.token(nil)
	if _, code := c.token([]byte("x")); code != zk.ErrSessionClosedRequireSASL {
		t.Errorf("sessionRequireClientSASLAuth: %v", code)
	}
	c.ended()
	for _, op := range []zk.OpCode{zk.OpPing, zk.OpGetData, zk.OpCreate, zk.OpSync, zk.OpCloseSession, zk.OpCode(999)} {
		c := e.client(0)
		if h, _ := c.call(op, nil); h.Err != zk.ErrSessionClosedRequireSASL {
			t.Errorf("operation %d of a stranger: %v", op, h.Err)
		}
		c.ended()
	}
	e.saslClient(0, "bob").create("/a", "", zk.ModePersistent)
}

func TestEnforceDigest(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.Security.Enforce = []string{"digest"} })
	c := e.client(0)
	c.must(zk.OpAuth, &wire.AuthPacket{Scheme: "digest", Auth: []byte("bob:" + bobSecret)})
	c.create("/a", "", zk.ModePersistent)
	stranger := e.client(0)
	if h, _ := stranger.call(zk.OpGetData, &wire.GetDataRequest{Path: "/a"}); h.Err != zk.ErrSessionClosedRequireSASL {
		t.Error(h.Err)
	}
}

// A server that is not configured for SASL answers a token with none, and knows no sasl in ACLs; so for digest where it is disabled.
func TestSchemesOff(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.Security.NoDigest = true })
	c := e.client(0)
	if token, code := c.token(nil); token != nil || code != zk.OK {
		t.Errorf("%q %v", token, code)
	}
	for _, id := range []zk.ID{{Scheme: "sasl", ID: "bob"}, {Scheme: "digest", ID: "a:b"}} {
		if code := c.createWith("/a", zk.ACL{Perms: zk.PermAll, ID: id}); code != zk.ErrInvalidACL {
			t.Errorf("%v: %v", id, code)
		}
	}
	multi := &wire.MultiRequest{Ops: []wire.Op{{Type: zk.OpCreate, Path: "/a", ACL: []zk.ACL{saslACL("bob")}}}}
	var r wire.MultiResponse
	r.Decode(c.must(zk.OpMulti, multi))
	if len(r.Results) != 1 || r.Results[0].Err != zk.ErrInvalidACL {
		t.Errorf("multi: %+v", r.Results)
	}
	if h, _ := c.call(zk.OpAuth, &wire.AuthPacket{Scheme: "digest", Auth: []byte("a:b")}); h.Err != zk.ErrAuthFailed {
		t.Errorf("digest: %v", h.Err)
	}
}

func TestSkipACL(t *testing.T) {
	e := secured(t, 1, func(c *Config) { c.Security.SkipACL = true })
	if code := e.client(0).createWith("/a", saslACL("nobody")); code != zk.OK {
		t.Fatal(code)
	}
	c := e.client(0)
	if _, _, code := c.get("/a", false); code != zk.OK {
		t.Error(code)
	}
	if h, _ := c.call(zk.OpSetData, setReq("/a", "x")); h.Err != zk.OK {
		t.Error(h.Err)
	}
}

func TestDigestAlgorithm(t *testing.T) {
	for algorithm, want := range map[string]string{ // echo -n bob:secret | openssl dgst -sha256 -binary | base64
		"": "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=", "SHA-256": "bob:huAluaVu3uER4LIpielGv9Qqk5x3YVDr6I2R/mXf2wE=",
	} {
		s, err := New(Config{Log: quietLog(t), Manual: true, Security: Security{DigestAlgorithm: algorithm}})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.digestID("bob:secret"); got != want {
			t.Errorf("%q: %s, want %s", algorithm, got, want)
		}
	}
}

func TestBadSecurity(t *testing.T) {
	for _, s := range []Security{{DigestAlgorithm: "ROT13"}, {Enforce: []string{"sasl"}}, {Enforce: []string{"digest"}, NoDigest: true}, {Enforce: []string{"super"}}} {
		if _, err := New(Config{Security: s}); err == nil || !strings.HasPrefix(err.Error(), "server: ") {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

// Whatever a client does with its password, it is in no line of the log.
func TestNoPasswordInTheLog(t *testing.T) {
	var mu sync.Mutex
	var b bytes.Buffer
	e := secured(t, 1, func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return b.Write(p)
		}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	for _, f := range []func(c *rawClient){
		func(c *rawClient) { c.login("DIGEST-MD5", "bob", bobSecret) },
		func(c *rawClient) { c.login("SCRAM-SHA-256", "bob", bobSecret) },
		func(c *rawClient) { c.login("SCRAM-SHA-256", "eve", bobSecret) },
		func(c *rawClient) { c.token([]byte(bobSecret)) },
		func(c *rawClient) { c.token([]byte("n,," + bobSecret)) },
		func(c *rawClient) { c.token(nil); c.token([]byte(bobSecret + `="`)) },
		func(c *rawClient) {
			c.call(zk.OpAuth, &wire.AuthPacket{Scheme: "digest", Auth: []byte("bob:" + bobSecret)})
		},
		func(c *rawClient) {
			c.call(zk.OpAuth, &wire.AuthPacket{Scheme: "plain", Auth: []byte("bob:" + bobSecret)})
		},
		func(c *rawClient) {
			c.call(zk.OpAuth, &wire.AuthPacket{Scheme: "sasl", Auth: []byte("bob:" + bobSecret)})
		},
	} {
		f(e.client(0))
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(b.String(), "a client has authenticated itself by SASL") || !strings.Contains(b.String(), sasl.ErrRefused.Error()) {
		t.Errorf("the log does not tell: %s", b.String())
	}
	if strings.Contains(b.String(), bobSecret) {
		t.Errorf("a password is in the log: %s", b.String())
	}
}

// TestAnySASLUser: an entry of that name lets every SASL user in, and nobody else; "auth" does not stand for it, and whoami does not show it. (letAnySaslUserDoX)
func TestAnySASLUser(t *testing.T) {
	e := secured(t, 2, func(c *Config) {
		if c.ID == 1 { // the other server has no such setting
			c.Security.AnySASLUser = "anyone"
		}
	})
	bob, alice, elsewhere, nobody := e.saslClient(0, "bob"), e.saslClient(0, "alice"), e.saslClient(1, "alice"), e.client(0)
	read := saslACL("anyone")
	read.Perms = zk.PermRead
	for path, acl := range map[string][]zk.ACL{"/read": {saslACL("bob"), read}, "/all": {saslACL("anyone")}, "/auth": {{Perms: zk.PermAll, ID: zk.ID{Scheme: "auth"}}}} {
		if code := bob.createWith(path, acl...); code != zk.OK {
			t.Fatal(path, code)
		}
	}
	if got := alice.whoAmI(); got != "ip:127.0.0.1 sasl:alice" {
		t.Errorf("alice is %s", got)
	}
	for _, tc := range []struct {
		who               string
		c                 *rawClient
		read, write       zk.Code // of /read
		readAll, writeAll zk.Code
		auth              zk.Code
	}{
		{"bob", bob, zk.OK, zk.OK, zk.OK, zk.OK, zk.OK},
		{"alice", alice, zk.OK, zk.ErrNoAuth, zk.OK, zk.OK, zk.ErrNoAuth},
		{"alice elsewhere", elsewhere, zk.ErrNoAuth, zk.ErrNoAuth, zk.ErrNoAuth, zk.ErrNoAuth, zk.ErrNoAuth},
		{"nobody", nobody, zk.ErrNoAuth, zk.ErrNoAuth, zk.ErrNoAuth, zk.ErrNoAuth, zk.ErrNoAuth},
	} {
		tc.c.must(zk.OpSync, &wire.SyncRequest{Path: "/"})
		get := func(path string) zk.Code { _, _, code := tc.c.get(path, false); return code }
		set := func(path string) zk.Code { h, _ := tc.c.call(zk.OpSetData, setReq(path, "x")); return h.Err }
		if r, w, ra, wa, a := get("/read"), set("/read"), get("/all"), set("/all"), get("/auth"); r != tc.read || w != tc.write || ra != tc.readAll || wa != tc.writeAll || a != tc.auth {
			t.Errorf("%s: /read %v %v, /all %v %v, /auth %v; want %+v", tc.who, r, w, ra, wa, a, tc)
		}
	}
	e.quiet()
	if e.members[0].server.tree.Digest() != e.members[1].server.tree.Digest() {
		t.Error("the servers differ")
	}
}
