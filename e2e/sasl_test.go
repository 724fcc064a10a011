package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"gopherwood/client"
	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/internal/raw"
	"gopherwood/zk"
)

// secretFile writes a file that only its owner can read.
func secretFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const digestModule = "org.apache.zookeeper.server.auth.DigestLoginModule"

// serverJAAS is a JAAS file of ZooKeeper's for a server with four users.
func serverJAAS(t *testing.T) string {
	t.Helper()
	return secretFile(t, "server.jaas", `Server {
    `+digestModule+` required
    user_super="super-secret" user_root="root-secret" user_bob="bob-secret" user_alice="alice-secret";
};
`)
}

// clientJAAS is one for a client.
func clientJAAS(t *testing.T, user, password string) string {
	t.Helper()
	return secretFile(t, user+".jaas", fmt.Sprintf("Client { %s required username=%q password=%q; };\n", digestModule, user, password))
}

// javaShell runs commands in ZooKeeper's own shell with a JAAS file, "" for none, and returns what it printed.
func javaShell(t *testing.T, connect, jaas, commands string, properties ...string) string {
	t.Helper()
	classPath, err := ensemble.ClassPath()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dzookeeper.fips-mode=false", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off"}, properties...)
	if jaas != "" {
		args = append(args, "-Djava.security.auth.login.config="+jaas)
	}
	cmd := exec.CommandContext(suiteContext(t), "java", append(args, "-cp", classPath, "org.apache.zookeeper.ZooKeeperMain", "-server", connect)...)
	cmd.Stdin = strings.NewReader(commands + "\nquit\n")
	out, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "WATCHER::") {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// shows checks what a shell has printed.
func shows(t *testing.T, what, out string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(out, want) {
			t.Errorf("%s does not show %q:\n%s", what, want, out)
		}
	}
}

// TestSASL: users with DIGEST-MD5 and SCRAM-SHA-256 on three servers: ZooKeeper's Java client, kazoo, another SCRAM, and ours; accepted and
// refused, ACLs that grant and deny, a super user.
func TestSASL(t *testing.T) {
	need(t)
	e := ensemble.Start(t, ensemble.Options{Servers: 3, Config: []string{
		"authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider", "java.security.auth.login.config=" + serverJAAS(t), "superUser=root"}})
	t.Run("ours", func(t *testing.T) { ownSASL(t, e) })
	t.Run("java", func(t *testing.T) {
		connect := e.Servers[0].Addr()
		out := javaShell(t, connect, clientJAAS(t, "bob", "bob-secret"), "whoami\nget /bob\ncreate /java x sasl:bob:cdrwa\ngetAcl /java")
		shows(t, "bob", out, "state:SaslAuthenticated", "sasl: bob", "bob's", "Created /java", "'sasl,'bob")
		out = javaShell(t, e.Servers[1].Addr(), clientJAAS(t, "alice", "alice-secret"), "whoami\nsync /\nget /bob")
		shows(t, "alice", out, "sasl: alice", "Insufficient permission : /bob")
		out = javaShell(t, e.Servers[2].Addr(), clientJAAS(t, "root", "root-secret"), "whoami\nsync /\nget /bob")
		shows(t, "root, a super user", out, "sasl: root", "super: ", "bob's")
		out = javaShell(t, connect, clientJAAS(t, "bob", "wrong"), "get /bob")
		shows(t, "bob with a wrong password", out, "state:AuthFailed")
		if strings.Contains(out, "SaslAuthenticated") || strings.Contains(out, "bob's") {
			t.Errorf("bob was let in with a wrong password:\n%s", out)
		}
	})
	t.Run("kazoo", func(t *testing.T) {
		kazooSASL(t, e.Connect(), map[string]string{"bob:bob-secret": "bob's", "super:super-secret": "bob's", "root:root-secret": "bob's",
			"alice:alice-secret": "NoAuthError", "bob:wrong": "AuthFailedError", "eve:eve-secret": "AuthFailedError", "nobody:": "NoAuthError"})
	})
	t.Run("another SCRAM", func(t *testing.T) {
		for password, ok := range map[string]bool{"bob-secret": true, "wrong": false} {
			if got := otherSCRAM(t, e.Servers[1].Addr(), password); got != ok {
				t.Errorf("password %s: accepted %v", password, got)
			}
		}
	})
	for _, s := range e.Servers {
		log, err := os.ReadFile(s.LogPath())
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"bob-secret", "alice-secret", "root-secret", "super-secret", "eve-secret"} {
			if strings.Contains(string(log), secret) {
				t.Errorf("server %d has a password in its log", s.ID)
			}
		}
	}
}

// ownSASL makes /bob, which is bob's alone.
func ownSASL(t *testing.T, e *ensemble.Ensemble) {
	for i, test := range []struct {
		mechanism, user, password string
		want                      error
	}{
		{"DIGEST-MD5", "bob", "bob-secret", nil}, {"SCRAM-SHA-256", "bob", "bob-secret", nil}, {"SCRAM-SHA-256", "root", "root-secret", nil},
		{"SCRAM-SHA-256", "alice", "alice-secret", zk.ErrNoAuth}, {"SCRAM-SHA-256", "bob", "wrong", zk.ErrAuthFailed}, {"DIGEST-MD5", "bob", "wrong", zk.ErrAuthFailed},
	} {
		err := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), suiteLimit)
			defer cancel()
			c, err := client.Connect(ctx, e.Servers[i%len(e.Servers)].Addr(), client.Options{SASL: &client.SASL{Mechanism: test.mechanism, User: test.user, Password: test.password}})
			if err != nil {
				return err
			}
			defer c.Close()
			if i == 0 {
				acl := []zk.ACL{{Perms: zk.PermAll, ID: zk.ID{Scheme: "sasl", ID: "bob"}}}
				if _, err := c.Create(ctx, "/bob", []byte("bob's"), client.CreateOptions{ACL: acl}); err != nil {
					return err
				}
			}
			if err := c.Sync(ctx, "/"); err != nil {
				return err
			}
			_, _, err = c.Get(ctx, "/bob")
			return err
		}()
		if (test.want == nil) != (err == nil) || (err != nil && !strings.Contains(err.Error(), test.want.Error())) {
			t.Errorf("%s as %s: %v, want %v", test.mechanism, test.user, err, test.want)
		}
	}
}

// kazooSASL runs kazoo with each login, which must see what is said.
func kazooSASL(t *testing.T, connect string, logins map[string]string) {
	t.Helper()
	root, err := ensemble.Root()
	if err != nil {
		t.Fatal(err)
	}
	for login, want := range logins {
		cmd := exec.CommandContext(suiteContext(t), cached(t, "venv", "bin", "python"), filepath.Join(root, "e2e", "python", "sasl.py"), connect, login)
		cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
		out, err := cmd.CombinedOutput()
		user, _, _ := strings.Cut(login, ":")
		if err != nil || string(out) != user+": "+want+"\n" {
			t.Errorf("%s: %v\n%swant %s", login, err, out, want)
		}
	}
}

const opSASL = 102

// otherSCRAM logs bob in with an implementation of SCRAM that is not ours, token by token.
func otherSCRAM(t *testing.T, addr, password string) bool {
	t.Helper()
	other, err := scram.SHA256.NewClient("bob", password, "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := raw.Dial(addr, raw.Session{TimeoutMs: 9000})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	conversation, challenge := other.NewConversation(), ""
	for xid := int32(1); ; xid++ {
		token, err := conversation.Step(challenge)
		if err != nil || conversation.Done() {
			return err == nil && conversation.Valid()
		}
		reply, err := c.Call(raw.AppendBytes(raw.Header(nil, xid, opSASL), token))
		if err != nil {
			t.Fatal(err)
		}
		if reply.Err != 0 {
			return false
		}
		answer, _, err := raw.TakeBytes(reply.Body)
		if err != nil {
			t.Fatal(err)
		}
		challenge = string(answer)
	}
}

// TestSASLRequired: a server that lets nobody in without.
func TestSASLRequired(t *testing.T) {
	need(t)
	audit := filepath.Join(t.TempDir(), "audit.log")
	e := ensemble.Start(t, ensemble.Options{Config: []string{"sessionRequireClientSASLAuth=true", "java.security.auth.login.config=" + serverJAAS(t)},
		Args: []string{"--audit-log", audit}})
	connect := e.Connect()
	kazooSASL(t, connect, map[string]string{"bob:bob-secret": "bob's", "nobody:": "SessionClosedRequireSaslError"})
	out := javaShell(t, connect, clientJAAS(t, "alice", "alice-secret"), "get /bob\nsetAcl /bob sasl:alice:cdrwa,digest:joe:aGFzaA==:r\ndelete /none")
	shows(t, "alice", out, "bob's")
	out = javaShell(t, connect, "", "get /bob", "-Dzookeeper.sasl.client=false")
	if strings.Contains(out, "bob's") {
		t.Errorf("nobody was let in:\n%s", out)
	}
	shows(t, "nobody", out, "Session closed because client failed to authenticate")
	if err := e.Servers[0].Terminate(); err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	shows(t, "the audit log", string(lines), "operation=serverStart\tresult=success\n", "operation=serverStop\tresult=invoked\n",
		"user=127.0.0.1,bob\tip=127.0.0.1\toperation=create\tznode=/bob\tznode_type=persistent\tresult=success\n",
		"user=127.0.0.1,alice\tip=127.0.0.1\toperation=setAcl\tznode=/bob\tacl=sasl:alice:cdrwa,digest:joe:x:r\tresult=success\n",
		"user=127.0.0.1,alice\tip=127.0.0.1\toperation=delete\tznode=/none\tresult=failure\n")
}
