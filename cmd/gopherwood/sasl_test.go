package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gopherwood/client"
	"gopherwood/zk"
)

// TestServeSASL: a server that lets nobody in without SASL, and our own client and shell.
func TestServeSASL(t *testing.T) {
	port := unusedPort(t)
	addr := "127.0.0.1:" + port
	users := secretFile(t, "bob plain sesame\nalice plain sesame\n")
	audit := filepath.Join(t.TempDir(), "audit")
	r := launch(t, "serve", "--log-level", "error", "--client-address", "127.0.0.1", "--admin-port", "0", "--data-dir", t.TempDir(), "--client-port", port,
		"--sasl-users", users, "--audit-log", audit, "--config", zooCfg(t, "sessionRequireClientSASLAuth=true", ""))
	awaitMode(t, addr)
	for _, test := range []struct {
		args, env, out string
		code           int
	}{
		{"create /bob x --acl sasl:bob:cdrwa --sasl digest-md5:bob:sesame", "", "/bob\n", exitOK},
		{"get /bob --sasl scram-sha-256:bob", "sesame", "x", exitOK},
		{"get /bob --sasl SCRAM-SHA-256:alice", "sesame", "", exitNoAuth},
		{"get /bob --sasl digest-md5:bob", "wrong", "", exitNoAuth},
		{"get /bob --sasl scram-sha-256:bob", "wrong", "", exitNoAuth},
		{"get /bob", "", "", exitOther},
	} {
		t.Setenv(passwordVariable, test.env)
		cmd := newRootCmd()
		var out, errs bytes.Buffer
		cmd.SetArgs(append(strings.Fields(test.args), "--server", addr))
		cmd.SetOut(&out)
		cmd.SetErr(&errs)
		err := cmd.ExecuteContext(t.Context())
		if exitCode(err) != test.code || out.String() != test.out {
			t.Errorf("%s: %q %v, want %q and code %d", test.args, out.String(), err, test.out, test.code)
		}
		if err != nil && (strings.Contains(err.Error(), "sesame") || strings.Contains(errs.String(), "sesame")) {
			t.Errorf("%s: the password is in %v %s", test.args, err, errs.String())
		}
	}
	reconnects(t, addr)
	r.cancel()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	lines, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"operation=serverStart\tresult=success\n", "user=127.0.0.1,bob\tip=127.0.0.1\toperation=create\tznode=/bob\tznode_type=persistent\tresult=success\n",
		"operation=serverStop\tresult=invoked\n"} {
		if strings.Count(string(lines), want) != 1 {
			t.Errorf("the audit log does not have %q once:\n%s", want, lines)
		}
	}
}

// reconnects cuts a client's connection: on the next one it is the same user again.
func reconnects(t *testing.T, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var mu sync.Mutex
	var last net.Conn
	lost := make(chan struct{}, 1)
	c, err := client.Connect(ctx, addr, client.Options{
		SASL: &client.SASL{Mechanism: "SCRAM-SHA-256", User: "bob", Password: "sesame"},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, address)
			mu.Lock()
			defer mu.Unlock()
			last = nc
			return nc, err
		},
		OnState: func(s client.StateChange) {
			if s.State == zk.StateDisconnected {
				lost <- struct{}{}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	session := c.Session().ID
	mu.Lock()
	last.Close()
	mu.Unlock()
	<-lost
	if data, _, err := c.Get(ctx, "/bob"); err != nil || string(data) != "x" || c.Session().ID != session {
		t.Errorf("after a reconnect: %q %v", data, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := client.Connect(ctx, addr, client.Options{SASL: &client.SASL{Mechanism: "DIGEST-MD5", User: "bob", Password: "wrong"}}); !errors.Is(err, zk.ErrAuthFailed) {
		t.Errorf("a wrong password: %v", err)
	}
	if _, err := client.Connect(ctx, addr, client.Options{SASL: &client.SASL{Mechanism: "PLAIN", User: "bob", Password: "sesame"}}); err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("another mechanism: %v", err)
	}
}
