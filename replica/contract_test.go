package replica

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// faulty is a sum that goes wrong where it is told to.
type faulty struct {
	sum
	panicAt  uint64 // command
	view     error
	write    error
	writeBad bool // panic
	restore  error
}

func (f *faulty) Apply(c Command) any {
	if _, n := f.get(); f.panicAt != 0 && n+1 == f.panicAt {
		panic("this command is too much for me")
	}
	return f.sum.Apply(c)
}

func (f *faulty) View() (View, error) {
	if f.view != nil {
		return nil, f.view
	}
	v, err := f.sum.View()
	return &faultyView{View: v, f: f}, err
}

func (f *faulty) Restore(r io.Reader) error {
	if f.restore != nil {
		return f.restore
	}
	return f.sum.Restore(r)
}

type faultyView struct {
	View
	f *faulty
}

func (v *faultyView) WriteTo(w io.Writer) (int64, error) {
	if v.f.writeBad {
		panic("this state is too much for me")
	}
	if v.f.write != nil {
		return 0, v.f.write
	}
	return v.View.WriteTo(w)
}

func startAlone(t *testing.T, dir string, sm StateMachine) *Replica {
	t.Helper()
	r, err := Start(Config{Dir: dir, ServerID: 1, Tick: 5 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}, sm)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// A state machine that panics stops its replica with an error that names it, and nothing is lost: put right, it goes on with the very command.
func TestPanicInApplyNamesTheMachineAndLosesNothing(t *testing.T) {
	dir := t.TempDir()
	r := startAlone(t, dir, &faulty{panicAt: 3})
	for n := range uint64(2) {
		if _, err := r.Do(within(t), number(n+1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Do(within(t), number(4)); !errors.Is(err, ErrClosed) {
		t.Errorf("the command that it panics at: %v, want %v", err, ErrClosed)
	}
	<-r.Done()
	var e *MachineError
	if !errors.As(r.Err(), &e) || e.Method != "Apply" || e.Index == 0 || e.Term == 0 {
		t.Fatalf("the replica stopped with %v, want a *MachineError of Apply with its index", r.Err())
	}
	for _, want := range []string{"*replica.faulty", "Apply", "this command is too much for me", "contract_test.go"} {
		if !strings.Contains(e.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, e)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}

	sm := &sum{}
	r = startAlone(t, dir, sm)
	if err := r.Sync(within(t)); err != nil {
		t.Fatal(err)
	}
	if total, count := sm.get(); total != 7 || count != 3 {
		t.Errorf("with the mistake put right the sum is %d of %d, want 7 of 3", total, count)
	}
}

// The other methods are told apart, too, and a panic that does not come out of the state machine is none of theirs.
func TestPanicIsTheMachinesOrNot(t *testing.T) {
	in := func(f func()) (method string, left any) {
		defer func() { left = recover() }()
		func() {
			defer func() { method = machineMethod() }()
			f()
		}()
		return method, nil
	}
	m := &machine{ticker: tickerFunc(func(int64) { panic("tick") })}
	if method, _ := in(func() { m.Tick(1) }); method != "Tick" {
		t.Errorf("a panic in Tick is of %q", method)
	}
	if method, left := in(func() { panic("elsewhere") }); method != "" || left != "elsewhere" {
		t.Errorf("a panic elsewhere is of %q, and leaves %v", method, left)
	}
}

type tickerFunc func(int64)

func (f tickerFunc) Tick(ms int64) { f(ms) }

// A snapshot that fails is told with the state machine's name, by Snapshot and by Status, and the replica goes on.
func TestSnapshotThatFailsNamesTheMachine(t *testing.T) {
	bad := errors.New("out of ink")
	for name, sm := range map[string]*faulty{"View": {view: bad}, "View.WriteTo": {write: bad}, "View.WriteTo panics": {writeBad: true}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := startAlone(t, dir, sm)
			if _, err := r.Do(within(t), number(1)); err != nil {
				t.Fatal(err)
			}
			err := r.Snapshot(within(t))
			var e *MachineError
			if !errors.As(err, &e) || !strings.Contains(err.Error(), "*replica.faulty") || e.Method != strings.TrimSuffix(name, " panics") || !sm.writeBad && !errors.Is(err, bad) {
				t.Errorf("Snapshot: %v", err)
			}
			if s := r.Status(); !strings.Contains(s.SnapshotError, "*replica.faulty") {
				t.Errorf("the status says of the snapshot: %q", s.SnapshotError)
			}
			if _, err := r.Do(within(t), number(2)); err != nil {
				t.Errorf("a command after it: %v", err)
			}
			r.Close()
			again := &sum{}
			r = startAlone(t, dir, again)
			if err := r.Sync(within(t)); err != nil {
				t.Fatal(err)
			}
			if total, _ := again.get(); total != 3 {
				t.Errorf("after a start the sum is %d, want 3", total)
			}
		})
	}
}

func TestRestoreThatFailsNamesTheMachine(t *testing.T) {
	dir := t.TempDir()
	r := startAlone(t, dir, &sum{})
	if _, err := r.Do(within(t), number(1)); err != nil {
		t.Fatal(err)
	}
	if err := r.Snapshot(within(t)); err != nil {
		t.Fatal(err)
	}
	r.Close()
	bad := errors.New("cannot read my own hand")
	r = startAlone(t, dir, &faulty{restore: bad})
	<-r.Done()
	var e *MachineError
	if err := r.Err(); !errors.As(err, &e) || e.Method != "Restore" || !errors.Is(err, bad) || !strings.Contains(err.Error(), "*replica.faulty") {
		t.Errorf("the replica stopped with %v", err)
	}
	r.Close()
	sm := &sum{}
	r = startAlone(t, dir, sm)
	if err := r.Sync(within(t)); err != nil {
		t.Fatal(err)
	}
	if total, _ := sm.get(); total != 1 {
		t.Errorf("the sum is %d, want 1", total)
	}
}

// A term comes once its leader leads in full, and ends when another one leads.
func TestTermsBeginAndEnd(t *testing.T) {
	servers := ensemble(t, 3)
	servers[0].add(5)
	old := leaderOf(t, servers...)
	term := receive(t, old.r.Terms())
	if got := old.r.Status().Leadership.Term; term.Number != got {
		t.Errorf("the term is %d, the status says %d", term.Number, got)
	}
	if total, _ := old.sm.get(); total != 5 {
		t.Errorf("the leader begins its term with the sum %d, want 5", total)
	}
	if err := old.r.TransferLeadership(within(t)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-term.Context().Done():
	case <-within(t).Done():
		t.Fatal("the term does not end")
	}
	next := leaderOf(t, servers...)
	if later := receive(t, next.r.Terms()); later.Number <= term.Number {
		t.Errorf("the next term is %d after %d", later.Number, term.Number)
	}
	next.r.Close()
	for range next.r.Terms() {
		t.Error("there is a term after Close")
	}
}

func receive[T any](t *testing.T, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-within(t).Done():
		t.Fatal("nothing comes")
	}
	return v
}

// Who is asked for what only the leader does says who leads.
func TestNotLeaderSaysWhoLeads(t *testing.T) {
	servers := ensemble(t, 3)
	leader := leaderOf(t, servers...)
	for _, s := range servers {
		s.add(1) // knows the leader
		if s == leader {
			continue
		}
		for what, err := range map[string]error{"transfer": s.r.TransferLeadership(within(t)), "reconfigure": s.r.Reconfigure(within(t), voting(1, 2, 3))} {
			var hint *NotLeaderError
			if !errors.As(err, &hint) || !errors.Is(err, ErrNotLeader) || hint.Leader.ServerID != leader.id || hint.Leader.PeerAddr != s.peers[leader.id] {
				t.Errorf("%s: %v, want server %d", what, err, leader.id)
			}
		}
	}
	want := servers[(leader.id)%3]
	if err := leader.r.TransferLeadershipTo(within(t), want.id); err != nil {
		t.Fatal(err)
	}
	for ctx := within(t); !want.r.Status().Leadership.Mine; {
		if ctx.Err() != nil {
			t.Fatalf("server %d does not lead after a transfer to it", want.id)
		}
	}
}

// Whoever does not wait long enough learns what that means for the command.
func TestImpatienceIsTyped(t *testing.T) {
	servers := ensemble(t, 3)
	servers[0].add(1)
	servers[1].r.Close()
	servers[2].r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := servers[0].r.Do(ctx, number(2)); !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command without a majority: %v", err)
	}
	if err := servers[0].r.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("a sync without a majority: %v", err)
	}
	big := make([]byte, MaxCommandBytes)
	var err error
	for range 4 {
		if _, err = servers[0].r.Do(ctx, big); errors.Is(err, ErrBusy) {
			break
		}
	}
	if !errors.Is(err, ErrBusy) || errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("a command for which there is no room: %v, want %v", err, ErrBusy)
	}
	if _, err := servers[0].r.Do(ctx, append(big, 0)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a command that is too large: %v", err)
	}
	servers[0].r.Close()
	if _, err := servers[0].r.Do(t.Context(), number(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("a command after Close: %v", err)
	}
}

// A backup made on a follower, restored to one server, becomes the whole ensemble again when the others come with empty directories.
func TestBackupOfAFollowerBecomesAnEnsemble(t *testing.T) {
	servers := ensemble(t, 3)
	for i := range uint64(20) {
		servers[i%3].add(i)
	}
	leader := leaderOf(t, servers...)
	follower := servers[leader.id%3]
	if err := follower.r.Sync(within(t)); err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	info, err := follower.r.Backup(within(t), &backup)
	if err != nil {
		t.Fatal(err)
	}
	if info.Server != follower.id || info.Machine != "*replica.sum" || info.Index < 2 {
		t.Errorf("the backup is %+v", info)
	}
	servers[0].add(1000) // not in it
	for _, s := range servers {
		s.r.Close()
	}
	for _, s := range servers {
		s.dir = filepath.Join(t.TempDir(), "new")
	}
	if _, err := Restore(RestoreConfig{Dir: servers[1].dir, ServerID: 2}, bytes.NewReader(backup.Bytes())); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(RestoreConfig{Dir: servers[1].dir, ServerID: 2}, bytes.NewReader(backup.Bytes())); err == nil || !strings.Contains(err.Error(), "empty directory") {
		t.Errorf("a second restore over the first: %v", err)
	}
	taken := t.TempDir()
	precious := filepath.Join(taken, "log", "of-something-else")
	if err := errors.Join(os.Mkdir(filepath.Dir(precious), 0o755), os.WriteFile(precious, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(RestoreConfig{Dir: taken, ServerID: 2}, bytes.NewReader(backup.Bytes())); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a restore to a directory with other files: %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
	for _, s := range servers {
		s.start()
	}
	for _, s := range servers {
		s.wantSum(190, 20)
	}
	for ctx := within(t); ; {
		voters := 0
		s := servers[1].r.Status()
		for _, m := range s.Members {
			if !m.Learner {
				voters++
			}
		}
		if voters == 3 && !s.Joint {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the ensemble does not form: %+v", s.Members)
		}
	}
	servers[1].r.Close() // the one that was restored: the other two are a majority
	servers[0].add(5)
	servers[2].wantSum(195, 21)
	servers[1].start()
	servers[1].wantSum(195, 21)
}

func TestDamagedBackupIsRefused(t *testing.T) {
	r := startAlone(t, t.TempDir(), &sum{})
	if _, err := r.Do(within(t), number(3)); err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if _, err := r.Backup(within(t), &backup); err != nil {
		t.Fatal(err)
	}
	whole := backup.Bytes()
	for at := 0; at < len(whole); at += 1 + len(whole)/60 {
		bad := bytes.Clone(whole)
		bad[at] ^= 0x40
		dir := filepath.Join(t.TempDir(), "x")
		info, err := Restore(RestoreConfig{Dir: dir, ServerID: 1}, bytes.NewReader(bad))
		_, statErr := os.Stat(filepath.Join(dir, identityFile))
		if head := bytes.IndexByte(whole[len(backupMagic):], '\n') + len(backupMagic); at > len(backupMagic) && at < head && err == nil {
			continue // in the words of the head, which only people read
		}
		if err == nil || statErr == nil {
			t.Errorf("byte %d of %d changed: restored %+v (%v)", at, len(whole), info, statErr)
		}
	}
	for _, n := range []int{0, 5, len(backupMagic), len(whole) / 2, len(whole) - 1} {
		if _, err := Restore(RestoreConfig{Dir: filepath.Join(t.TempDir(), "x"), ServerID: 1}, bytes.NewReader(whole[:n])); err == nil {
			t.Errorf("the first %d bytes of %d are restored", n, len(whole))
		}
	}
}

func TestLogIsReadForPeople(t *testing.T) {
	r := startAlone(t, t.TempDir(), &sum{})
	if _, err := r.Do(within(t), number(3)); err != nil {
		t.Fatal(err)
	}
	log, err := r.Log(within(t), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range log.Entries {
		kinds = append(kinds, e.Kind)
		for _, c := range e.Commands {
			if !bytes.Equal(c.Data, number(3)) || c.Number != 1 || c.Origin != r.Origin() || e.TimeMs == 0 {
				t.Errorf("entry %+v", e)
			}
		}
	}
	if got := strings.Join(kinds, " "); got != "empty batch" || log.First != 2 || log.Last != 3 {
		t.Errorf("the log is %q from %d to %d", got, log.First, log.Last)
	}
}

func TestProgressOfReplay(t *testing.T) {
	dir := t.TempDir()
	r := startAlone(t, dir, &sum{})
	for range 5 {
		if _, err := r.Do(within(t), number(1)); err != nil {
			t.Fatal(err)
		}
	}
	r.Close()
	gate := &gated{open: make(chan struct{})}
	r = startAlone(t, dir, gate)
	for ctx := within(t); r.Progress().Phase != Replaying; {
		if ctx.Err() != nil {
			t.Fatalf("it is %v", r.Progress())
		}
	}
	if p := r.Progress(); p.Total < 5 || p.Done >= p.Total {
		t.Errorf("while replaying: %+v", p)
	}
	close(gate.open)
	for ctx := within(t); r.Progress().Phase != Running; {
		if ctx.Err() != nil {
			t.Fatalf("it is %v", r.Progress())
		}
	}
}

// gated is a sum that applies nothing until it is opened.
type gated struct {
	sum
	open chan struct{}
}

func (g *gated) Apply(c Command) any {
	<-g.open
	return g.sum.Apply(c)
}

// A service that embeds replica gets nothing of ZooKeeper into its binary.
func TestNothingOfZooKeeperComesAlong(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "gopherwood/replica", "gopherwood/replica/admin", "gopherwood/examples/kv", "gopherwood/examples/fsmaster/raftha").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		seen = seen || dep == "gopherwood/internal/node"
		for _, zookeeper := range []string{"zk", "client", "internal/tree", "internal/wire", "internal/watch", "internal/session", "internal/server", "internal/sasl"} {
			if dep == "gopherwood/"+zookeeper || strings.HasPrefix(dep, "gopherwood/"+zookeeper+"/") {
				t.Errorf("%s comes along", dep)
			}
		}
	}
	if !seen {
		t.Errorf("go list does not say what there is: %s", out)
	}
}
