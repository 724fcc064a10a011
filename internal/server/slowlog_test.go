package server

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopherwood/internal/wire"
	"gopherwood/replica"
	"gopherwood/zk"
)

// timed is a member whose replica says when entries were where, relative to now.
type timed struct {
	Replicator
	taken, logged, synced time.Duration // ago
}

func (m *timed) Times(uint64) replica.Times {
	now := time.Now()
	return replica.Times{Taken: now.Add(-m.taken), Logged: now.Add(-m.logged), Synced: now.Add(-m.synced)}
}

// slowEnsemble is one server whose every request counts as slow, and its log.
func slowEnsemble(t *testing.T, change func(*Config)) (*ensemble, *bytes.Buffer) {
	var log bytes.Buffer
	e := newEnsemble(t, 1, func(c *Config) {
		c.SlowRequest = time.Nanosecond
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		if change != nil {
			change(c)
		}
	})
	return e, &log
}

// TestSlowLog: a slow request's line names the client, the session, the operation, the path and the stages, never the data.
func TestSlowLog(t *testing.T) {
	e, log := slowEnsemble(t, nil)
	s := e.members[0].server
	c := e.client(0)
	e.quiet()
	e.do(func() {
		s.observed.timer = &timed{taken: 300 * time.Second, logged: 200 * time.Second, synced: 150 * time.Second}
	})
	c.create("/a", "topsecret", zk.ModePersistent)
	c.must(zk.OpGetData, &wire.GetDataRequest{Path: "/a"})
	e.quiet()
	s.Housekeep(0)
	got := log.String()
	for _, want := range []string{
		`msg="slow request" took=\S+ op=create path=/a.* client=127\.0\.0\.1:\d+ session=` + hex(c.session) + ` xid=1 .*forward=1m40s sync=50s commit=2m\S+s`,
		`msg="slow request" took=\S+ op=get_data path=/a `,
	} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "topsecret") {
		t.Error("the data is in the log")
	}
	for i, name := range []string{"forward", "sync", "commit"} {
		if n := s.observed.stages[int(stageForward)+i].count.Load(); n != 1 {
			t.Errorf("%s was counted %d times", name, n)
		}
	}
}

// TestSlowLogBound: a flood of slow requests makes a few lines and a count.
func TestSlowLogBound(t *testing.T) {
	e, log := slowEnsemble(t, nil)
	c := e.client(0)
	for range 10 * slowKept {
		c.create("/a", "", zk.ModePersistentSequential)
	}
	e.quiet()
	e.members[0].server.Housekeep(0)
	lines := strings.Count(log.String(), `msg="slow request"`)
	if lines != slowKept || !strings.Contains(log.String(), `msg="more requests were slow than are logged" "not logged"=`) {
		t.Errorf("%d lines\n%s", lines, log)
	}
}

// TestUnobserved: what is switched off is not measured.
func TestUnobserved(t *testing.T) {
	e, log := slowEnsemble(t, func(c *Config) { c.Unobserved = true })
	c := e.client(0)
	c.create("/a", "", zk.ModePersistent)
	c.must(zk.OpGetData, &wire.GetDataRequest{Path: "/a"})
	e.quiet()
	s := e.members[0].server
	s.Housekeep(0)
	metrics := e.ask(0, "GET", "/metrics", "", nil).Body.String()
	if log.Len() > 0 || strings.Contains(metrics, "stage_seconds") || s.observed.stages[stageApply].count.Load() > 0 {
		t.Errorf("%s\n%s", log, metrics)
	}
	if !strings.Contains(metrics, "\nop_count_get_data 1\n") || !strings.Contains(metrics, "\nreadlatency_count 1\n") {
		t.Errorf("ZooKeeper's own figures are gone:\n%s", metrics)
	}
}

// TestHistograms: operations and stages are in /metrics, the buckets add up.
func TestHistograms(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	c := e.client(0)
	c.create("/a", "", zk.ModePersistent)
	for range 3 {
		c.must(zk.OpGetData, &wire.GetDataRequest{Path: "/a"})
	}
	e.quiet()
	got := e.ask(0, "GET", "/metrics", "", nil).Body.String()
	for _, want := range []string{
		`op_latency_seconds_count{op="get_data"} 3`, `op_latency_seconds_bucket{op="get_data",le="+Inf"} 3`, `op_latency_seconds_count{op="create"} 1`,
		`stage_seconds_bucket{stage="apply",le="+Inf"} 1`, `stage_seconds_count{stage="reply"} `, `op_count_get_data 3`,
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
}

// TestOpCounts: more kinds of operations in one burst than it keeps apart are counted all the same.
func TestOpCounts(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	c := e.client(0)
	c.create("/a", "", zk.ModePersistent)
	ops := []struct {
		op zk.OpCode
		r  record
	}{
		{zk.OpGetData, &wire.GetDataRequest{Path: "/a"}}, {zk.OpExists, &wire.ExistsRequest{Path: "/a"}}, {zk.OpGetACL, &wire.GetACLRequest{Path: "/a"}},
		{zk.OpGetChildren, &wire.GetChildrenRequest{Path: "/a"}}, {zk.OpGetChildren2, &wire.GetChildrenRequest{Path: "/a"}}, {zk.OpPing, nil},
	}
	var burst []byte
	for range 5 {
		for i, o := range ops {
			burst = append(burst, request1(int32(100+i), o.op, o.r)...)
		}
	}
	c.write(burst)
	for range 5 * len(ops) {
		c.frame()
	}
	s := e.members[0].server
	for _, o := range ops {
		// the reader counts a burst before it sends its replies
		if n := s.stats.ops[slotOf(o.op)].Load(); n != 5 {
			t.Errorf("%v: %d", o.op, n)
		}
		if n := s.observed.ops[slotOf(o.op)].count.Load(); n != 5 {
			t.Errorf("%v: %d latencies", o.op, n)
		}
	}
}
