package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sum is a state machine that adds numbers up. Its result is the sum after the command.
type sum struct {
	mu    sync.Mutex
	total uint64
	count uint64
}

func (s *sum) Apply(c Command) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total += binary.LittleEndian.Uint64(c.Data)
	s.count++
	return s.total
}

func (s *sum) get() (total, count uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total, s.count
}

func (s *sum) View() (View, error) { return &sumView{s.total, s.count}, nil }

func (s *sum) Restore(r io.Reader) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b [16]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	s.total, s.count = binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
	return nil
}

type sumView struct{ total, count uint64 }

func (v *sumView) Close() {}
func (v *sumView) WriteTo(w io.Writer) (int64, error) {
	b := binary.LittleEndian.AppendUint64(nil, v.total)
	n, err := w.Write(binary.LittleEndian.AppendUint64(b, v.count))
	return int64(n), err
}

func number(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

// server is a member of a test ensemble, which can be stopped and started.
type server struct {
	t         *testing.T
	id        uint16
	dir       string
	peers     map[uint16]string
	observers []uint16
	sm        *sum
	r         *Replica
}

func (s *server) start() {
	s.t.Helper()
	s.sm = &sum{}
	r, err := Start(Config{
		Dir: s.dir, ServerID: s.id, Peers: s.peers, Observers: s.observers, Tick: 5 * time.Millisecond, SnapshotBytes: 64 << 10,
		Logger: slog.New(slog.NewTextHandler(s.t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})).With("server", s.id),
	}, s.sm)
	if err != nil {
		s.t.Fatal(err)
	}
	s.r = r
	s.t.Cleanup(func() { r.Close() })
}

func ensemble(t *testing.T, n int) []*server {
	t.Helper()
	peers := make(map[uint16]string)
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		peers[uint16(i+1)] = l.Addr().String()
		l.Close()
	}
	var servers []*server
	for i := range n {
		s := &server{t: t, id: uint16(i + 1), dir: filepath.Join(t.TempDir(), fmt.Sprint(i+1)), peers: peers}
		if n == 1 {
			s.peers = nil
		}
		s.start()
		servers = append(servers, s)
	}
	return servers
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func leaderOf(t *testing.T, servers ...*server) *server {
	t.Helper()
	ctx := within(t)
	for ctx.Err() == nil {
		for _, s := range servers {
			if s.r.Status().Leadership.Mine {
				return s
			}
		}
	}
	t.Fatal("no leader")
	return nil
}

func (s *server) add(n uint64) {
	s.t.Helper()
	if _, err := s.r.Do(within(s.t), number(n)); err != nil {
		s.t.Fatalf("server %d: %v", s.id, err)
	}
}

func (s *server) wantSum(total, count uint64) {
	s.t.Helper()
	if err := s.r.Sync(within(s.t)); err != nil {
		s.t.Fatalf("server %d: sync: %v", s.id, err)
	}
	if a, b := s.sm.get(); a != total || b != count {
		s.t.Errorf("server %d: sum %d of %d commands, want %d of %d", s.id, a, b, total, count)
	}
}

func TestAloneAppliesAndRestarts(t *testing.T) {
	s := ensemble(t, 1)[0]
	for i := range 50 {
		s.add(uint64(i))
	}
	s.wantSum(1225, 50)
	s.r.Close()
	s.start()
	s.wantSum(1225, 50)
	if err := s.r.Snapshot(within(t)); err != nil {
		t.Fatal(err)
	}
	s.add(5)
	s.r.Close()
	s.start()
	s.wantSum(1230, 51)
}

func TestEnsembleSurvivesLossOfTheLeader(t *testing.T) {
	servers := ensemble(t, 3)
	for i, s := range servers {
		s.add(uint64(i + 1))
	}
	old := leaderOf(t, servers...)
	old.r.Close()
	var rest []*server
	for _, s := range servers {
		if s != old {
			rest = append(rest, s)
		}
	}
	for _, s := range rest {
		s.add(10)
	}
	for _, s := range rest {
		s.wantSum(26, 5)
	}
	old.start()
	old.wantSum(26, 5)
}

func TestProposalsUnderWayOutliveTheLeader(t *testing.T) {
	servers := ensemble(t, 3)
	old := leaderOf(t, servers...)
	var f *server
	for _, s := range servers {
		if s != old {
			f = s
		}
	}
	const n = 2000
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	wg.Add(n)
	for i := range n {
		if i == n/2 {
			go old.r.Close()
		}
		err := f.r.Propose(number(1), waiterFunc(func(_ any, err error) {
			defer wg.Done()
			if err != nil {
				mu.Lock()
				failed = append(failed, err)
				mu.Unlock()
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if len(failed) > 0 {
		t.Fatalf("%d of %d commands failed, first: %v", len(failed), n, failed[0])
	}
	f.wantSum(n, n)
	old.r.Close()
}

type waiterFunc func(any, error)

func (f waiterFunc) Done(v any, err error) { f(v, err) }

// Every server loses its disk, one after the other: the last one meets an ensemble in which nobody is left who formed it.
func TestWipedServersRejoin(t *testing.T) {
	servers := ensemble(t, 3)
	for i := range 30 {
		servers[0].add(uint64(i))
	}
	for i, wiped := range servers {
		was := wiped.r.Status().RaftID
		wiped.r.Close()
		if err := os.RemoveAll(wiped.dir); err != nil {
			t.Fatal(err)
		}
		wiped.start()
		wiped.add(100)
		wiped.wantSum(435+100*uint64(i+1), 31+uint64(i))
		waitReplaced(t, was, servers)
	}
}

// A log that is gone is as good as a lost disk: under its old id the server could forget what it had acknowledged.
func TestServerWhoseLogIsGoneRejoinsAsAnother(t *testing.T) {
	servers := ensemble(t, 3)
	servers[0].add(1)
	s := servers[1]
	was := s.r.Status().RaftID
	s.r.Close()
	if err := os.Rename(filepath.Join(s.dir, "log"), filepath.Join(s.dir, "log.away")); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.add(1)
	s.wantSum(2, 2)
	if is := s.r.Status().RaftID; is == was {
		t.Fatalf("the server came back without its log as %x, the id it had with it", is)
	}
	waitReplaced(t, was, servers)
}

func TestServerAloneWhoseLogIsGoneDoesNotStart(t *testing.T) {
	s := ensemble(t, 1)[0]
	s.add(1)
	s.r.Close()
	if err := os.RemoveAll(filepath.Join(s.dir, "log")); err != nil {
		t.Fatal(err)
	}
	if r, err := Start(Config{Dir: s.dir, ServerID: 1}, &sum{}); err == nil {
		r.Close()
		t.Error("a server alone started without its log: what it held is forgotten silently")
	}
}

// waitReplaced waits until the ensemble has three voters and was is none of them.
func waitReplaced(t *testing.T, was uint64, servers []*server) {
	t.Helper()
	ctx := within(t)
	for ctx.Err() == nil {
		st := leaderOf(t, servers...).r.Status()
		voters := 0
		for _, m := range st.Members {
			if m.RaftID == was {
				voters = -10
			}
			if !m.Learner {
				voters++
			}
		}
		if voters == 3 && !st.Joint {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("the new incarnation did not take its predecessor's place: %+v", servers[0].r.Status().Members)
}

func TestShutdownHandsOver(t *testing.T) {
	servers := ensemble(t, 3)
	servers[0].add(1)
	old := leaderOf(t, servers...)
	if err := old.r.Shutdown(within(t)); err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		if s != old {
			s.add(1)
		}
	}
}

func TestDirectoryInUse(t *testing.T) {
	s := ensemble(t, 1)[0]
	_, err := Start(Config{Dir: s.dir, ServerID: 1}, &sum{})
	if err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second start: %v; want an error that names process %d", err, os.Getpid())
	}
}

func TestStartRefusesWrongConfiguration(t *testing.T) {
	s := ensemble(t, 1)[0]
	s.r.Close()
	for _, tt := range []struct {
		cfg  Config
		want string
	}{
		{Config{ServerID: 1}, "Dir is required"},
		{Config{Dir: t.TempDir()}, "ServerID is required"},
		{Config{Dir: t.TempDir(), ServerID: 1, Peers: map[uint16]string{2: "x:1"}}, "lacks this server"},
		{Config{Dir: t.TempDir(), ServerID: 1, Peers: map[uint16]string{0: "x:1", 1: "x:2"}}, "server 0"},
		{Config{Dir: t.TempDir(), ServerID: 1, Tick: -1}, "negative"},
		{Config{Dir: s.dir, ServerID: 2}, "belongs to server 1"},
		{Config{Dir: s.dir, ServerID: 1, Peers: map[uint16]string{1: "127.0.0.1:0", 2: "127.0.0.1:1"}}, "started alone"},
	} {
		_, err := Start(tt.cfg, &sum{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want %q", tt.cfg, err, tt.want)
		}
	}
}

func TestClosedReplicaRefuses(t *testing.T) {
	s := ensemble(t, 1)[0]
	s.add(1)
	s.r.Close()
	if err := s.r.Propose(number(1), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Propose after Close: %v", err)
	}
	if err := s.r.Sync(within(t)); !errors.Is(err, ErrClosed) {
		t.Errorf("Sync after Close: %v", err)
	}
	if err := s.r.Propose(make([]byte, MaxCommandBytes+1), nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a command over the bound: %v", err)
	}
}

// BenchmarkAlone is one server on a real disk with many commands under way.
func BenchmarkAlone(b *testing.B) {
	r, err := Start(Config{Dir: b.TempDir(), ServerID: 1, Logger: slog.New(slog.DiscardHandler)}, &sum{})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	if err := r.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var wg sync.WaitGroup
	data := number(1)
	slots := make(chan struct{}, 256)
	w := waiterFunc(func(any, error) { <-slots; wg.Done() })
	for b.Loop() {
		wg.Add(1)
		slots <- struct{}{}
		if err := r.Propose(data, w); err != nil {
			b.Fatal(err)
		}
	}
	wg.Wait()
}

// BenchmarkAloneOneAtATime is the latency of one command: one log write and four hand-overs between goroutines.
func BenchmarkAloneOneAtATime(b *testing.B) {
	r, err := Start(Config{Dir: b.TempDir(), ServerID: 1, Logger: slog.New(slog.DiscardHandler)}, &sum{})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	data := number(1)
	for b.Loop() {
		if _, err := r.Do(b.Context(), data); err != nil {
			b.Fatal(err)
		}
	}
}

// A server that still looks for its ensemble keeps barriers waiting and drops datagrams to a leader that nobody knows.
func TestWhileTheEnsembleIsBeingLookedFor(t *testing.T) {
	peers := map[uint16]string{1: "127.0.0.1:0", 2: "127.0.0.1:1"} // nobody listens on port 1
	r, err := Start(Config{Dir: t.TempDir(), ServerID: 1, Peers: peers, Logger: slog.New(slog.DiscardHandler)}, &sum{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	r.ToLeader([]byte("hello"))
	r.Barrier(waiterFunc(func(_ any, err error) { done <- err }))
	if s := r.Status(); s.Role == "leader" {
		t.Errorf("status %+v", s)
	}
	r.Close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("the barrier ended with %v, want ErrClosed", err)
	}
}
