package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"gopherwood/internal/server"
)

// secretFile writes a file that only its owner can read.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// secured is what serve makes of arguments.
func secured(t *testing.T, args ...string) (server.Security, string, error) {
	t.Helper()
	var s settings
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.flags(f)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := s.resolve(); err != nil {
		return server.Security{}, "", err
	}
	var log bytes.Buffer
	c, err := s.security(slog.New(slog.NewTextHandler(&log, nil)))
	return c, log.String(), err
}

func mechanisms(c server.Security) (names []string) {
	for _, m := range c.SASL {
		names = append(names, m.Name())
	}
	return names
}

const someJAAS = `Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_super="sesame" user_bob="sesame"; };
Other { org.apache.zookeeper.server.auth.DigestLoginModule required user_eve="sesame"; };
Client { org.apache.zookeeper.server.auth.DigestLoginModule required username="bob" password="sesame"; };`

func TestSecurity(t *testing.T) {
	both := []string{"DIGEST-MD5", "SCRAM-SHA-256"}
	jaas := secretFile(t, someJAAS)
	for name, test := range map[string]struct {
		args       []string
		env        string
		mechanisms []string
		check      func(c server.Security) bool
	}{
		"nothing":                 {check: func(c server.Security) bool { return c.Enforce == nil && !c.SASLInACLs }},
		"a users' file":           {args: []string{"--sasl-users", secretFile(t, "bob plain sesame\n")}, mechanisms: both},
		"verifiers of one kind":   {args: []string{"--sasl-users", secretFile(t, "bob digest-md5 "+strings.Repeat("0", 32))}, mechanisms: both[:1]},
		"a JAAS file":             {args: []string{"--jaas", jaas}, mechanisms: both},
		"a JAAS file by zoo.cfg":  {args: []string{"--config", zooCfg(t, "java.security.auth.login.config="+jaas+"\nsasl.serverconfig=Other", "")}, mechanisms: both},
		"a JAAS file by the JVM":  {env: "-Xmx1g -Djava.security.auth.login.config=" + jaas + " -Dzookeeper.sasl.serverconfig=Other", mechanisms: both},
		"a JVM's file without us": {env: "-Djava.security.auth.login.config=" + jaas + " -Dzookeeper.sasl.serverconfig=None"},
		"FIPS":                    {args: []string{"--jaas", jaas, "--config", zooCfg(t, "fips-mode=true", "")}, mechanisms: both[1:]},
		"everything": {args: []string{"--jaas", jaas, "--config", zooCfg(t, `authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider
sessionRequireClientSASLAuth=true
zookeeper.superUser=root
superUser.2=admin
allowSaslFailedClients=true
zookeeper.DigestAuthenticationProvider.digestAlg=SHA-256
skipACL=yes
SASLAuthenticationProvider.superPassword=sesame`, "")}, mechanisms: both, check: func(c server.Security) bool {
			return c.SASLInACLs && slices.Equal(c.Enforce, []string{"sasl"}) && slices.Equal(c.SuperUsers, []string{"root", "admin"}) && c.KeepFailedSASL && c.DigestAlgorithm == "SHA-256" && c.SkipACL
		}},
		"enforced": {args: []string{"--config", zooCfg(t, "enforce.auth.enabled=true\nenforce.auth.schemes=digest, x509\nDigestAuthenticationProvider.enabled=false", "")}, check: func(c server.Security) bool {
			return slices.Equal(c.Enforce, []string{"digest", "x509"}) && c.NoDigest
		}},
		"schemes but not enforced": {args: []string{"--config", zooCfg(t, "enforce.auth.schemes=digest", "")}, check: func(c server.Security) bool { return c.Enforce == nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SERVER_JVMFLAGS", test.env)
			c, log, err := secured(t, test.args...)
			if err != nil || !slices.Equal(mechanisms(c), test.mechanisms) || (test.check != nil && !test.check(c)) {
				t.Errorf("%+v %v", c, err)
			}
			if strings.Contains(log, "sesame") {
				t.Errorf("the log holds a password: %s", log)
			}
		})
	}
}

func TestBadSecurity(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no file":              {[]string{"--sasl-users", "/nowhere/users"}, "--sasl-users /nowhere/users"},
		"a bad users' file":    {[]string{"--sasl-users", secretFile(t, "\nbob sesame")}, "line 2: it has to be NAME digest-md5 HASH"},
		"no JAAS file":         {[]string{"--jaas", "/nowhere/jaas"}, "/nowhere/jaas"},
		"a bad JAAS file":      {[]string{"--jaas", secretFile(t, "Server { x.y sesame; };")}, "line 1: expected required"},
		"another section":      {[]string{"--jaas", secretFile(t, "Client { x.y required; };")}, "it has no section Server"},
		"a name with a realm":  {[]string{"--jaas", secretFile(t, `Server { x.DigestLoginModule required "user_a@b"="sesame"; };`)}, `"a@b" is no user's name`},
		"Kerberos without key": {[]string{"--jaas", secretFile(t, "Server { x.Krb5LoginModule required useTicketCache=true; };")}, "needs keyTab and principal"},
		"no principal":         {[]string{"--krb5-keytab", "x"}, "need each other"},
		"no keytab":            {[]string{"--krb5-keytab", secretFile(t, "sesame"), "--krb5-principal", "zookeeper/h@R"}, "it is no keytab"},
		"enforced nothing":     {[]string{"--config", zooCfg(t, "enforce.auth.enabled=true", "")}, "needs enforce.auth.schemes"},
		"rules":                {[]string{"--config", zooCfg(t, "security.auth_to_local=RULE:[3:$1]", "")}, "cannot be applied: RULE:[3:$1]: \"3\" is not how many parts"},
		"skipACL":              {[]string{"--config", zooCfg(t, "skipACL=maybe", "")}, "neither yes nor no"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := secured(t, test.args...)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "sesame") || exitCode(err) != exitUsage {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

func TestSASLUser(t *testing.T) {
	cmd := newRootCmd()
	var out bytes.Buffer
	cmd.SetArgs([]string{"sasl-user", "bob"})
	cmd.SetIn(strings.NewReader("sesame\r\nmore"))
	cmd.SetOut(&out)
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "bob digest-md5 ") || strings.Count(out.String(), "\n") != 2 || strings.Contains(out.String(), "sesame") {
		t.Errorf("%s", out.String())
	}
	c, log, err := secured(t, "--sasl-users", secretFile(t, out.String()))
	if err != nil || len(c.SASL) != 2 || strings.Contains(log, "others") {
		t.Errorf("%+v %v %s", c, err, log)
	}
}
