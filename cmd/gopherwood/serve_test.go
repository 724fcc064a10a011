package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience ends a test that waits for something that does not come.
const patience = 20 * time.Second

// unusedPort is a port that was free a moment ago.
func unusedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// running is a command at work in this process.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

func launch(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{cancel: cancel, done: make(chan error, 1)}
	cmd := newRootCmd()
	cmd.SetArgs(args)
	var out bytes.Buffer
	cmd.SetOut(&out)
	go func() { r.done <- cmd.ExecuteContext(ctx) }()
	t.Cleanup(cancel)
	return r
}

// awaitMode waits until the server at addr says that it serves.
func awaitMode(t *testing.T, addr string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if mode := serverMode(ctx, addr); mode != "" && mode != "looking" {
			return mode
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s does not serve", addr)
		}
	}
}

// TestServe starts a server, looks at its ports, and tells it to stop; a second one on its directory, or on its port, says what is wrong.
func TestServe(t *testing.T) {
	dir, client, admin := t.TempDir(), unusedPort(t), unusedPort(t)
	base := []string{"serve", "--log-level", "error", "--client-address", "127.0.0.1", "--admin-address", "127.0.0.1"}
	r := launch(t, append(base, "--data-dir", dir, "--client-port", client, "--admin-port", admin)...)
	if mode := awaitMode(t, "127.0.0.1:"+client); mode != "standalone" {
		t.Errorf("mode %s", mode)
	}
	resp, err := http.Get("http://127.0.0.1:" + admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(body) != "ok: standalone\n" {
		t.Errorf("readyz: %q, %v", body, err)
	}

	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--data-dir", dir, "--client-port", unusedPort(t), "--admin-port", "0"}, "the data directory " + dir + " is in use by another Gopherwood (server 1"},
		{[]string{"--data-dir", t.TempDir(), "--client-port", client}, "port " + client + " is in use by another process; stop it, or give another port with --client-port (clientPort)"},
		{[]string{"--data-dir", t.TempDir(), "--client-port", unusedPort(t), "--admin-port", admin}, "port " + admin + " is in use by another process; stop it, or give another port with --admin-port"},
		{[]string{"--data-dir", t.TempDir(), "--client-port", unusedPort(t), "--admin-port", "0", "--client-address", "192.0.2.1"}, "192.0.2.1 is not an address of this machine"},
	} {
		second := launch(t, append(base, tc.args...)...)
		if err := <-second.done; err == nil || !strings.Contains(explain(err), tc.want) {
			t.Errorf("%v:\n got %v\nwant %s", tc.args, err, tc.want)
		}
	}
	r.cancel()
	if err := <-r.done; err != nil {
		t.Errorf("told to stop: %v", err)
	}
	if r := launch(t, append(base, "--data-dir", dir, "--client-port", client, "--admin-port", "0")...); r != nil {
		awaitMode(t, "127.0.0.1:"+client) // everything was let go of
		r.cancel()
		if err := <-r.done; err != nil {
			t.Error(err)
		}
	}
}

// TestServeThree makes an ensemble in one process and hands leadership over when the leader is told to stop.
func TestServeThree(t *testing.T) {
	dir := t.TempDir()
	var peers, clients []string
	for i := range 3 {
		peers = append(peers, strconv.Itoa(i+1)+"=127.0.0.1:"+unusedPort(t))
		clients = append(clients, unusedPort(t))
	}
	var servers []*running
	for i := range 3 {
		servers = append(servers, launch(t, "serve", "--log-level", "error", "--id", strconv.Itoa(i+1), "--peers", strings.Join(peers, ","),
			"--client-address", "127.0.0.1", "--client-port", clients[i], "--admin-port", "0", "--data-dir", filepath.Join(dir, strconv.Itoa(i))))
	}
	leader := -1
	for i := range 3 {
		if awaitMode(t, "127.0.0.1:"+clients[i]) == "leader" {
			leader = i
		}
	}
	if leader < 0 {
		t.Fatal("nobody leads")
	}
	servers[leader].cancel()
	if err := <-servers[leader].done; err != nil {
		t.Error(err)
	}
	servers = slices.Delete(servers, leader, leader+1)
	clients = slices.Delete(clients, leader, leader+1)
	for end := time.Now().Add(patience); awaitMode(t, "127.0.0.1:"+clients[0]) != "leader" && awaitMode(t, "127.0.0.1:"+clients[1]) != "leader"; {
		if time.Now().After(end) {
			t.Fatal("nobody took over")
		}
	}
	for _, s := range servers {
		s.cancel()
	}
	for _, s := range servers {
		if err := <-s.done; err != nil {
			t.Error(err)
		}
	}
}
