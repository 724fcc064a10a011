package sasl

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

const someJAAS = `/* ZooKeeper's
   guide */
Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    user_super="adminsecret" // the administrator
    user_bob="bob;secret=\"x\"";
};
# another
Client { com.sun.security.auth.module.Krb5LoginModule REQUIRED useKeyTab=true keyTab='/etc/zk.keytab' storeKey=true useTicketCache=false
    principal="zookeeper/host@EXAMPLE.COM"; com.ibm.security.auth.module.Krb5LoginModule optional; };
`

func TestJAAS(t *testing.T) {
	sections, err := ParseJAAS([]byte(someJAAS))
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(sections)); !slices.Equal(got, []string{"Client", "Server"}) {
		t.Fatalf("sections %v", got)
	}
	server, client := sections["Server"], sections["Client"]
	if len(server) != 1 || !server[0].IsDigest() || server[0].Flag != "required" || server[0].Options["user_bob"] != `bob;secret="x"` {
		t.Errorf("Server: %+v", server)
	}
	if len(client) != 2 || !client[0].IsKrb5() || client[0].Option("keytab") != "/etc/zk.keytab" || client[0].Option("useTicketCache") != "false" || len(client[1].Options) != 0 {
		t.Errorf("Client: %+v", client)
	}
	users := NewUsers()
	if err := server[0].AddTo(users); err != nil || users.Len() != 2 {
		t.Errorf("%d users, %v", users.Len(), err)
	}
}

func TestBadJAAS(t *testing.T) {
	for text, want := range map[string]string{
		"Server":                               "line 1: expected {",
		"Server {":                             "line 1: expected the class of a module, or }",
		"{":                                    "line 1: expected the name of a section",
		"Server { };":                          "line 1: expected a module in the section",
		"Server {\n a.B sesame x=y; };":        "line 2: expected required,",
		"Server {\n a.B required x=y }":        "line 2: expected an option, or ;",
		"Server {\n a.B required x y; };":      "line 2: expected =",
		"Server {\n a.B required x=; };":       "line 2: expected the value of an option",
		"Server {\n a.B required x=\"sesame\n": "line 2: a string without its closing quote",
		"Server {\n a.B required x=\"sesame":   "line 2: a string without its closing quote",
		"Server {\n a.B required x=\"${p}\";":  "line 2: the value of option \"x\" has a ${property}",
		"Server {\n a.B required x=1 x=2;":     "line 2: the option \"x\" is there twice",
		"Server { a.B required; }":             "line 1: expected ;",
		"S { a.B required; };\nS { a.B":        "line 2: the section \"S\" is there twice",
		"/* \n\n":                              "line 1: expected */",
		"\xff":                                 "a JAAS file has to be UTF-8",
	} {
		_, err := ParseJAAS([]byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
