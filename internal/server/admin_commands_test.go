package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gopherwood/internal/tree"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// ask sends one request to the admin port of members[i].
func (e *ensemble) ask(i int, method, path, auth string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, body)
	r.RemoteAddr = "127.0.0.1:4711"
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	w := httptest.NewRecorder()
	e.members[i].server.AdminHandler().ServeHTTP(w, r)
	return w
}

// TestAdminRefusals: wrong methods, unknown commands, missing and wrong identities are answered with a sentence, and with ZooKeeper's status.
func TestAdminRefusals(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	huge := strings.NewReader(strings.Repeat("x", 8<<20))
	for _, tc := range []struct {
		method, path, auth string
		body               io.Reader
		code               int
		want               string
	}{
		{"GET", "/commands/nonsense", "", nil, 200, "Unknown command: nonsense"},
		{"GET", "/commands/" + strings.Repeat("a", 5000), "", nil, 200, `"error": "Unknown command: ` + strings.Repeat("a", maxEcho) + `"`},
		{"GET", "/commands/%00%ff%22", "", nil, 200, "Unknown command"},
		{"POST", "/commands/nonsense", "", huge, 200, "Unknown command: nonsense"},
		{"POST", "/commands/ruok", "", huge, 405, "this command takes GET"},
		{"GET", "/commands/restore", "digest a:b", nil, 405, "this command takes POST"},
		{"PUT", "/commands/ruok", "", huge, 405, ""},
		{"DELETE", "/commands/ruok", "", nil, 405, ""},
		{"POST", "/metrics", "", nil, 405, ""},
		{"GET", "/commands/snapshot", "", nil, 401, "Auth info is missing for the command"},
		{"GET", "/commands/snapshot", "nope a:b", nil, 401, "Not authenticated"},
		{"GET", "/commands/snapshot", "digest", nil, 401, "Not authenticated"},
		{"GET", "/commands/snapshot", "digest nopassword", nil, 401, "Not authenticated"},
		{"POST", "/commands/restore", "", huge, 401, "Auth info is missing for the command"},
		{"GET", "/commands/set_trace_mask", "", nil, 200, "setTraceMask requires long traceMask argument"},
		{"GET", "/commands/set_trace_mask?traceMask=abc", "", nil, 200, "got abc"},
		{"GET", "/commands/set_trace_mask?traceMask=306", "", nil, 200, "there is no trace to mask here"},
	} {
		w := e.ask(0, tc.method, tc.path, tc.auth, tc.body)
		if w.Code != tc.code || !strings.Contains(w.Body.String(), tc.want) {
			t.Errorf("%s %.40s %q: %d %s", tc.method, tc.path, tc.auth, w.Code, w.Body)
		}
	}
}

// TestAdminSnapshot: what comes is a whole state, and only who may do everything at the root gets it, once per interval.
func TestAdminSnapshot(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.AdminInterval = time.Nanosecond })
	c := e.client(0)
	c.create("/a", "x", zk.ModePersistent)
	e.quiet()
	w := e.ask(0, "GET", "/commands/snapshot", "digest any:body", nil)
	if w.Code != 200 || w.Header().Get("last_zxid") != "0x2" || w.Header().Get("Content-Type") != "application/octet-stream" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	again := tree.New(tree.Options{})
	if err := again.Restore(bytes.NewReader(w.Body.Bytes())); err != nil {
		t.Fatal(err)
	}
	if s := e.members[0].server; again.Digest() != s.tree.Digest() {
		t.Error("the snapshot is of another state")
	}
	if w := e.ask(0, "GET", "/commands/snap?streaming=false", "ip", nil); w.Code != 200 || !strings.Contains(w.Body.String(), `"command": "snapshot"`) || w.Header().Get("snapshot_size") == "" {
		t.Errorf("without streaming: %d %s", w.Code, w.Body)
	}
	digest := e.members[0].server.digestID("owner:secret")
	c.must(zk.OpSetACL, &wire.SetACLRequest{Path: "/", Version: -1, ACL: []zk.ACL{
		{Perms: zk.PermAll, ID: zk.ID{Scheme: "digest", ID: digest}}, {Perms: zk.PermRead, ID: zk.WorldAnyone}}})
	e.quiet()
	if w := e.ask(0, "GET", "/commands/snapshot", "digest any:body", nil); w.Code != 403 || !strings.Contains(w.Body.String(), "Not authorized") {
		t.Errorf("a stranger: %d %s", w.Code, w.Body)
	}
	e.members[0].server.cfg.AdminInterval = time.Hour
	if w := e.ask(0, "GET", "/commands/snapshot", "digest owner:secret", nil); w.Code != 429 || !strings.Contains(w.Body.String(), "admin.rateLimiterIntervalInMS") {
		t.Errorf("too soon: %d %s", w.Code, w.Body)
	}
	e.members[0].server.cfg.AdminInterval = time.Nanosecond
	if w := e.ask(0, "GET", "/commands/snapshot", "digest owner:secret", nil); w.Code != 200 {
		t.Errorf("the owner: %d %s", w.Code, w.Body)
	}
	e.members[0].server.cfg.NoAdminSnapshot = true
	if w := e.ask(0, "GET", "/commands/snapshot", "digest owner:secret", nil); w.Code != 503 {
		t.Errorf("switched off: %d %s", w.Code, w.Body)
	}
}

func TestWithoutSecrets(t *testing.T) {
	got := withoutSecrets("dataDir=/d\nssl.keyStore.password=hunter2\nssl.trustStore.passwd : x\n#password\nDigestAuthenticationProvider.superDigest super:abc=\n")
	want := "dataDir=/d\nssl.keyStore.password=(not shown)\nssl.trustStore.passwd=(not shown)\n#password\nDigestAuthenticationProvider.superDigest=(not shown)\n"
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

// TestWatchCommands: wchc, wchp and their JSON name the sessions and paths that are watched.
func TestWatchCommands(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.FourLetterWords = []string{"*"} })
	c := e.client(0)
	c.create("/a", "x", zk.ModePersistent)
	c.create("/e", "x", zk.ModeEphemeral)
	c.must(zk.OpGetData, &wire.GetDataRequest{Path: "/a", Watch: true})
	e.quiet()
	id := hex(c.session)
	for word, want := range map[string]string{
		"wchc": id + "\n\t/a\n\n",
		"wchp": "/a\n\t" + id + "\n\n",
	} {
		if got := e.word(0, word); got != want {
			t.Errorf("%s:\n%q\n%q", word, got, want)
		}
	}
	if got := e.word(0, "dump"); !strings.Contains(got, "Session Sets (1)/(1):\n1 expire at ") || !strings.Contains(got, "Sessions with Ephemerals (1):\n"+id+":\n\t/e\n") {
		t.Errorf("dump:\n%s", got)
	}
	var v struct {
		Sessions map[string][]string `json:"session_id_to_watched_paths"`
	}
	if err := json.Unmarshal(e.ask(0, "GET", "/commands/watches", "", http.NoBody).Body.Bytes(), &v); err != nil || len(v.Sessions) != 1 {
		t.Errorf("%v %v", v, err)
	}
}

// TestCommandURL: admin.commandURL moves the commands.
func TestCommandURL(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.CommandURL = "/zk/admin" })
	if w := e.ask(0, "GET", "/zk/admin/ruok", "", nil); w.Code != 200 || !strings.Contains(w.Body.String(), `"error": null`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := e.ask(0, "GET", "/commands/ruok", "", nil); w.Code != 404 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestEnsembleName: a client that looks for another ensemble is hung up on, so that it tries the next of its servers; one that names this gets nothing by it.
func TestEnsembleName(t *testing.T) {
	e := newEnsemble(t, 1, func(c *Config) { c.EnsembleNames = []string{"east", "all"} })
	for name, want := range map[string]zk.Code{"east": zk.OK, "all": zk.OK, "": zk.OK} {
		c := e.client(0)
		if h, _ := c.call(zk.OpAuth, &wire.AuthPacket{Scheme: "ensemble", Auth: []byte(name)}); h.Err != want {
			t.Errorf("%q: %v", name, h.Err)
		}
	}
	other := e.client(0)
	other.send(zk.OpAuth, &wire.AuthPacket{Scheme: "ensemble", Auth: []byte("west")})
	other.ended()
	off := newEnsemble(t, 1, nil)
	if h, _ := off.client(0).call(zk.OpAuth, &wire.AuthPacket{Scheme: "ensemble", Auth: []byte("east")}); h.Err != zk.ErrAuthFailed {
		t.Errorf("without names: %v", h.Err)
	}
	if got := e.ask(0, "GET", "/metrics", "", nil).Body.String(); !strings.Contains(got, "\nensemble_auth_success 2\n") || !strings.Contains(got, "\nensemble_auth_fail 1\n") {
		t.Errorf("%s", got)
	}
}

// TestForwardedFor: behind a proxy an address counts that the proxy names, if the server is told so.
func TestForwardedFor(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	r := httptest.NewRequest("GET", "/commands/snapshot", nil)
	r.Header.Set("X-Forwarded-For", "10.1.2.3, 10.0.0.1")
	r.RemoteAddr = "127.0.0.1:4711"
	s := e.members[0].server
	if ids := s.adminIdentities(r, "ip", ""); ids[0].ID != "127.0.0.1" {
		t.Errorf("%v", ids)
	}
	s.cfg.ForwardedFor = true
	if ids := s.adminIdentities(r, "ip", ""); ids[0].ID != "10.1.2.3" {
		t.Errorf("%v", ids)
	}
}
