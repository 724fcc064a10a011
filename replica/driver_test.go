package replica

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopherwood/internal/node"
	"gopherwood/internal/peer"
	"gopherwood/internal/raftlog"
	"gopherwood/internal/vfs"
)

func TestSnapshotTellsWhenItCouldNotBeWritten(t *testing.T) {
	disk := vfs.WithErrors(vfs.OS())
	r, err := Start(Config{Dir: t.TempDir(), ServerID: 1, Tick: 5 * time.Millisecond, fs: disk}, &sum{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Do(within(t), number(1)); err != nil {
		t.Fatal(err)
	}
	disk.Add(&vfs.Rule{Ops: vfs.OpCreate, Path: ".1.tmp", Err: raftlog.ErrNoSpace})
	if err := r.Snapshot(within(t)); !errors.Is(err, raftlog.ErrNoSpace) {
		t.Errorf("a snapshot on a full disk: %v, want %v", err, raftlog.ErrNoSpace)
	}
	if err := r.Snapshot(within(t)); err != nil {
		t.Errorf("a snapshot when there is space again: %v", err)
	}
	if s := r.Status(); s.SnapshotIndex == 0 || s.SnapshotIndex < s.Applied {
		t.Errorf("snapshot at %d of %d applied", s.SnapshotIndex, s.Applied)
	}
}

// A process that was stopped, or a machine that slept, has had nothing hanging.
func TestOnlyLooksAtTheSameWriteCountAsAHang(t *testing.T) {
	var h hang
	look := func(write uint64, full bool, want time.Duration) {
		t.Helper()
		if got := h.look(write, full); got != want {
			t.Errorf("write %d hangs for %v, want %v", write, got, want)
		}
	}
	look(1, false, 0)
	look(1, false, diskWatchEvery)
	look(2, false, 0)
	look(2, false, diskWatchEvery)
	look(0, false, 0)
	look(0, false, 0)
	look(3, true, 0)
	look(3, true, 0)
	look(3, false, diskWatchEvery) // there is space again, and the write goes on
}

// The messages that wait for the loop are bounded by what they hold, not by their number alone.
func TestInboxIsBoundedByBytes(t *testing.T) {
	var in inbox
	in.init()
	m := &peer.Message{Kind: peer.KindOrigin, Origin: peer.OriginBatch{Data: make([]byte, maxInboxBytes/4)}}
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		for range 8 {
			in.deliver(m)
		}
	}()
	var work batchOfEvents
	for total := 0; total < 8; total += len(work.messages) {
		<-in.wake
		if in.take(&work); len(work.messages) > 4 {
			t.Fatalf("%d messages of a quarter of the bound were taken in at once", len(work.messages))
		}
	}
	<-delivered
	go in.close()
	for range 8 { // closed: nobody waits any more
		in.deliver(m)
	}
}

// What close drops were the earlier records; the loop, which may take one more round, must not see later ones without them.
func TestClosedInboxTakesNoRecords(t *testing.T) {
	var in inbox
	in.init()
	in.persisted([]*raftlog.Record{{}})
	in.close()
	in.persisted([]*raftlog.Record{{}})
	var work batchOfEvents
	if in.take(&work); len(work.persisted) != 0 {
		t.Errorf("%d records came out of order", len(work.persisted))
	}
}

func TestFailedStartGivesEverythingBack(t *testing.T) {
	dir := t.TempDir()
	used, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	cfg := Config{Dir: dir, ServerID: 1, Peers: map[uint16]string{1: used.Addr().String(), 2: "127.0.0.1:1"}}
	if _, err := Start(cfg, &sum{}); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("start on an address that is taken: %v", err)
	}
	cfg.Listener, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := cfg
	other.ServerID = 2
	if _, err := Start(other, &sum{}); err == nil {
		t.Fatal("server 2 started in the directory of server 1")
	}
	if _, err := cfg.Listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener after a failed start: %v, want that it is closed", err)
	}
	cfg.Listener = nil
	cfg.Peers[1] = "127.0.0.1:0"
	r, err := Start(cfg, &sum{})
	if err != nil {
		t.Fatalf("start after a failed start: %v", err)
	}
	r.Close()
}

// A server whose clock was ahead loses its disk and comes back with the right time. Its stream would be taken for an old one.
func TestClockThatWasAheadBeforeTheDiskWasLost(t *testing.T) {
	servers := ensemble(t, 3)
	servers[0].add(1)
	s := servers[2]
	was := s.r.Status().RaftID
	s.r.Close()
	id, err := readIdentity(vfs.OS(), s.dir)
	if err != nil {
		t.Fatal(err)
	}
	id.Origin = node.MakeID(s.id, uint64(time.Now().Add(time.Hour).UnixMilli()))
	if err := id.write(vfs.OS(), s.dir); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.add(1)
	s.r.Close()
	s.dir = filepath.Join(t.TempDir(), "new")
	s.start()
	select {
	case <-s.r.Done():
	case <-within(t).Done():
		t.Fatal("the server waits for its commands to be applied, which they never are")
	}
	var older *node.OriginError
	if err := s.r.Err(); !errors.As(err, &older) {
		t.Errorf("stopped with %v, want an OriginError", err)
	}
	s.r.Close()
	s.start()
	s.add(1)
	s.wantSum(3, 3)
	waitReplaced(t, was, servers)
}
