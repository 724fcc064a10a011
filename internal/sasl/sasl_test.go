package sasl

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

func someUsers(t testing.TB) *Users {
	t.Helper()
	u := NewUsers()
	for name, password := range map[string]string{"bob": "bobsecret", "süd": "grün", "a,b=c": `p"w\,=`} {
		if err := u.SetPassword(name, password); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// talk lets a client of ours and a server of ours finish, and returns who the server says it is.
func talk(t *testing.T, x *Exchange, c *Client) (user string, err error) {
	t.Helper()
	var challenge []byte
	for range 5 {
		answer, err := c.Step(challenge)
		if err != nil || c.Done() {
			return user, err
		}
		if challenge, user, err = x.Step(answer); err != nil {
			return "", err
		}
	}
	t.Fatal("no end")
	return "", nil
}

func TestMechanisms(t *testing.T) {
	users := someUsers(t)
	for _, mechanism := range []string{"DIGEST-MD5", "scram-sha-256"} {
		for _, test := range []struct {
			user, password string
			want           error
		}{
			{"bob", "bobsecret", nil}, {"süd", "grün", nil}, {"a,b=c", `p"w\,=`, nil},
			{"bob", "bobsecre", ErrRefused}, {"bob", "", ErrRefused}, {"eve", "bobsecret", ErrRefused}, {"eve", "", ErrRefused},
		} {
			c, err := NewClient(mechanism, test.user, test.password)
			if err != nil {
				t.Fatal(err)
			}
			x := NewExchange(users.Mechanisms())
			user, err := talk(t, x, c)
			if !errors.Is(err, test.want) || (err == nil) != (user == test.user) || c.Done() != (err == nil) {
				t.Errorf("%s as %s: user %q, error %v, done %v", mechanism, test.user, user, err, c.Done())
			}
			if !strings.EqualFold(x.Mechanism(), mechanism) {
				t.Errorf("mechanism %q, want %q", x.Mechanism(), mechanism)
			}
			if _, _, err := x.Step(nil); !errors.Is(err, errOver) {
				t.Errorf("%s: a token after the end: %v", mechanism, err)
			}
		}
	}
}

// The example of RFC 2831, section 4.
func TestDigestExample(t *testing.T) {
	r, err := parseDigestResponse([]byte(`charset=utf-8,username="chris",realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",nc=00000001,cnonce="OA6MHXh6VqTrRk",` +
		`digest-uri="imap/elwood.innosoft.com",response=d388dad90d4bbd760a152321f2143af7,qop=auth`))
	if err != nil {
		t.Fatal(err)
	}
	ha1 := digestHA1("chris", "elwood.innosoft.com", "secret")
	if got := r.proof(ha1, "AUTHENTICATE"); got != r.response {
		t.Errorf("response %s, want %s", got, r.response)
	}
	if got := r.proof(ha1, ""); got != "ea40f60335c427b5527b84dbabcdfffd" {
		t.Errorf("rspauth %s", got)
	}
}

// The example of RFC 7677, section 3.
func TestSCRAMExample(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	client, server := scramKeys("pencil", salt, 4096)
	d := &scramServer{user: "user", known: true, header: "n,,", nonce: "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
		verifier: Verifier{4096, salt, sha256.Sum256(client), [32]byte(server)}}
	d.exchange = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=" + d.nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	answer, user, err := d.Step([]byte("c=biws,r=" + d.nonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
	if err != nil || user != "user" || string(answer) != "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("%q %q %v", answer, user, err)
	}
}

// SCRAM agrees with an implementation that is not ours, on both sides.
func TestSCRAMOfOthers(t *testing.T) {
	users := someUsers(t)
	for _, password := range []string{"bobsecret", "wrong"} {
		other, err := scram.SHA256.NewClient("bob", password, "")
		if err != nil {
			t.Fatal(err)
		}
		conversation, x := other.NewConversation(), NewExchange(users.Mechanisms())
		var challenge, user string
		for !conversation.Done() && err == nil {
			var answer string
			if answer, err = conversation.Step(challenge); err == nil && !conversation.Done() {
				var b []byte
				b, user, err = x.Step([]byte(answer))
				challenge = string(b)
			}
		}
		if ok := password == "bobsecret"; ok != (err == nil) || ok != conversation.Valid() || ok != (user == "bob") {
			t.Errorf("password %s: %v, valid %v, user %q", password, err, conversation.Valid(), user)
		}
	}
	v, _ := users.scram("bob")
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
		return scram.StoredCredentials{KeyFactors: scram.KeyFactors{Salt: string(v.Salt), Iters: v.Iterations}, StoredKey: v.StoredKey[:], ServerKey: v.ServerKey[:]}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClient("SCRAM-SHA-256", "bob", "bobsecret")
	if err != nil {
		t.Fatal(err)
	}
	conversation, challenge := server.NewConversation(), ""
	for !c.Done() {
		answer, err := c.Step([]byte(challenge))
		if err != nil {
			t.Fatal(err)
		}
		if c.Done() {
			break
		}
		if challenge, err = conversation.Step(string(answer)); err != nil {
			t.Fatal(err)
		}
	}
	if !conversation.Valid() || conversation.Username() != "bob" {
		t.Errorf("valid %v, user %q", conversation.Valid(), conversation.Username())
	}
}

func TestBadTokens(t *testing.T) {
	users := someUsers(t)
	digest := func(nonce string) string {
		r := digestResponse{user: "bob", realm: DigestRealm, nonce: nonce, cnonce: "c", nc: "00000001", qop: "auth", uri: "zookeeper/zk-sasl-md5"}
		return `username="bob",realm="zk-sasl-md5",nonce="` + nonce + `",cnonce="c",nc=00000001,digest-uri="zookeeper/zk-sasl-md5",response=` +
			r.proof(digestHA1("bob", DigestRealm, "bobsecret"), "AUTHENTICATE")
	}
	long := strings.Repeat("x", MaxTokenBytes+1)
	for _, test := range []struct {
		name   string
		tokens []string // NONCE is the server's
		want   error
	}{
		{"another mechanism, taken for DIGEST-MD5", []string{"PLAIN", "PLAIN"}, errMalformed},
		{"too long", []string{long}, errTooLong},
		{"another challenge", []string{"", digest("other")}, errNonce},
		{"not a response", []string{"", "hello"}, errMalformed},
		{"empty twice", []string{"", ""}, errMalformed},
		{"a response that is too long", []string{"", digest("NONCE") + strings.Repeat(" ", maxDigestBytes)}, errMalformed},
		{"a field twice", []string{"", digest("NONCE") + `,username="eve"`}, errMalformed},
		{"many fields", []string{"", digest("NONCE") + strings.Join(strings.Split(strings.Repeat(",a=b", 40), "a"), "")}, errMalformed},
		{"a quote without end", []string{"", `username="bob`}, errMalformed},
		{"replayed count", []string{"", strings.Replace(digest("NONCE"), "nc=00000001", "nc=00000002", 1)}, errNonce},
		{"a layer", []string{"", digest("NONCE") + ",qop=auth-int"}, errQOP},
		{"another service", []string{"", strings.Replace(digest("NONCE"), "zookeeper/", "imap/", 1)}, errURI},
		{"channel binding", []string{"p=tls-unique,,n=bob,r=x"}, errBinding},
		{"an extension", []string{"n,,m=x,n=bob,r=x"}, errMalformed},
		{"no nonce", []string{"n,,n=bob,r="}, errMalformed},
		{"no name", []string{"n,,n=,r=x"}, errMalformed},
		{"a bad escape", []string{"n,,n=b=4Fb,r=x"}, errMalformed},
		{"acting as another", []string{"n,a=eve,n=bob,r=x"}, errAuthzid},
		{"a short client-first", []string{"n,"}, errMalformed},
		{"a short client-final", []string{"n,,n=bob,r=x", "c=biws"}, errMalformed},
		{"another binding", []string{"n,,n=bob,r=x", "c=eSws,r=x,p=" + strings.Repeat("A", 43) + "="}, errMalformed},
		{"another nonce", []string{"n,,n=bob,r=x", "c=biws,r=x,p=" + strings.Repeat("A", 43) + "="}, errNonce},
		{"a proof of a wrong length", []string{"n,,n=bob,r=x", "c=biws,r=x,p=AAAA"}, errMalformed},
		{"client-first twice", []string{"n,,n=bob,r=x", "n,,n=bob,r=x"}, errMalformed},
		{"another mechanism midway", []string{"n,,n=bob,r=x", ""}, errMalformed},
	} {
		x := NewExchange(users.Mechanisms())
		nonce := ""
		var err error
		for i, token := range test.tokens {
			var answer []byte
			var user string
			answer, user, err = x.Step([]byte(strings.ReplaceAll(token, "NONCE", nonce)))
			if user != "" {
				t.Errorf("%s: accepted", test.name)
			}
			if err != nil && i < len(test.tokens)-1 {
				t.Errorf("%s: token %d: %v", test.name, i, err)
			}
			if f, _ := parseFields(answer); f != nil {
				nonce = f["nonce"]
			}
		}
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if err != nil && (strings.Contains(err.Error(), "bobsecret") || len(err.Error()) > 200) {
			t.Errorf("%s: the error says too much: %v", test.name, err)
		}
	}
}

func TestNoMechanism(t *testing.T) {
	for _, token := range []string{"", "PLAIN", "\x60"} {
		if _, _, err := NewExchange([]Mechanism{SCRAM(NewUsers())}).Step([]byte(token)); !errors.Is(err, errNoMechanism) {
			t.Errorf("%q: %v", token, err)
		}
	}
}

func TestUnknownUserLooksTheSame(t *testing.T) {
	users := someUsers(t)
	first := func(name string) string {
		answer, _, err := NewExchange(users.Mechanisms()).Step([]byte("n,,n=" + name + ",r=x"))
		if err != nil {
			t.Fatal(err)
		}
		_, salt, _ := bytes.Cut(answer, []byte(",s="))
		return string(salt)
	}
	if a, b := first("nobody"), first("nobody"); a != b || a == first("nobodyelse") || len(a) != len(first("bob")) {
		t.Error("the salt of a user that does not exist gives it away")
	}
}

func TestUsersFile(t *testing.T) {
	lines, err := Lines("bob", "bobsecret")
	if err != nil {
		t.Fatal(err)
	}
	u := NewUsers()
	if err := u.ReadFile([]byte("# people\n\n" + lines + "alice plain open sesame \n")); err != nil {
		t.Fatal(err)
	}
	for name, password := range map[string]string{"bob": "bobsecret", "alice": "open sesame"} {
		for _, mechanism := range []string{nameDigest, nameSCRAM} {
			c, err := NewClient(mechanism, name, password)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := talk(t, NewExchange(u.Mechanisms()), c); got != name || err != nil {
				t.Errorf("%s %s: %q %v", mechanism, name, got, err)
			}
		}
	}
	if strings.Contains(lines, "bobsecret") {
		t.Error("the lines hold the password")
	}
	hash := hex.EncodeToString(make([]byte, 16))
	for _, bad := range []string{"bob", "bob plain", "bob md5 sesame", "bob digest-md5 sesame", "bob digest-md5 " + hash + "00", "bob scram-sha-256 4096:a:b",
		"bob scram-sha-256 1:c2VzYW1l:c2VzYW1l:c2VzYW1l", "a@b plain sesame", "bob plain " + strings.Repeat("sesame", 1000), "b\x00b plain sesame", "bob plain s\xffesame"} {
		err := NewUsers().ReadFile([]byte("\n" + bad))
		if err == nil || !strings.HasPrefix(err.Error(), "line 2: ") || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		names      Names
		from, want string
	}{
		{Names{}, "bob", "bob"},
		{Names{Realm: "R"}, "bob@R", "bob@R"},
		{Names{Realm: "R"}, "bob/h@R", "bob/h@R"},
		{Names{Realm: "R", RemoveHost: true}, "bob/h@R", "bob@R"},
		{Names{Realm: "R", RemoveRealm: true}, "bob/h@R", "bob/h"},
		{Names{Realm: "R", RemoveHost: true, RemoveRealm: true}, "bob/h@R", "bob"},
		{Names{Realm: "R", RemoveHost: true, RemoveRealm: true}, "bob/h@EVIL", "bob/h@EVIL"},
	} {
		if got := test.names.Of(test.from); got != test.want {
			t.Errorf("%+v of %s: %s, want %s", test.names, test.from, got, test.want)
		}
	}
}
