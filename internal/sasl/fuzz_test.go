package sasl

import (
	"strings"
	"testing"
)

// No sequence of tokens makes a server accept anybody who does not know a password, nor does it panic.
func FuzzExchange(f *testing.F) {
	users := NewUsers()
	if err := users.SetPassword("bob", "a password that no fuzzer guesses"); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(""), []byte(`username="bob",realm="zk-sasl-md5",nonce="NONCE",cnonce="c",nc=00000001,digest-uri="zookeeper/zk-sasl-md5",response=0,qop=auth`), []byte{})
	f.Add([]byte("n,,n=bob,r=x"), []byte("c=biws,r=NONCE,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), []byte("x"))
	f.Add([]byte("y,a=bob,n=bob,r=,,="), []byte("p="), []byte(""))
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		x := NewExchange(users.Mechanisms())
		nonce := ""
		for _, token := range [][]byte{one, two, three} {
			answer, user, err := x.Step([]byte(strings.ReplaceAll(string(token), "NONCE", nonce)))
			if user != "" {
				t.Fatalf("accepted as %q", user)
			}
			if err != nil && (answer != nil || len(err.Error()) > 300) {
				t.Fatalf("an answer %q with an error %v", answer, err)
			}
			if fields, err := parseFields(answer); err == nil && fields["nonce"] != "" {
				nonce = fields["nonce"]
			} else if rest, ok := strings.CutPrefix(string(answer), "r="); ok {
				nonce, _, _ = strings.Cut(rest, ",")
			}
		}
	})
}

// No server makes a client believe that it knows the password.
func FuzzClient(f *testing.F) {
	f.Add(true, []byte(`realm="zk-sasl-md5",nonce="n",qop="auth",charset=utf-8,algorithm=md5-sess`), []byte("rspauth=0"))
	f.Add(false, []byte("r=xy,s=AAAA,i=4096"), []byte("v="))
	f.Fuzz(func(t *testing.T, digest bool, one, two []byte) {
		mechanism := nameSCRAM
		if digest {
			mechanism = nameDigest
		}
		c, err := NewClient(mechanism, "bob", "a password that no fuzzer guesses")
		if err != nil {
			t.Fatal(err)
		}
		for _, challenge := range [][]byte{nil, one, two} {
			if _, err := c.Step(challenge); err != nil {
				break
			}
		}
		if c.Done() {
			t.Fatal("the client believes the server")
		}
	})
}

func FuzzJAAS(f *testing.F) {
	f.Add([]byte(someJAAS))
	f.Add([]byte("Server { a.B required x=\"\\"))
	f.Fuzz(func(t *testing.T, text []byte) {
		sections, err := ParseJAAS(text)
		if err != nil {
			return
		}
		for _, logins := range sections {
			if len(logins) == 0 {
				t.Fatal("an empty section")
			}
			for _, l := range logins {
				if l.Flag == "" || l.Options == nil {
					t.Fatalf("%+v", l)
				}
			}
		}
	})
}

func FuzzUsersFile(f *testing.F) {
	f.Add([]byte("# x\nbob plain secret\nbob digest-md5 00112233445566778899aabbccddeeff\nbob scram-sha-256 4096:AAAA:AAAA:AAAA\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if strings.Count(string(text), "plain") > 4 {
			t.Skip("each makes a verifier, which is slow by design")
		}
		u := NewUsers()
		if err := u.ReadFile(text); err == nil {
			for name := range u.byName {
				if CheckName(name) != nil {
					t.Fatalf("user %q", name)
				}
			}
		}
	})
}
