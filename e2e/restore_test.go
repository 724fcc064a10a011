package e2e

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/internal/raw"
)

// TestRestore puts a snapshot back through the admin port of a follower: first in peace, then while the leader is killed. Whatever the answer is, all servers come to
// the same state, that of before or that of the snapshot, and it is the one that the answer promises.
func TestRestore(t *testing.T) {
	need(t)
	if target() == ensemble.ZooKeeper {
		t.Skip("its admin port wants libraries that are not fetched")
	}
	const znodes = 100_000
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 3, Config: []string{"admin.rateLimiterIntervalInMS=1"}})
	fill(t, []string{e.Servers[0].Addr(), e.Servers[1].Addr(), e.Servers[2].Addr()}, znodes)
	resp, snapshot := httpGet(t, e.Servers[0].AdminURL()+"/commands/snapshot", "digest any:body")
	if resp.StatusCode != 200 {
		t.Fatalf("snapshot: %d %s", resp.StatusCode, snapshot)
	}
	seen := make(map[string]int)
	for round := range 1 + 2*rounds(t) {
		leader, err := e.Leader()
		if err != nil {
			t.Fatal(err)
		}
		asked := e.Servers[(leader.ID)%3] // ids begin with 1: the next one
		makeMarker(t, asked)
		began := time.Now()
		if round > 0 {
			time.AfterFunc(time.Duration(rand.IntN(600))*time.Millisecond, leader.KillNow)
		}
		status, answer := postSnapshot(t, asked, snapshot)
		outcome := "failed"
		switch {
		case status == 200:
			outcome = "restored"
		case strings.Contains(answer, "nothing was changed"):
			outcome = "unchanged"
		case strings.Contains(answer, "is not known"):
			outcome = "unknown"
		default:
			t.Errorf("%d %s", status, answer)
		}
		seen[outcome]++
		t.Logf("round %d: %s after %v", round, outcome, time.Since(began).Round(time.Millisecond))
		if round > 0 {
			time.Sleep(600*time.Millisecond - time.Since(began)) // until the leader is dead
			leader.Kill()
			if err := leader.Start(); err != nil {
				t.Fatal(err)
			}
			if err := e.StartAll(); err != nil {
				t.Fatal(err)
			}
		}
		equalStates(t, e)
		if marked := hasMarker(t, asked); marked && outcome == "restored" || !marked && outcome == "unchanged" {
			t.Errorf("the restore is told as %s, but what was made after the snapshot is there: %v", outcome, marked)
		}
		count(t, asked, znodes)
	}
	if seen["restored"] == 0 {
		t.Error("no restore succeeded")
	}
	t.Logf("FIGURE restore: %d MiB, with the leader killed at a random moment: %v", len(snapshot)>>20, seen)
}

const restoreMarker = "/made-after-the-snapshot"

func makeMarker(t *testing.T, s *ensemble.Server) {
	t.Helper()
	c, err := raw.Dial(s.Addr(), raw.Session{TimeoutMs: faultTimeoutMs})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const nodeExists = -110
	if r, err := c.Call(raw.Create(nil, 1, restoreMarker, nil, raw.Persistent)); err != nil || r.Err != 0 && r.Err != nodeExists {
		t.Fatalf("create: error %d, %v", r.Err, err)
	}
	if r, err := c.Call(raw.CloseSession(nil, 2)); err != nil || r.Err != 0 {
		t.Fatalf("close: error %d, %v", r.Err, err)
	}
}

func hasMarker(t *testing.T, s *ensemble.Server) bool {
	t.Helper()
	c, err := raw.Dial(s.Addr(), raw.Session{TimeoutMs: faultTimeoutMs})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := c.Call(raw.Read(nil, 1, raw.OpExists, restoreMarker))
	if err != nil {
		t.Fatal(err)
	}
	return r.Err == 0
}

// postSnapshot is what curl --data-binary does.
func postSnapshot(t *testing.T, s *ensemble.Server, snapshot []byte) (status int, answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.AdminURL()+"/commands/restore", bytes.NewReader(snapshot))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "digest any:body")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// equalStates waits until the snapshots of all servers are the same bytes: sessions may be expiring.
func equalStates(t *testing.T, e *ensemble.Ensemble) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		var all [][]byte
		for _, s := range e.Servers {
			if resp, b := httpGet(t, s.AdminURL()+"/commands/snapshot", "digest any:body"); resp.StatusCode == 200 {
				all = append(all, b)
			}
		}
		if len(all) == len(e.Servers) && bytes.Equal(all[0], all[1]) && bytes.Equal(all[0], all[2]) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d servers gave a snapshot, and they differ", len(all), len(e.Servers))
		}
		time.Sleep(200 * time.Millisecond)
	}
}
