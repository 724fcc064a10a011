package node

import (
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Raft notices a dead leader by an election timeout of a second or more. A process that dies closes its connections, though, and
// its peers see that within a millisecond. eager uses it: with no leader known and a quorum connected, members campaign in
// turn, the first at once, the next a tick later, and again with doubled pauses. PreVote makes a campaign without prospects
// harmless; after eagerTries raft's own timeouts take over.
type eager struct {
	armed bool
	tries int
	at    uint64 // tick of the next campaign
}

const eagerTries = 6

// arm starts the campaigns: after delay ticks the first in the row.
func (n *Node) armEager(delay uint64) {
	n.eager = eager{armed: true, at: n.ticks + delay + n.electionRank()}
}

// electionRank is this member's place among the voters that are not the lost leader and are connected; the order is by raft id.
func (n *Node) electionRank() uint64 {
	rank := uint64(0)
	for _, id := range n.confState.GetVoters() {
		if id < n.cfg.RaftID && n.connected[id] {
			rank++
		}
	}
	return rank
}

func (n *Node) isVoter() bool {
	return slices.Contains(n.confState.GetVoters(), n.cfg.RaftID) || slices.Contains(n.confState.GetVotersOutgoing(), n.cfg.RaftID)
}

func (n *Node) onlyVoter() bool {
	return len(n.confState.GetVoters()) == 1 && len(n.confState.GetVotersOutgoing()) == 0
}

// quorumConnected says whether this member and those connected to it are a majority of each half of the configuration.
func (n *Node) quorumConnected() bool {
	for _, half := range [][]uint64{n.confState.GetVoters(), n.confState.GetVotersOutgoing()} {
		up := 0
		for _, id := range half {
			if id == n.cfg.RaftID || n.connected[id] {
				up++
			}
		}
		if len(half) > 0 && up <= len(half)/2 {
			return false
		}
	}
	return true
}

// tryEager campaigns when it is this member's turn.
func (n *Node) tryEager() {
	e := &n.eager
	if n.lead != 0 {
		*e = eager{}
		return
	}
	if !e.armed || n.ticks < e.at || !n.isVoter() || !n.quorumConnected() {
		return
	}
	e.tries++
	if e.tries > eagerTries {
		*e = eager{}
		return
	}
	e.at = n.ticks + (4+n.electionRank())<<e.tries
	n.campaign()
}

func (n *Node) campaign() {
	if err := n.raw.Campaign(); err != nil {
		n.log.Debug("campaign", "error", err)
	}
}

// PeerUp says that messages from a member arrive again.
func (n *Node) PeerUp(raftID uint64) {
	n.connected[raftID] = true
	if raftID == n.lead {
		n.origin.rewind(n.origin.acked, n.ticks)
		n.retryBarrier()
	}
	if n.lead == 0 && !n.eager.armed && n.quorumConnected() {
		n.armEager(eagerStartTicks)
	}
}

// eagerStartTicks is how long a member that has just met a quorum waits for the heartbeat of a leader before it campaigns.
const eagerStartTicks = 4

// PeerDown says that a member's connection has closed. If it led, the election starts at once.
func (n *Node) PeerDown(raftID uint64) {
	delete(n.connected, raftID)
	if n.lead == n.cfg.RaftID {
		n.raw.ReportUnreachable(raftID)
		return
	}
	if raftID != n.lead || n.lead == 0 {
		return
	}
	if err := n.raw.ForgetLeader(); err != nil {
		n.log.Debug("forget leader", "error", err)
		return
	}
	n.leaderMayHaveChanged()
	n.armEager(0)
	n.tryEager()
}

// countercampaign answers a pre-vote of a member whose log is behind this one's: it can't win, so there is no need to wait for it to fail.
func (n *Node) countercampaign(m *pb.Message) {
	if n.lead == 0 && n.eager.armed && n.isVoter() && n.behind(m) {
		n.eager.at = n.ticks
	}
}

// yield puts the next campaign off when another member asks for votes and can win. It may have most of them already; a campaign now would depose it as
// soon as it leads, and its log, with the first entry of its term, would deny this member the votes: nobody would lead for an election timeout.
func (n *Node) yield(m *pb.Message) {
	if n.eager.armed && !n.behind(m) {
		n.eager.at = max(n.eager.at, n.ticks+eagerStartTicks+n.electionRank())
	}
}

// behind says whether the log of a candidate is known to be behind this member's.
func (n *Node) behind(m *pb.Message) bool {
	last, err := n.storage.LastIndex()
	if err != nil {
		return false
	}
	term, err := n.storage.Term(last)
	return err == nil && (m.GetLogTerm() < term || m.GetLogTerm() == term && m.GetIndex() < last)
}
