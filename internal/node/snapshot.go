package node

import (
	"fmt"
	"io"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"gopherwood/internal/planted"
)

// Snapshot is a picture of the replica to be written to a file: Meta names it, Write writes its payload.
type Snapshot struct {
	Meta  *pb.SnapshotMetadata
	state []byte
	view  View
}

// Write writes the payload: the replica's state, then the state machine's. It may run on another goroutine.
func (s *Snapshot) Write(w io.Writer) error {
	if _, err := w.Write(s.state); err != nil {
		return fmt.Errorf("node: write snapshot %d: %w", s.Meta.GetIndex(), err)
	}
	if _, err := s.view.WriteTo(w); err != nil {
		return fmt.Errorf("node: write snapshot %d: %w", s.Meta.GetIndex(), err)
	}
	return nil
}

// Load reads the payload of a snapshot into the state machine.
func Load(r io.Reader, sm StateMachine) (*State, error) {
	s, err := readState(r)
	if err != nil {
		return nil, err
	}
	if err := sm.Restore(r); err != nil {
		return nil, fmt.Errorf("node: restore state machine: %w", err)
	}
	return s, nil
}

type outgoing struct{ to, index uint64 }

// snapshots is what is known of the snapshot files and of those under way.
type snapshots struct {
	index  uint64 // newest
	bytes  int64  // its payload, 0 if unknown
	taking *Snapshot
	ended  []View     // written, and to be closed once the state machine is restored
	failed uint64     // tick of the last failure, to wait a while
	err    error      // of the last attempt
	out    []outgoing // being streamed to others
}

// snapshotRetryTicks is how long the node waits after a snapshot could not be written, for want of space for example.
const snapshotRetryTicks = 500

func (s *snapshots) resting(tick uint64) bool {
	return s.failed != 0 && tick-s.failed < snapshotRetryTicks
}

// maybeSnapshot starts a snapshot when the log since the last one has outgrown the bound, so that a log is at most as long as twice what it describes.
func (n *Node) maybeSnapshot() {
	if n.snap.resting(n.ticks) {
		return
	}
	if n.storage.BytesSince(n.snap.index) > n.snapshotAfter() {
		if err := n.TakeSnapshot(); err != nil {
			n.log.Error("no snapshot can be taken now", "error", err)
		}
	}
}

// snapshotAfter is how much log makes a snapshot: the bound for the first member, and up to half less for the others. With the same bound
// all members, having the same log, would write their snapshots at the same time, and nobody would be left to work undisturbed.
func (n *Node) snapshotAfter() int64 {
	limit := max(n.cfg.SnapshotBytes, n.snap.bytes)
	if i, ok := n.state.findMember(n.cfg.RaftID); ok {
		limit -= limit / 2 * int64(i) / int64(len(n.state.members))
	}
	return limit
}

// TakeSnapshot starts a snapshot of the present state unless one is under way or nothing has changed since the last.
func (n *Node) TakeSnapshot() error {
	if n.snap.taking != nil || n.restoring || n.applied.index == n.snap.index {
		return nil
	}
	view, err := n.sm.View()
	if n.snap.err = err; err != nil {
		n.snap.failed = n.ticks
		return fmt.Errorf("node: view of the state machine at %d: %w", n.applied.index, err)
	}
	at := n.applied
	if planted.SnapshotShort.On() {
		at = n.plantShort(at)
	}
	n.snap.taking = &Snapshot{
		Meta:  &pb.SnapshotMetadata{Index: &at.index, Term: &at.term, ConfState: proto.CloneOf(n.confState)},
		state: n.state.append(nil),
		view:  view,
	}
	n.host.TakeSnapshot(n.snap.taking)
	return nil
}

// plantShort is the planted bug: the snapshot claims the entry after the last one that it holds.
func (n *Node) plantShort(at position) position {
	if term, err := n.storage.Term(at.index + 1); err == nil && term != 0 {
		return position{at.index + 1, term}
	}
	return at
}

// SnapshotStatus says at which index the newest snapshot is, whether another is being written, and why the last attempt failed if it did.
func (n *Node) SnapshotStatus() (index uint64, writing bool, err error) {
	return n.snap.index, n.snap.taking != nil, n.snap.err
}

// SnapshotTaken says how the writing of a snapshot ended; bytes is the size of its file.
func (n *Node) SnapshotTaken(s *Snapshot, bytes int64, err error) {
	n.snap.taking = nil
	if n.snap.ended = append(n.snap.ended, s.view); !n.restoring {
		n.closeViews()
	}
	if n.snap.err = err; err != nil {
		n.snap.failed = n.ticks
		n.log.Error("a snapshot could not be written; the log grows until one can be", "index", s.Meta.GetIndex(), "error", err)
		return
	}
	n.snap.failed = 0
	if s.Meta.GetIndex() <= n.snap.index {
		return // one from the leader came meanwhile
	}
	n.snap.index, n.snap.bytes = s.Meta.GetIndex(), bytes
	n.storage.SetSnapshot(s.Meta)
	n.compact()
}

// closeViews gives back the views of snapshots that are written. It is not called while the state machine is being restored elsewhere.
func (n *Node) closeViews() {
	for _, v := range n.snap.ended {
		v.Close()
	}
	n.snap.ended = nil
}

// compact forgets the log before the newest snapshot, but for what a lagging member, or one that is being restarted, may soon ask for.
func (n *Node) compact() {
	to := n.snap.index
	for _, o := range n.snap.out {
		to = min(to, o.index)
	}
	if n.lead == n.cfg.RaftID {
		n.raw.WithProgress(func(_ uint64, _ raft.ProgressType, p tracker.Progress) {
			if from, bytes := n.mayAskFor(&p); from < to && n.storage.BytesSince(from) <= bytes {
				to = from
			}
		})
	}
	n.storage.Compact(to)
}

// mayAskFor is after which index a member may need the log, and how many bytes of it are worth keeping for that: for one that has got
// a snapshot and is loading it, as much as is written until the next but one, or it would never catch up with a busy leader.
func (n *Node) mayAskFor(p *tracker.Progress) (index uint64, bytes int64) {
	if p.State != tracker.StateReplicate && p.Next > p.Match+1 {
		return p.Next - 1, 2 * max(n.cfg.KeepBytes, n.cfg.SnapshotBytes, n.snap.bytes)
	}
	return p.Match, n.cfg.KeepBytes
}

// BootstrapIndex and BootstrapTerm are where the log of a formed ensemble begins: a snapshot of an empty state machine, of which there is no file.
const (
	BootstrapIndex = 1
	BootstrapTerm  = 1
)

// sendSnapshot starts the streaming of a snapshot to a member. While the log still has everything since the ensemble was formed
// there is no file to send, and a snapshot older than the member's joining is none that it may restore: one is taken, and raft asks again.
func (n *Node) sendSnapshot(m *pb.Message) {
	meta := m.GetSnapshot().GetMetadata()
	index := meta.GetIndex()
	if index <= BootstrapIndex || !inConfState(meta.GetConfState(), m.GetTo()) {
		n.raw.ReportSnapshot(m.GetTo(), raft.SnapshotFailure)
		if n.snap.resting(n.ticks) {
			return
		}
		if err := n.TakeSnapshot(); err != nil {
			n.log.Warn("no snapshot can be taken for a member that needs one", "error", err)
		}
		return
	}
	n.snap.out = append(n.snap.out, outgoing{to: m.GetTo(), index: index})
	n.host.SendSnapshot(m)
}

func inConfState(cs *pb.ConfState, raftID uint64) bool {
	for _, ids := range [][]uint64{cs.GetVoters(), cs.GetLearners(), cs.GetVotersOutgoing(), cs.GetLearnersNext()} {
		if slices.Contains(ids, raftID) {
			return true
		}
	}
	return false
}

// SnapshotSent says how the streaming of a snapshot to a member ended.
func (n *Node) SnapshotSent(to, index uint64, ok bool) {
	n.snap.out = slices.DeleteFunc(n.snap.out, func(o outgoing) bool { return o.to == to && o.index == index })
	status := raft.SnapshotFinish
	if !ok {
		status = raft.SnapshotFailure
	}
	n.raw.ReportSnapshot(to, status)
}

// SnapshotReceived says that the file of the snapshot that m names is complete and durable here. One is installed at a time: another
// that comes meanwhile is dropped, and the leader sends a newer one if it is still needed (etcd-io/etcd#18055 is what happens otherwise).
func (n *Node) SnapshotReceived(m *pb.Message) {
	installing := n.restoring || slices.ContainsFunc(n.appending, func(j appendJob) bool { return j.record != nil && j.record.Snapshot != nil })
	if m.GetTo() == n.cfg.RaftID && !installing {
		n.step(m)
	}
}

// Restored says that the snapshot is loaded: state and state machine are those of its index.
func (n *Node) Restored(index uint64, state *State, bytes int64) {
	if !n.restoring {
		panic(invariant("a snapshot was restored that nobody asked for"))
	}
	n.beginBatch()
	n.restoring = false
	n.closeViews()
	snap, err := n.storage.Snapshot()
	if err != nil || snap.GetMetadata().GetIndex() != index {
		panic(invariant("restored snapshot %d, the log has %d (%v)", index, snap.GetMetadata().GetIndex(), err))
	}
	n.state = state
	n.digests = digests{}
	n.applied = position{index, snap.GetMetadata().GetTerm()}
	n.confState = snap.GetMetadata().GetConfState()
	n.snap.index, n.snap.bytes = index, bytes
	n.skipTo(state.last(n.origin.id))
	n.TellMembers()
	n.finishAppends()
	n.releaseBarriers()
	n.endBatch()
}
