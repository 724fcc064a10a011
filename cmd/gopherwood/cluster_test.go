package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopherwood/replica/admin"
)

// The cluster commands against three servers of this program; examples/fsmaster has the same test against itself.
func TestClusterCommands(t *testing.T) {
	dir := t.TempDir()
	client, peer, port := map[string]string{}, map[string]string{}, map[string]string{}
	for _, id := range []string{"1", "2", "3"} {
		client[id], peer[id], port[id] = unusedPort(t), unusedPort(t), unusedPort(t)
	}
	list := func(ids ...string) string {
		var all []string
		for _, id := range ids {
			all = append(all, id+"=127.0.0.1:"+peer[id])
		}
		return strings.Join(all, ",")
	}
	start := func(id, name, peers string) *running {
		args := []string{"serve", "--data-dir", filepath.Join(dir, name), "--client-port", client[id], "--admin-port", port[id], "--id", id}
		if peers != "" {
			args = append(args, "--peers", peers)
		}
		return launch(t, args...)
	}
	addrs := "127.0.0.1:" + port["1"] + ",127.0.0.1:" + port["2"] + ",127.0.0.1:" + port["3"]
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cluster := func(code int, args ...string) string {
		t.Helper()
		out := run(ctx, "", append([]string{"cluster"}, args...)...)
		if out.code != code {
			t.Fatalf("cluster %v: code %d, want %d: %s%s", args, out.code, code, out.out, out.err)
		}
		return out.out + out.err
	}

	one := start("1", "one", list("1", "2"))
	two := start("2", "two", list("1", "2"))
	awaitMode(t, "127.0.0.1:"+client["1"])
	awaitMode(t, "127.0.0.1:"+client["2"])
	if out := run(ctx, "", "create", "/a", "blue", "--server", "127.0.0.1:"+client["1"]); out.code != 0 {
		t.Fatalf("create: %+v", out)
	}
	if text := cluster(0, "members", "--admin", addrs); !strings.Contains(text, "leader") || strings.Count(text, "voter") != 2 {
		t.Errorf("members: %s", text)
	}
	cluster(exitRefused, "add", "3", "--admin", addrs, "--wait", "0s")
	three := start("3", "three", list("1", "2", "3"))
	awaitMode(t, "127.0.0.1:"+client["3"])
	cluster(0, "add", "3", "--observer", "--admin", addrs)
	text := cluster(0, "promote", "3", "--admin", addrs, "--json")
	var s admin.Status
	if err := json.Unmarshal([]byte(text), &s); err != nil || len(s.Members) != 3 || s.Members[2].Kind != "voter" {
		t.Errorf("promote: %s (%v)", text, err)
	}
	cluster(0, "transfer", "3", "--admin", addrs)
	awaitLeader(ctx, t, "127.0.0.1:"+port["3"])
	if text := cluster(exitNotLeader, "transfer", "--admin", "127.0.0.1:"+port["1"]); !strings.Contains(text, "server 3 leads") {
		t.Errorf("transfer asked of a follower: %s", text)
	}
	if text := cluster(0, "doctor", "--admin", addrs); !strings.Contains(text, "healthy: 3 asked") {
		t.Errorf("doctor: %s", text)
	}
	cluster(0, "snapshot", "--admin", addrs)
	backup := filepath.Join(dir, "backup")
	if text := cluster(0, "backup", backup, "--admin", addrs); !strings.Contains(text, "*server.Server") {
		t.Errorf("backup: %s", text)
	}
	if text := cluster(0, "log", "dump", "--admin", addrs); !strings.Contains(text, "the log has the entries from") {
		t.Errorf("log dump: %s", text)
	}
	cluster(0, "transfer", "1", "--admin", addrs)
	awaitLeader(ctx, t, "127.0.0.1:"+port["1"])
	cluster(0, "remove", "3", "--admin", addrs)
	stop(t, three)
	stop(t, two)
	if text := cluster(exitUnhealthy, "doctor", "--admin", addrs); !strings.Contains(text, "not healthy") || !strings.Contains(text, "no majority") && !strings.Contains(text, "knows no leader") {
		t.Errorf("doctor, with one of two servers: %s", text)
	}
	stop(t, one)
	cluster(exitNoServer, "members", "--admin", addrs)

	cluster(exitUsage, "restore", backup)
	if err := os.RemoveAll(filepath.Join(dir, "one")); err != nil {
		t.Fatal(err)
	}
	cluster(0, "restore", backup, "--data-dir", filepath.Join(dir, "one"), "--id", "1")
	cluster(exitOther, "restore", backup, "--data-dir", filepath.Join(dir, "one"), "--id", "1")
	start("1", "one", list("1", "2"))
	start("2", "two again", list("1", "2"))
	awaitMode(t, "127.0.0.1:"+client["2"])
	if out := run(ctx, "", "get", "/a", "--server", "127.0.0.1:"+client["2"]); out.code != 0 || out.out != "blue" {
		t.Errorf("after the restore: %+v", out)
	}
}

func stop(t *testing.T, r *running) {
	t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

func awaitLeader(ctx context.Context, t *testing.T, addr string) {
	t.Helper()
	c := &admin.Client{Addr: addr}
	for {
		s, err := c.Status(ctx)
		if err == nil && s.Leads {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s does not lead", addr)
		}
	}
}

// examine finds what is wrong, each with what to do.
func TestDoctorFindsWhatIsWrong(t *testing.T) {
	now := time.Now()
	good := func() *admin.Status {
		return &admin.Status{Server: 1, Leader: 1, Leads: true, Term: 3, Ensemble: "a", Phase: "running", ClockMs: now.UnixMilli(), Last: 100, Members: []admin.Member{
			{Server: 1, Kind: "voter", Match: 100}, {Server: 2, Kind: "voter", Connected: true, Match: 99}, {Server: 3, Kind: "voter", Connected: true, Match: 100},
		}}
	}
	for want, change := range map[string]func(*admin.Status){
		"it knows no leader":               func(s *admin.Status) { s.Leader, s.Leads = 0, false },
		"it has stopped: a panic":          func(s *admin.Status) { s.Stopped = "a panic" },
		"its disk is full":                 func(s *admin.Status) { s.DiskFull = true },
		"its last snapshot failed: no ink": func(s *admin.Status) { s.SnapshotError = "no ink" },
		"its clock is off by":              func(s *admin.Status) { s.ClockMs += 60_000 },
		"it is replaying the log":          func(s *admin.Status) { s.Phase = "replaying the log" },
		"entries behind the leader":        func(s *admin.Status) { s.Last = 1e6 },
		"is not connected with this voter": func(s *admin.Status) { s.Members[1].Connected = false },
		"which is no majority":             func(s *admin.Status) { s.Members[1].Connected, s.Members[2].Connected = false, false },
		"the loss of one more":             func(s *admin.Status) { s.Members[1].Connected = false },
		"2 voters stand the loss":          func(s *admin.Status) { s.Members = s.Members[:2] },
		"is taking over":                   func(s *admin.Status) { s.Joint = true },
		"looks for its ensemble":           func(s *admin.Status) { s.Forming = "waiting" },
	} {
		s := good()
		change(s)
		c := examine([]*answered{{Addr: "x", Status: s}}, now)
		found := false
		for _, f := range c.Findings {
			found = found || strings.Contains(f.What, want) && f.Do != ""
		}
		if !found {
			t.Errorf("%q is not found: %+v", want, c.Findings)
		}
	}
	if c := examine([]*answered{{Addr: "x", Status: good()}}, now); !c.Healthy || len(c.Findings) > 0 {
		t.Errorf("a healthy ensemble: %+v", c.Findings)
	}
	other := good()
	other.Server, other.Ensemble = 2, "b"
	c := examine([]*answered{{Status: good()}, {Status: other}, {Addr: "y", err: errors.New("gone"), Error: "gone"}}, now)
	if text := strings.Join(whats(c), "\n"); c.Healthy || !strings.Contains(text, "lead in the same term") || !strings.Contains(text, "2 different ensembles") || !strings.Contains(text, "y does not answer") {
		t.Errorf("two ensembles: %s", text)
	}
}

func whats(c *checkup) (all []string) {
	for _, f := range c.Findings {
		all = append(all, f.What)
	}
	return all
}
