package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/internal/raw"
)

// TestFaultTwoOfFive kills the leader and a follower of five servers at once: the clients of the other three notice nothing.
func TestFaultTwoOfFive(t *testing.T) {
	need(t)
	if target() == ensemble.ZooKeeper {
		t.Skip("ZooKeeper hangs up on every client when its leader dies")
	}
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 5})
	leader, err := e.Leader()
	if err != nil {
		t.Fatal(err)
	}
	var second *ensemble.Server
	var others []string
	for _, s := range e.Servers {
		switch {
		case s == leader:
		case second == nil:
			second = s
		default:
			others = append(others, s.Addr())
		}
	}
	r := startLoad(t, "/five", others)
	time.Sleep(500 * time.Millisecond)
	leader.KillNow()
	second.KillNow()
	leader.Kill()
	second.Kill()
	time.Sleep(2 * time.Second)
	r.stop.Store(true)
	waitLoad(t, r)
	for i, err := range r.errs {
		if err != nil {
			t.Errorf("client %d of %s: %v", i, r.clients[i].Addr, err)
		}
	}
	if err := e.StartAll(); err != nil {
		t.Fatal(err)
	}
	for _, s := range e.Servers {
		r.verify(t, s.Addr())
	}
}

// TestFaultMajorityLost kills two of three servers: the third acknowledges nothing alone, and when they are back all goes on with the same
// sessions.
func TestFaultMajorityLost(t *testing.T) {
	need(t)
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 3})
	survivor := e.Servers[0]
	before, err := raw.Dial(survivor.Addr(), raw.Session{TimeoutMs: faultTimeoutMs})
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if r, err := before.Call(raw.Create(nil, 1, "/lost", nil, raw.Ephemeral)); err != nil || r.Err != 0 {
		t.Fatalf("create: error %d, %v", r.Err, err)
	}
	e.Servers[1].KillNow()
	e.Servers[2].KillNow()
	e.Servers[1].Kill()
	e.Servers[2].Kill()
	if err := before.Net().SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if r, err := before.Call(raw.Set(nil, 2, "/lost", []byte("alone"), 0)); err == nil && r.Err == 0 {
		t.Error("one server of three acknowledged a write")
	}
	if answer, err := ensemble.Word(survivor.Addr(), "ruok"); err != nil || answer != "imok" {
		t.Errorf("ruok: %q, %v", answer, err)
	}
	if err := e.StartAll(); err != nil {
		t.Fatal(err)
	}
	for _, s := range e.Servers {
		serves(t, s)
	}
	after, err := raw.Dial(e.Servers[1].Addr(), before.Session)
	if err != nil {
		t.Fatalf("the session from before: %v", err)
	}
	defer after.Close()
	if r, err := after.Call(raw.Read(nil, 1, raw.OpExists, "/lost")); err != nil || r.Err != 0 {
		t.Errorf("its ephemeral: error %d, %v", r.Err, err)
	}
}

// TestFaultDiskLost gives a server back with an empty disk: it takes part again, and nothing that was acknowledged before is lost even
// when another server dies then.
func TestFaultDiskLost(t *testing.T) {
	need(t)
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 3})
	addrs := []string{e.Servers[0].Addr(), e.Servers[1].Addr(), e.Servers[2].Addr()}
	r := startLoad(t, "/disk", addrs)
	time.Sleep(500 * time.Millisecond)
	r.stop.Store(true)
	waitLoad(t, r)
	if err := errors.Join(r.errs...); err != nil {
		t.Fatal(err)
	}
	poor := e.Servers[2]
	poor.Kill()
	files, err := filepath.Glob(filepath.Join(poor.DataDir(), "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if filepath.Base(f) == "myid" {
			continue
		}
		if err := os.RemoveAll(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.StartAll(); err != nil {
		t.Fatal(err)
	}
	r.verify(t, poor.Addr())
	votes(t, poor)
	e.Servers[0].Kill()
	serves(t, e.Servers[1])
	serves(t, poor)
	r.verify(t, poor.Addr())
}

// votes waits until a server that came back without its data has got the vote of its predecessor: an ensemble of three survives the loss of
// another server only then.
func votes(t *testing.T, s *ensemble.Server) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		if answer, err := ensemble.Word(s.Addr(), "srvr"); err == nil && (strings.Contains(answer, "Mode: follower") || strings.Contains(answer, "Mode: leader")) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the server that lost its disk has no vote after 30 s")
}
