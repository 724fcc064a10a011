package node

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	mathrand "math/rand/v2"
	"slices"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/peer"
	"gopherwood/internal/raftlog"
)

// memoryLog is a Log over raft's own MemoryStorage.
type memoryLog struct {
	*raft.MemoryStorage
	snapshots map[uint64][]byte // payloads, by index
}

func (l *memoryLog) Stable(r *raftlog.Record) {
	if r.Snapshot != nil {
		if err := l.ApplySnapshot(&pb.Snapshot{Metadata: r.Snapshot}); err != nil {
			panic(err)
		}
	}
	if err := l.Append(r.Entries); err != nil {
		panic(err)
	}
	if r.HardState != nil {
		if err := l.SetHardState(r.HardState); err != nil {
			panic(err)
		}
	}
}

func (l *memoryLog) Compact(index uint64) {
	if err := l.MemoryStorage.Compact(index); err != nil && err != raft.ErrCompacted {
		panic(err)
	}
}

func (l *memoryLog) SetSnapshot(meta *pb.SnapshotMetadata) {
	if have, err := l.Snapshot(); err == nil && have.GetMetadata().GetIndex() >= meta.GetIndex() {
		return
	}
	if _, err := l.CreateSnapshot(meta.GetIndex(), meta.GetConfState(), nil); err != nil {
		panic(err)
	}
}

func (l *memoryLog) BytesSince(index uint64) int64 {
	last, err := l.LastIndex()
	if err != nil || last <= index {
		return 0
	}
	return int64(last-index) * 100
}

// journal is a state machine that remembers every command. Its result is how many it has.
type journal struct {
	commands  []string
	loading   bool     // a snapshot is being loaded, beside the node
	disturbed []string // what was asked of it meanwhile
}

func (j *journal) ask(what string) {
	if j.loading {
		j.disturbed = append(j.disturbed, what)
	}
}

func (j *journal) BeginBatch() { j.ask("BeginBatch") }
func (j *journal) EndBatch()   {}

func (j *journal) Apply(c Command) any {
	j.commands = append(j.commands, string(c.Data))
	return len(j.commands)
}

func (j *journal) View() (View, error) {
	j.ask("View")
	return journalView{j, slices.Clone(j.commands)}, nil
}

func (j *journal) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	j.commands = nil
	for line := range bytes.Lines(b) {
		j.commands = append(j.commands, string(bytes.TrimSuffix(line, []byte("\n"))))
	}
	return nil
}

type journalView struct {
	j        *journal
	commands []string
}

func (v journalView) Close() { v.j.ask("View.Close") }
func (v journalView) WriteTo(w io.Writer) (int64, error) {
	var b bytes.Buffer
	for _, c := range v.commands {
		b.WriteString(c + "\n")
	}
	return b.WriteTo(w)
}

// member is one node of a cluster in memory. Disks are instant; messages wait in the cluster's queue.
type member struct {
	c        *cluster
	id       uint64
	node     *Node
	log      *memoryLog
	sm       *journal
	dead     bool
	restored []uint64
	slow     bool // loads no snapshot for the time being
	pending  []*raftlog.Record
	restore  []uint64
	snapshot []*Snapshot
	diverged *DivergedError
}

func (m *member) Send(msg *peer.Message) bool {
	if m.c.cut[[2]uint16{ServerOf(m.id), ServerOf(msg.To)}] {
		return false
	}
	m.c.wire = append(m.c.wire, peer.AppendMessage(nil, msg))
	return true
}
func (m *member) Append(r *raftlog.Record)       { m.pending = append(m.pending, r) }
func (m *member) SendSnapshot(msg *pb.Message)   { m.c.streams = append(m.c.streams, msg) }
func (m *member) TakeSnapshot(s *Snapshot)       { m.snapshot = append(m.snapshot, s) }
func (m *member) Restore(index uint64)           { m.restore, m.sm.loading = append(m.restore, index), true }
func (m *member) Acked(*Chunk)                   {}
func (m *member) MembersChanged(_ []peer.Member) {}
func (m *member) Diverged(err *DivergedError)    { m.diverged = err }

// cluster steps some members until nothing moves.
type cluster struct {
	t       *testing.T
	members []*member
	wire    [][]byte
	streams []*pb.Message
	cut     map[[2]uint16]bool
}

func newCluster(t *testing.T, n int) *cluster {
	t.Helper()
	old := rand.Reader
	rand.Reader = mathrand.NewChaCha8([32]byte{1})
	t.Cleanup(func() { rand.Reader = old })
	c := &cluster{t: t, cut: make(map[[2]uint16]bool)}
	var voters []uint64
	for i := range n {
		voters = append(voters, MakeID(uint16(i+1), 7))
	}
	for _, id := range voters {
		c.start(id, 1, &pb.ConfState{Voters: voters})
	}
	c.connect()
	return c
}

func (c *cluster) start(id, origin uint64, conf *pb.ConfState) *member {
	c.t.Helper()
	m := &member{c: c, id: id, sm: &journal{}, log: &memoryLog{MemoryStorage: raft.NewMemoryStorage(), snapshots: map[uint64][]byte{}}}
	if conf != nil {
		m.log.Stable(&raftlog.Record{
			Snapshot:  &pb.SnapshotMetadata{Index: new(uint64(1)), Term: new(uint64(1)), ConfState: conf},
			HardState: &pb.HardState{Term: new(uint64(1)), Vote: new(uint64(0)), Commit: new(uint64(1))},
		})
	}
	n, err := New(Config{RaftID: id, Origin: MakeID(ServerOf(id), origin), SnapshotBytes: 1000, KeepBytes: 1}, m.log, nil, m.sm, m)
	if err != nil {
		c.t.Fatal(err)
	}
	m.node = n
	c.members = append(c.members, m)
	return m
}

func (c *cluster) connect() {
	for _, a := range c.members {
		for _, b := range c.members {
			if a != b && !a.dead && !b.dead {
				a.node.PeerUp(b.id)
			}
		}
	}
}

func (c *cluster) member(id uint64) *member {
	for _, m := range c.members {
		if m.id == id && !m.dead {
			return m
		}
	}
	return nil
}

// settle runs until no message, write or snapshot is left.
func (c *cluster) settle() {
	for busy := true; busy; {
		busy = false
		for _, m := range c.members {
			if !m.dead {
				busy = m.work() || busy
			}
		}
		wire, streams := c.wire, c.streams
		c.wire, c.streams = nil, nil
		for _, b := range wire {
			msg, err := peer.DecodeMessage(b)
			if err != nil {
				c.t.Fatal(err)
			}
			for _, m := range c.members {
				if !m.dead && (m.id == msg.To || msg.To == 0 && m.id != msg.From) {
					m.node.Deliver(msg)
				}
			}
			busy = true
		}
		for _, s := range streams {
			from, to := c.member(s.GetFrom()), c.member(s.GetTo())
			index := s.GetSnapshot().GetMetadata().GetIndex()
			payload, ok := from.log.snapshots[index]
			if ok && to != nil {
				to.log.snapshots[index] = payload
				to.node.SnapshotReceived(s)
			}
			from.node.SnapshotSent(s.GetTo(), index, ok && to != nil)
			busy = true
		}
	}
}

func (m *member) work() bool {
	m.node.Flush()
	busy := len(m.pending)+len(m.restore)+len(m.snapshot) > 0
	for _, r := range m.pending {
		m.node.Persisted(r)
	}
	m.pending = nil
	for _, s := range m.snapshot {
		var b bytes.Buffer
		err := s.Write(&b)
		m.log.snapshots[s.Meta.GetIndex()] = b.Bytes()
		m.node.SnapshotTaken(s, int64(b.Len()), err)
	}
	m.snapshot = nil
	m.sm.loading = len(m.restore) > 0
	if m.slow {
		return busy && len(m.restore) == 0
	}
	for _, index := range m.restore {
		state, err := Load(bytes.NewReader(m.log.snapshots[index]), m.sm)
		if err != nil {
			m.c.t.Fatal(err)
		}
		m.sm.loading, m.restored = false, append(m.restored, index)
		m.node.Restored(index, state, 1)
	}
	m.restore = nil
	return busy
}

func (c *cluster) tick(n int) {
	for range n {
		for _, m := range c.members {
			if !m.dead {
				m.node.Tick()
			}
		}
		c.settle()
	}
}

func (c *cluster) leader() *member {
	c.t.Helper()
	for _, m := range c.members {
		if !m.dead && m.node.Leadership().Mine {
			return m
		}
	}
	c.t.Fatal("no leader")
	return nil
}

func (c *cluster) kill(m *member) {
	m.dead = true
	for _, o := range c.members {
		if !o.dead {
			o.node.PeerDown(m.id)
		}
	}
}

// result is a Waiter that remembers.
type result struct {
	value any
	err   error
	times int
}

func (r *result) Done(v any, err error) { r.value, r.err = v, err; r.times++ }

func (m *member) submit(commands ...string) []*result {
	c := &Chunk{}
	var results []*result
	for _, s := range commands {
		c.Data = binary.AppendUvarint(c.Data, uint64(len(s)))
		c.Data = append(c.Data, s...)
		r := &result{}
		results = append(results, r)
		c.Waiters = append(c.Waiters, r)
	}
	m.node.Submit(c)
	return results
}

func (c *cluster) wantJournals(want []string) {
	c.t.Helper()
	for _, m := range c.members {
		if !m.dead && !slices.Equal(m.sm.commands, want) {
			c.t.Errorf("server %d has %d commands %.200q, want %d %.200q", ServerOf(m.id), len(m.sm.commands), m.sm.commands, len(want), want)
		}
	}
}

func names(prefix string, n int) []string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprintf("%s%d", prefix, i))
	}
	return s
}

func TestOneServerLeadsWithoutWaiting(t *testing.T) {
	c := newCluster(t, 1)
	c.tick(1)
	r := c.leader().submit("a", "b")
	c.settle()
	c.wantJournals([]string{"a", "b"})
	if r[1].value != 2 || r[1].err != nil || r[1].times != 1 {
		t.Errorf("second result = %+v", r[1])
	}
}

func TestCommandsOfAllServersApplyOnceInOrder(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	var all []*result
	for _, m := range c.members {
		all = append(all, m.submit(names(fmt.Sprintf("s%d-", ServerOf(m.id)), 20)...)...)
	}
	c.settle()
	for i, r := range all {
		if r.times != 1 || r.err != nil {
			t.Errorf("result %d = %+v", i, r)
		}
	}
	c.wantJournals(c.members[0].sm.commands)
	if n := len(c.members[0].sm.commands); n != 60 {
		t.Errorf("%d commands applied, want 60", n)
	}
}

// A leader dies with the followers' commands in every stage; they must go to the next one by themselves and apply once.
func TestLeaderDiesWithCommandsUnderWay(t *testing.T) {
	for lost := range 4 {
		c := newCluster(t, 3)
		c.tick(10)
		old := c.leader()
		var f []*member
		for _, m := range c.members {
			if m != old {
				f = append(f, m)
			}
		}
		first := f[0].submit(names("a", 10)...)
		for range lost { // so many half-rounds get through before the leader dies
			f[0].work()
			old.work()
			wire := c.wire
			c.wire = nil
			for _, b := range wire {
				if msg, err := peer.DecodeMessage(b); err == nil {
					if to := c.member(msg.To); to != nil {
						to.node.Deliver(msg)
					}
				}
			}
		}
		c.wire = nil
		c.kill(old)
		second := f[0].submit(names("b", 10)...)
		c.settle()
		c.tick(20)
		for i, r := range append(first, second...) {
			if r.times != 1 || r.err != nil {
				t.Fatalf("lost after %d rounds: result %d = %+v", lost, i, r)
			}
		}
		c.wantJournals(append(names("a", 10), names("b", 10)...))
	}
}

// A closed connection is enough for an election: no timeout has to pass.
func TestElectionStartsWhenTheLeadersConnectionCloses(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	old := c.leader()
	c.kill(old)
	c.settle()
	c.tick(2)
	if l := c.leader(); l == old {
		t.Error("the dead leader still leads")
	}
}

func TestBarrierSeesWhatWasCommittedBefore(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	l := c.leader()
	i := slices.IndexFunc(c.members, func(m *member) bool { return m != l })
	f := c.members[i]
	l.submit("x")
	c.settle()
	var b result
	if err := f.node.Barrier(&b); err != nil {
		t.Fatal(err)
	}
	if b.times != 0 {
		t.Fatal("the barrier passed without asking anyone")
	}
	c.settle()
	if b.times != 1 || b.err != nil || !slices.Contains(f.sm.commands, "x") {
		t.Errorf("barrier = %+v with journal %q", b, f.sm.commands)
	}
	c.kill(l)
	var after result
	if err := f.node.Barrier(&after); err != nil {
		t.Fatal(err)
	}
	c.settle()
	c.tick(60)
	if after.times != 1 || after.err != nil {
		t.Errorf("barrier across an election = %+v", after)
	}
}

// Who asks a leader that is new, and has applied nothing of its own term yet, is answered as soon as it has.
func TestBarrierDoesNotWaitOutATimeoutAfterAnElection(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	c.kill(c.leader())
	var waiting []*result
	for _, m := range c.members {
		if !m.dead {
			b := &result{}
			waiting = append(waiting, b)
			if err := m.node.Barrier(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	for ticks := 0; ; ticks++ {
		c.tick(1)
		if slices.ContainsFunc(c.members, func(m *member) bool { return !m.dead && m.node.Leadership().Mine }) {
			break
		}
		if ticks > 200 {
			t.Fatal("no leader")
		}
	}
	c.tick(1)
	for i, b := range waiting {
		if b.times != 1 || b.err != nil {
			t.Errorf("barrier %d, a tick after the leader was ready: %+v", i, b)
		}
	}
}

// A member that lags behind the leader's log gets a snapshot, with what it says of the origins.
func TestLaggingMemberGetsSnapshot(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	l := c.leader()
	i := slices.IndexFunc(c.members, func(m *member) bool { return m != l })
	f := c.members[i]
	lost := f.submit("in-flight") // reaches the leader; the result does not come back
	f.work()
	f.dead = true
	c.settle()
	for j := range 40 {
		l.submit(fmt.Sprint("n", j))
		c.settle()
		c.tick(1)
	}
	f.dead = false
	c.tick(80)
	c.wantJournals(l.sm.commands)
	if first, _ := f.log.FirstIndex(); first < 10 {
		t.Errorf("the member's log begins at %d: it got no snapshot", first)
	}
	if lost[0].times != 1 || lost[0].err != ErrOutcomeUnknown {
		t.Errorf("a command whose result was in the snapshot: %+v, want ErrOutcomeUnknown", lost[0])
	}
	again := f.submit("again")
	c.tick(1)
	if again[0].err != nil || again[0].times != 1 {
		t.Errorf("the origin stream did not go on after the snapshot: %+v", again[0])
	}
}

// A wiped server comes back with another incarnation: as a learner first, then in its predecessor's place.
func TestWipedMemberRejoinsAsLearnerThenVoter(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	l := c.leader()
	l.submit(names("a", 30)...)
	c.settle()
	i := slices.IndexFunc(c.members, func(m *member) bool { return m != l })
	wiped := c.members[i]
	c.kill(wiped)
	again := c.start(MakeID(ServerOf(wiped.id), 8), 2, nil)
	c.connect()
	sawLearner := false
	for range 100 {
		c.wire = append(c.wire, peer.AppendMessage(nil, &peer.Message{
			Kind: peer.KindJoin, From: again.id, Join: peer.Join{Member: peer.Member{RaftID: again.id, ServerID: ServerOf(again.id)}},
		}))
		c.tick(1)
		sawLearner = sawLearner || slices.Contains(l.node.confState.GetLearners(), again.id)
	}
	voters := l.node.confState.GetVoters()
	if !sawLearner || !slices.Contains(voters, again.id) || slices.Contains(voters, wiped.id) || len(voters) != 3 {
		t.Fatalf("voters %x after rejoin (learner seen: %v), want %x in the place of %x", voters, sawLearner, again.id, wiped.id)
	}
	c.wantJournals(l.sm.commands)
	r := again.submit("new")
	c.settle()
	if r[0].err != nil || r[0].times != 1 {
		t.Errorf("the new member's command = %+v", r[0])
	}
}

func TestTransferMovesLeadership(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	old := c.leader()
	if !old.node.Transfer() {
		t.Fatal("nobody to hand over to")
	}
	r := old.submit("during")
	c.settle()
	c.tick(2)
	if c.leader() == old {
		t.Error("the leader did not change")
	}
	if r[0].err != nil || r[0].times != 1 {
		t.Errorf("a command during the transfer = %+v", r[0])
	}
}

func (j *journal) Digest() uint64 {
	h := fnv.New64a()
	for _, c := range j.commands {
		fmt.Fprintln(h, c)
	}
	return h.Sum64()
}

func TestReplicaThatDiffersIsFound(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	l := c.leader()
	i := slices.IndexFunc(c.members, func(m *member) bool { return m != l })
	for round := range 3 {
		l.submit(fmt.Sprint("round", round))
		c.settle()
		c.tick(digestTicks)
	}
	for _, m := range c.members {
		if m.diverged != nil {
			t.Fatalf("server %d, equal to the others: %v", ServerOf(m.id), m.diverged)
		}
	}
	c.members[i].sm.commands[0] = "bit rot"
	for range 2 {
		l.submit("more")
		c.settle()
		c.tick(digestTicks)
	}
	for _, m := range c.members {
		if (m.diverged != nil) != (m == c.members[i]) {
			t.Errorf("server %d: diverged = %v", ServerOf(m.id), m.diverged)
		}
	}
}

// Members have the same log; they must not all write their snapshots at once.
func TestSnapshotsAreStaggered(t *testing.T) {
	c := newCluster(t, 3)
	c.tick(10)
	seen := make(map[int64]bool)
	for _, m := range c.members {
		after := m.node.snapshotAfter()
		if after > 1000 || after < 500 || seen[after] {
			t.Errorf("server %d takes a snapshot after %d bytes of log; others after %v", ServerOf(m.id), after, seen)
		}
		seen[after] = true
	}
}
