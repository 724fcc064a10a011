package server

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// word asks a four-letter word over a connection.
func (e *ensemble) word(i int, word string) string {
	c := newClient(e.t, e.dial(i))
	c.write([]byte(word))
	b, err := io.ReadAll(c.nc)
	if err != nil {
		e.t.Fatal(err)
	}
	c.nc.Close()
	return string(b)
}

func TestFourLetterWords(t *testing.T) {
	e := newEnsemble(t, 2, nil)
	c := e.client(0)
	c.create("/a", "x", zk.ModeEphemeral)
	c.must(zk.OpGetData, &wire.GetDataRequest{Path: "/a", Watch: true})
	e.quiet()
	for word, want := range map[string]string{
		"ruok": `^imok$`,
		"isro": `^rw$`,
		"srvr": `^Zookeeper version: 3\.9\.\d+-gopherwood-dev, built on .*\nLatency min/avg/max: \d+/\d+\.\d+/\d+\nReceived: \d+\nSent: \d+\nConnections: \d+\nOutstanding: 0\nZxid: 0x2\nMode: leader\nNode count: 5\nProposal sizes last/min/max: \d+/\d+/\d+\n$`,
		"stat": `(?s)^Zookeeper version: .*\nClients:\n /127\.0\.0\.1:\d+\[\d\]\(queued=0,recved=\d+,sent=\d+\)\n.*\nLatency min/avg/max: .*Mode: leader\nNode count: 5\n`,
		"cons": `(?s) /127\.0\.0\.1:\d+\[\d\]\(queued=0,recved=2,sent=2,sid=0x1[0-9a-f]+,lop=GETD,est=\d+,to=10000,lcxid=0x2,lzxid=0x2,lresp=\d+,llat=\d+,minlat=\d+,avglat=\d+,maxlat=\d+\)\n.*\n\n$`,
		"mntr": `(?s)^zk_version\t3\.9.*\nzk_server_state\tleader\n.*zk_znode_count\t5\nzk_watch_count\t1\nzk_ephemerals_count\t1\n.*zk_synced_followers\t1\n`,
		"conf": `(?s)^clientPort=\d+\n.*\ntickTime=2000\nmaxClientCnxns=0\nminSessionTimeout=4000\nmaxSessionTimeout=40000\n.*serverId=1\n.*membership: \n`,
		"envi": `(?s)^Environment:\nzookeeper\.version=3\.9\.\d.*\nhost\.name=.*\nos\.name=linux\n`,
		"dirs": `^datadir_size: \d+\nlogdir_size: \d+\n$`,
		"wchs": `^1 connections watching 1 paths\nTotal watches:1\n$`,
		"dump": `^dump is not executed because it is not in the whitelist\.\n$`,
	} {
		if got := e.word(0, word); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s:\n%s", word, got)
		}
	}
	if got := e.word(1, "srvr"); !strings.Contains(got, "\nMode: follower\n") || strings.Contains(got, "Proposal") {
		t.Errorf("the other server:\n%s", got)
	}
}

func TestFourLetterWordsWithoutLeader(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	e.lead(-1)
	for word, want := range map[string]string{"ruok": "imok", "isro": "null", "srvr": notServing, "stat": notServing, "mntr": notServing} {
		if got := e.word(0, word); got != want {
			t.Errorf("%s: %q", word, got)
		}
	}
}

func TestWhitelist(t *testing.T) {
	for _, tc := range []struct {
		list       []string
		ruok, wchp string
	}{
		{nil, "imok", "not in the whitelist"},
		{[]string{"srvr"}, "not in the whitelist", "not in the whitelist"},
		{[]string{}, "not in the whitelist", "not in the whitelist"},
		{[]string{"*"}, "imok", "\n"},
		{[]string{"ruok", "wchp"}, "imok", "\n"},
	} {
		e := newEnsemble(t, 1, func(c *Config) { c.FourLetterWords = tc.list })
		if got := e.word(0, "ruok"); !strings.Contains(got, tc.ruok) {
			t.Errorf("%v: ruok: %q", tc.list, got)
		}
		if got := e.word(0, "wchp"); !strings.Contains(got, tc.wchp) {
			t.Errorf("%v: wchp: %q", tc.list, got)
		}
		if got := e.word(0, "srvr"); !strings.Contains(got, "Mode: standalone") {
			t.Errorf("%v: srvr: %q", tc.list, got)
		}
	}
}

func TestAdmin(t *testing.T) {
	e := newEnsemble(t, 2, nil)
	e.client(0).create("/a", "x", zk.ModePersistent)
	h := e.members[0].server.AdminHandler()
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	for _, tc := range []struct {
		path string
		code int
		want string
	}{
		{"/healthz", 200, "^ok\n$"},
		{"/readyz", 200, "^ok: leader\n$"},
		{"/metrics", 200, `(?s)\nznode_count 5\n.*`},
		{"/metrics", 200, `(?s)\n# TYPE packets_received counter\npackets_received \d+\n`},
		{"/metrics", 200, `(?s)\nreadlatency\{quantile="0.99"\} .*\nupdatelatency_count 1\n`},
		{"/metrics", 200, `(?s)\nop_count_create 1\n.*quorum_size 2\n.*synced_followers 1\n`},
		{"/commands", 200, `<a href="/commands/stats">stats</a>`},
		{"/commands/", 200, `<a href="/commands/stats">stats</a>`},
		{"/commands/nonsense", 200, `(?s)"error": "Unknown command: nonsense"`},
		{"/nonsense", 404, ""},
	} {
		if code, body := get(tc.path); code != tc.code || !regexp.MustCompile(tc.want).MatchString(body) {
			t.Errorf("%s: %d\n%s", tc.path, code, body)
		}
	}
	for _, c := range adminCommands {
		for _, name := range c.names {
			if c.call != nil && name != "leader" { // TestAdminIdentities and others
				continue
			}
			_, body := get("/commands/" + name)
			var v map[string]any
			if err := json.Unmarshal([]byte(body), &v); err != nil || v["command"] != c.names[0] || v["error"] != nil {
				t.Errorf("%s: %v\n%s", name, err, body)
			}
		}
	}
	e.lead(-1)
	if code, body := get("/readyz"); code != 503 || body != "no leader is known\n" {
		t.Errorf("readyz without a leader: %d %s", code, body)
	}
	if _, body := get("/commands/ruok"); !strings.Contains(body, "not currently serving") {
		t.Errorf("ruok without a leader: %s", body)
	}
}

// TestConfigNode: the leader writes the client addresses that the members announce, and a new version when they change.
func TestConfigNode(t *testing.T) {
	e := newEnsemble(t, 2, func(c *Config) { c.ClientAddr = "host" + string(rune('0'+c.ID)) + ":2181" })
	c := e.client(0)
	config := func() string {
		e.quiet()
		data, _, _ := c.get("/zookeeper/config", false)
		return data
	}
	e.members[0].server.Housekeep(0)
	e.quiet()
	e.tick(600)
	if got := config(); got != noConfig {
		t.Errorf("written before all were heard:\n%s", got)
	}
	e.members[1].server.Housekeep(0)
	e.quiet()
	e.tick(1200)
	want := "server.1=10.0.0.1:2888:3888:participant;host1:2181\nserver.2=10.0.0.2:2888:3888:participant;host2:2181\nversion="
	if got := config(); got != want+"1" {
		t.Errorf("got\n%s", got)
	}
	e.lead(1) // a new leader knows what the old one wrote
	e.tick(2000)
	if got := config(); got != want+"1" {
		t.Errorf("under a new leader\n%s", got)
	}
	e.members[0].server.cfg.ClientAddr = "elsewhere:2181"
	e.members[0].server.Housekeep(0)
	e.quiet()
	e.tick(3000)
	if got := config(); got != strings.ReplaceAll(want, "host1", "elsewhere")+"2" {
		t.Errorf("after a change\n%s", got)
	}
}

// TestReaping: the leader deletes containers that are empty again and TTL nodes that are due, once a minute.
func TestReaping(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	c := e.client(0)
	e.tick(50)
	container := &wire.CreateRequest{Path: "/c", ACL: zk.OpenACL(), Flags: zk.ModeContainer}
	c.must(zk.OpCreateContainer, container)
	container.Path = "/never"
	c.must(zk.OpCreateContainer, container)
	c.create("/c/x", "", 0)
	c.must(zk.OpDelete, &wire.DeleteRequest{Path: "/c/x", Version: -1})
	c.must(zk.OpCreateTTL, &wire.CreateTTLRequest{Path: "/t", ACL: zk.OpenACL(), Flags: zk.ModeTTL, TTL: 1000})
	there := func(path string) bool {
		e.quiet()
		h, _ := c.call(zk.OpExists, &wire.ExistsRequest{Path: path})
		return h.Err == zk.OK
	}
	for at := int64(2000); at <= 58_000; at += 2000 { // the session must not expire meanwhile
		e.tick(at)
		c.must(zk.OpPing, nil)
		e.members[0].server.Housekeep(0)
	}
	if !there("/c") || !there("/t") {
		t.Error("reaped before the minute")
	}
	e.tick(62_000)
	if there("/c") || there("/t") || !there("/never") {
		t.Errorf("container %v, TTL node %v, container that never had a child %v", there("/c"), there("/t"), there("/never"))
	}
}

func TestElectPort(t *testing.T) {
	for _, tc := range []struct {
		m    Member
		want string
	}{
		{Member{PeerAddr: "h:2888", ElectPort: "4000"}, "4000"},
		{Member{PeerAddr: "h:2888"}, "3888"},
		{Member{PeerAddr: "[::1]:65000"}, "64000"},
	} {
		if got := tc.m.electPort(); got != tc.want {
			t.Errorf("%+v: %s", tc.m, got)
		}
	}
}
