package node

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"gopherwood/internal/peer"
	"gopherwood/internal/planted"
)

// leaderMayHaveChanged compares what raft says with what it said before.
func (n *Node) leaderMayHaveChanged() {
	s := n.raw.BasicStatus()
	if s.Lead == n.lead && s.GetTerm() == n.term {
		return
	}
	deposed := n.lead == n.cfg.RaftID && s.Lead == 0
	n.lead, n.term = s.Lead, s.GetTerm()
	if n.lead != 0 {
		n.eager = eager{}
	} else if deposed && n.quorumConnected() {
		n.armEager(eagerStartTicks) // by one who may not have the votes
	}
	n.heardLeader = n.ticks
	n.leadTick, n.active = n.ticks, make(map[uint64]uint64)
	n.intake.reset()
	n.changePending, n.makingWay = false, false
	if !planted.NoResend.On() {
		n.origin.rewind(n.origin.acked, n.ticks)
	}
	n.retryBarrier()
	n.leadershipChanged()
}

// forgetSilentLeader is for those who don't vote: raft leaves it to an election to find out that a leader is gone, and they hold none. They may
// also have been removed, and will be told nothing any more.
func (n *Node) forgetSilentLeader() {
	if n.lead != 0 && n.lead != n.cfg.RaftID && !n.isVoter() && n.ticks-n.heardLeader > 2*uint64(n.cfg.ElectionTicks) {
		if err := n.raw.ForgetLeader(); err != nil {
			n.log.Error("the leader that is silent can't be forgotten", "error", err)
		}
	}
}

// leadershipChanged tells the state machine, once per change.
func (n *Node) leadershipChanged() {
	l := n.Leadership()
	if l == n.told {
		return
	}
	n.told = l
	if n.observer != nil {
		n.observer.LeaderChanged(l)
	}
}

// Leadership says who leads, as far as this replica knows.
func (n *Node) Leadership() Leadership {
	return Leadership{Leader: n.lead, Term: n.term, Mine: n.lead == n.cfg.RaftID && n.intake.ready}
}

// Transfer hands leadership to the connected voter that is furthest, and reports false when there is none or this replica does not lead.
func (n *Node) Transfer() bool { return n.transferAmong(func(uint64) bool { return true }) }

// TransferTo is Transfer to a voter of that server, if it is connected.
func (n *Node) TransferTo(server uint16) bool {
	return n.transferAmong(func(id uint64) bool { return ServerOf(id) == server })
}

func (n *Node) transferAmong(may func(raftID uint64) bool) bool {
	if n.lead != n.cfg.RaftID {
		return false
	}
	best, match := uint64(0), uint64(0)
	for id, p := range n.raw.Status().Progress { // the choice does not depend on the order: ties go to the lower id
		if id == n.cfg.RaftID || p.IsLearner || !may(id) || !n.connected[id] || p.State == tracker.StateSnapshot {
			continue
		}
		if p.Match > match || p.Match == match && (best == 0 || id < best) {
			best, match = id, p.Match
		}
	}
	if best == 0 {
		return false
	}
	n.raw.TransferLeader(best)
	return true
}

// MemberStatus is what the leader knows of a member; on other members only Member and Connected are set.
type MemberStatus struct {
	peer.Member
	Connected bool
	Match     uint64 // index up to which its log is known to agree with the leader's
	Active    bool   // answered within the last election timeout
}

// Status is a replica's account of itself.
type Status struct {
	RaftID, Origin  uint64
	Leadership      Leadership
	Role            string // "leader", "follower", "candidate" or "learner"
	Applied, Commit uint64
	LastIndex       uint64
	SnapshotIndex   uint64
	LogBytes        int64 // since the last snapshot
	TimeMs          int64 // stamp of the last applied batch
	Commands        uint64
	Pending         int // commands of this server that are not applied yet
	Members         []MemberStatus
	// Joint is true while one set of voters takes over from another: until it ends, a majority of both is needed, and the disk
	// of nobody in the old set may be given up.
	Joint bool
}

// Status makes an account of the replica. It allocates; call it for people, not per request.
func (n *Node) Status() Status {
	s := n.raw.Status()
	last, err := n.storage.LastIndex()
	if err != nil {
		n.log.Error("the log does not know its last index", "error", err)
	}
	st := Status{
		RaftID: n.cfg.RaftID, Origin: n.cfg.Origin, Leadership: n.Leadership(), Role: n.role(s.RaftState),
		Applied: n.applied.index, Commit: s.GetCommit(), LastIndex: last, SnapshotIndex: n.snap.index,
		LogBytes: n.storage.BytesSince(n.snap.index), TimeMs: n.state.timeMs, Commands: n.commands,
		Pending: int(n.origin.next - 1 - n.origin.acked), Joint: len(n.confState.GetVotersOutgoing()) > 0,
	}
	for _, m := range n.state.members {
		ms := MemberStatus{Member: m, Connected: n.connected[m.RaftID] || m.RaftID == n.cfg.RaftID}
		if p, ok := s.Progress[m.RaftID]; ok {
			ms.Match, ms.Active = p.Match, p.RecentActive || m.RaftID == n.cfg.RaftID
		}
		st.Members = append(st.Members, ms)
	}
	return st
}

func (n *Node) role(s raft.StateType) string {
	switch {
	case s == raft.StateLeader:
		return "leader"
	case !n.isVoter():
		return "learner"
	case s == raft.StateFollower && n.lead != 0:
		return "follower"
	default:
		return "candidate"
	}
}

// State is the replicated state beside the state machine; it is not to be changed.
func (n *Node) State() *State { return n.state }

// LaterOrigin is not 0 when a later start of this server is on record than this one, by a clock that was ahead: nothing of this
// one's stream is applied any more. The process has to start again with an origin above it.
func (n *Node) LaterOrigin() uint64 {
	if o := n.state.originOf(ServerOf(n.origin.id)); o > n.origin.id {
		return o
	}
	return 0
}

// Applied is the index and the term of the last applied entry.
func (n *Node) Applied() (index, term uint64) { return n.applied.index, n.applied.term }

// Stop fails everything that waits with ErrClosed. The node is not to be used afterwards.
func (n *Node) Stop() {
	n.beginBatch()
	defer n.endBatch()
	for _, c := range n.origin.chunks {
		for _, w := range c.Waiters[c.done:] {
			if w != nil {
				w.Done(nil, ErrClosed)
			}
		}
	}
	n.origin.chunks = nil
	n.retryBarrier()
	for _, b := range n.barriers.confirmed {
		n.barriers.waiting = append(n.barriers.waiting, b.waiters...)
	}
	for _, w := range n.barriers.waiting {
		w.Done(nil, ErrClosed)
	}
	n.barriers = barriers{}
}
