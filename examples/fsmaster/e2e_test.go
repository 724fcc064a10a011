package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gopherwood/examples/fsmaster/core"
	"gopherwood/examples/fsmaster/fsclient"
	"gopherwood/examples/fsmaster/stage"
)

// newStage builds the binaries and starts a ZooKeeper of one server.
func newStage(t *testing.T) (*stage.Stage, context.Context) {
	t.Helper()
	if os.Getenv("GOPHERWOOD_E2E") == "" {
		t.Skip("it starts processes; set GOPHERWOOD_E2E=1")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	s, err := stage.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.StartZooKeeper(ctx, 1); err != nil {
		t.Fatal(err)
	}
	return s, ctx
}

func startMasters(t *testing.T, s *stage.Stage, ha string, n int) *stage.Masters {
	t.Helper()
	m, err := s.StartMasters(ha, ha+"-masters", n)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Active(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

func create(ctx context.Context, t *testing.T, c *fsclient.Client, path string) {
	t.Helper()
	for {
		_, err := c.Do(ctx, core.Op{Kind: core.Create, Path: path})
		var r *fsclient.Refusal
		if errors.Is(err, fsclient.ErrUnknown) {
			continue
		}
		if err != nil && !(errors.As(err, &r) && r.Status == 409) { // it exists: an earlier try succeeded
			t.Fatal(err)
		}
		return
	}
}

// Every way keeps what was acknowledged when the active master is killed, again and again.
func TestFailOverKeepsFiles(t *testing.T) {
	s, ctx := newStage(t)
	for _, ha := range []string{"zookeeper", "raft"} {
		m := startMasters(t, s, ha, 3)
		c := fsclient.New(m.Addrs(), 4)
		c.Timeout = 2 * time.Second
		n := 0
		for range 2 {
			for range 100 {
				create(ctx, t, c, fmt.Sprintf("/f%d", n))
				n++
			}
			active, err := m.Active(ctx)
			if err != nil {
				t.Fatal(err)
			}
			active.Kill()
			create(ctx, t, c, fmt.Sprintf("/f%d", n))
			n++
			if err := m.Restart(active); err != nil {
				t.Fatal(err)
			}
		}
		st, err := m.Level(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if st.Inodes != n+1 {
			t.Errorf("%s: %d inodes, want %d and the root", ha, st.Inodes, n)
		}
	}
}

// The journal of masters that are at work goes into raft masters, in passing and to the last record, and no file is lost.
func TestImportOfARunningMaster(t *testing.T) {
	s, ctx := newStage(t)
	zk, raft := startMasters(t, s, "zookeeper", 2), startMasters(t, s, "raft", 3)
	c := fsclient.New(zk.Addrs(), 4)
	for _, op := range []core.Op{
		{Kind: core.Mkdir, Path: "/d"}, {Kind: core.Register, Addr: "w:1", Size: 1 << 30}, {Kind: core.Mkdir, Path: "/m"}, {Kind: core.Mount, Path: "/m", To: "s3://x"},
	} {
		if _, err := c.Do(ctx, op); err != nil {
			t.Fatal(err)
		}
	}
	var made atomic.Int64
	writing, stop := context.WithCancel(ctx)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for n := 0; writing.Err() == nil; n++ {
			path := fmt.Sprintf("/d/f%d", n)
			create(ctx, t, c, path)
			if _, err := c.Do(ctx, core.Op{Kind: core.AddBlock, Path: path, Size: 10}); err != nil {
				t.Errorf("add a block to %s: %v", path, err)
				return
			}
			if n%3 == 0 {
				if _, err := c.Do(ctx, core.Op{Kind: core.Rename, Path: path, To: path + "-moved"}); err != nil {
					t.Errorf("rename %s: %v", path, err)
					return
				}
			}
			made.Add(1)
		}
	}()
	to := strings.Join(raft.Addrs(), ",")
	importing := func() string {
		t.Helper()
		out, err := s.Fsmaster(ctx, "import", "--journal", zk.Shared, "--to", to)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for range 3 {
		importing()
		time.Sleep(200 * time.Millisecond) // the masters go on writing
	}
	refused, err := fsclient.New(raft.Addrs(), 1).Do(ctx, core.Op{Kind: core.Create, Path: "/too-early"})
	if err == nil || !strings.Contains(err.Error(), "import is under way") {
		t.Errorf("a create in the middle of an import: %+v, %v", refused, err)
	}
	stop()
	<-written
	old, err := zk.Level(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range zk.Procs {
		p.Terminate()
	}
	t.Log(importing())
	if _, err := fsclient.New(raft.Addrs(), 1).Do(ctx, core.Op{Kind: core.Imported}); err != nil {
		t.Fatal(err)
	}
	now, err := raft.Level(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if now.Digest != old.Digest || now.Inodes != old.Inodes || int64(now.Inodes) != made.Load()+3 {
		t.Errorf("the raft masters hold %+v, the old ones held %+v; %d files were made", now, old, made.Load())
	}
	create(ctx, t, fsclient.New(raft.Addrs(), 1), "/after")
}

// The cluster commands, which know nothing of fsmaster, against it.
func TestClusterCommandsAgainstFsmaster(t *testing.T) {
	s, ctx := newStage(t)
	m := startMasters(t, s, "raft", 3)
	c := fsclient.New(m.Addrs(), 1)
	for n := range 50 {
		create(ctx, t, c, fmt.Sprintf("/f%d", n))
	}
	all := strings.Join(m.Addrs(), ",")
	cluster := func(want string, args ...string) {
		t.Helper()
		out, err := s.Gopherwood(ctx, append([]string{"cluster"}, args...)...)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("cluster %v: %v\n%s\nwant %q", args, err, out, want)
		}
		t.Logf("cluster %v\n%s", args, out)
	}
	backup := filepath.Join(s.Dir, "backup")
	cluster("*raftha.machine", "members", "--admin", all)
	cluster("leader", "transfer", "--admin", all)
	cluster("healthy", "doctor", "--admin", all)
	cluster("has a snapshot at", "snapshot", "--admin", all)
	cluster("*raftha.machine", "backup", backup, "--admin", all)
	create(ctx, t, c, "/after-the-backup")
	cluster("/after-the-backup", "log", "dump", "-n", "5", "--admin", all)
	cluster("voter", "remove", "3", "--admin", all)
	cluster("voter", "add", "3", "--observer", "--admin", all)
	cluster("voter", "promote", "3", "--admin", all)
	for _, p := range m.Procs {
		p.Terminate()
		if err := os.RemoveAll(p.Dir); err != nil {
			t.Fatal(err)
		}
	}
	cluster("start server 2", "restore", backup, "--data-dir", m.Procs[1].Dir, "--id", "2")
	for _, p := range m.Procs {
		if err := m.Restart(p); err != nil {
			t.Fatal(err)
		}
	}
	st, err := m.Level(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if st.Inodes != 51 {
		t.Errorf("after the restore there are %d inodes, want 51", st.Inodes)
	}
	create(ctx, t, c, "/after-the-restore")
}

func TestShell(t *testing.T) {
	s, ctx := newStage(t)
	for _, ha := range []string{"zookeeper", "raft"} {
		m := startMasters(t, s, ha, 1)
		t.Setenv(mastersVariable, m.Procs[0].Addr)
		for _, line := range []struct{ command, want string }{
			{"mkdir /a/b", `"dir": true`}, {"create /a/b/f", `"name": "f"`}, {"register w:1 1000", `"worker": 1`}, {"addblock /a/b/f 10", `"workers"`},
			{"mv /a/b/f /g", `"name": "g"`}, {"chmod /g 600", `"mode": 384`}, {"chown /g eve", `"owner": "eve"`}, {"setattr /g color dark blue", `"dark blue"`},
			{"ls /", "-0600         10"}, {"stat /g", `"size": 10`}, {"mount /a/b s3://x", "s3://x"}, {"mounts", `"/a/b": "s3://x"`}, {"workers", `"w:1"`},
			{"heartbeat 1", "{}"}, {"umount /a/b", `"dir": true`}, {"rm /a -r", `"count": 2`}, {"status", `"ha": "` + ha + `"`},
		} {
			out, err := s.Fsmaster(ctx, strings.Fields(line.command)...)
			if err != nil || !strings.Contains(out, line.want) {
				t.Errorf("%s: %s: %v %s, want %q", ha, line.command, err, out, line.want)
			}
		}
		if _, err := s.Fsmaster(ctx, "rm", "/none"); err == nil || !strings.Contains(err.Error(), "/none: no such file or directory") {
			t.Errorf("%s: %v", ha, err)
		}
	}
}
