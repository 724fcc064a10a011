package node

import (
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"gopherwood/internal/peer"
	"gopherwood/internal/planted"
)

// A member whose disk was lost or condemned comes back under the same server id with a new incarnation, so a new raft id. It asks
// the leader to join; the leader adds it as a learner, waits until its log has caught up, and then swaps it for the server's earlier
// incarnation in one joint change. Under its old id it could forget what it had acknowledged.
//
// An earlier incarnation that is still heard of was not lost: then two servers have been given the same id, and the one that the ensemble
// knows keeps its place.
//
// A server that the ensemble does not know is let in as a learner too: an observer stays one, any other is a guest that follows along until
// Reconfigure makes it a voter. A guest that is gone is forgotten.

// receiveJoin is the leader's side of a request to join.
func (n *Node) receiveJoin(m *peer.Message) {
	reply := peer.Message{Kind: peer.KindJoinReply, From: n.cfg.RaftID, To: m.From}
	want := m.Join.Member
	switch {
	case n.lead != n.cfg.RaftID || !n.intake.ready:
		reply.Join.Reason = joinNoLeader
	case n.isMember(want.RaftID):
		reply.Join.OK = true
	case len(n.state.members) >= maxMembers || !n.known(ServerOf(want.RaftID)) && n.guests() >= maxGuests:
		reply.Join.Reason = "the ensemble is full"
	case slices.ContainsFunc(n.votersOf(ServerOf(want.RaftID)), n.heardOf):
		reply.Join.Reason = "a server with this id is alive; give each server an id of its own, or wait a moment if it has just died"
	default:
		want.Learner = true
		want.Observer = n.observes(&want)
		reply.Join.Reason = joinUnderWay
		n.addLearner(want)
	}
	n.host.Send(&reply)
}

// known says whether some incarnation of a server is a member.
func (n *Node) known(server uint16) bool {
	return slices.ContainsFunc(n.state.members, func(k peer.Member) bool { return k.ServerID == server })
}

// guests counts the learners that are neither observers nor on the way to become voters.
func (n *Node) guests() int {
	count := 0
	for i := range n.state.members {
		if n.isGuest(&n.state.members[i]) {
			count++
		}
	}
	return count
}

func (n *Node) isGuest(m *peer.Member) bool {
	return m.Learner && !m.Observer && len(n.votersOf(m.ServerID)) == 0
}

// observes says whether a server that joins stays a learner: what the ensemble knows of it counts for more than what it says itself.
func (n *Node) observes(m *peer.Member) bool {
	for _, k := range n.state.members {
		if k.ServerID == m.ServerID {
			return k.Observer
		}
	}
	return m.Observer
}

// forgetGuests proposes to remove a guest that has not been heard of for long.
func (n *Node) forgetGuests() {
	if !n.intake.ready || n.changing() {
		return
	}
	for i := range n.state.members {
		m := &n.state.members[i]
		if n.isGuest(m) && n.ticks-max(n.active[m.RaftID], n.leadTick) > guestGoneTicks {
			n.log.Info("a server that followed without being a member is gone", "server", m.ServerID, "raft", peer.FormatRaftID(m.RaftID))
			n.proposeConfChange(&pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{Type: pb.ConfChangeRemoveNode.Enum(), NodeId: &m.RaftID}}})
			return
		}
	}
}

// joinUnderWay and joinNoLeader are answers that are no reason to worry.
const (
	joinUnderWay = "being added; ask again"
	joinNoLeader = "not the leader"
)

// addLearner proposes a learner in the place of those of the same server that never became voters and are gone: a server that
// loses its disk again and again must not fill the ensemble.
func (n *Node) addLearner(m peer.Member) {
	cc := &pb.ConfChangeV2{
		Changes: []*pb.ConfChangeSingle{{Type: pb.ConfChangeAddLearnerNode.Enum(), NodeId: &m.RaftID}},
		Context: appendMember(nil, m),
	}
	for _, id := range n.confState.GetLearners() {
		if ServerOf(id) == ServerOf(m.RaftID) && !n.heardOf(id) {
			cc.Changes = append(cc.Changes, &pb.ConfChangeSingle{Type: pb.ConfChangeRemoveNode.Enum(), NodeId: &id})
		}
	}
	n.proposeConfChange(cc)
}

// noteActive remembers which members answer. Raft forgets it once per election timeout, and knows it again a heartbeat later.
func (n *Node) noteActive() {
	n.raw.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		if pr.RecentActive {
			n.active[id] = n.ticks
		}
	})
}

// heardOf says whether a member, or this leader itself, may have been heard of within the last election timeout.
func (n *Node) heardOf(raftID uint64) bool {
	return n.ticks-max(n.active[raftID], n.leadTick) <= uint64(n.cfg.ElectionTicks)
}

// joinAnswered tells the operator why this server is not let in, once per reason, when it is not a matter of moments: after a change of leader
// everybody is taken for alive at first.
func (n *Node) joinAnswered(j *peer.Join) {
	switch {
	case j.Reason == joinUnderWay, j.Reason == joinNoLeader:
	case j.OK:
		n.refusal = refusal{}
	case j.Reason != n.refusal.reason:
		n.refusal = refusal{reason: j.Reason, since: n.ticks}
	case !n.refusal.told && n.ticks-n.refusal.since > 3*uint64(n.cfg.ElectionTicks):
		n.refusal.told = true
		n.log.Error("the ensemble does not let this server in", "reason", j.Reason)
	}
}

// refusal is why this server is not let in.
type refusal struct {
	reason string
	since  uint64 // tick
	told   bool
}

func (n *Node) isMember(raftID uint64) bool {
	_, ok := n.state.findMember(raftID)
	return ok
}

// proposeConfChange reports whether raft took the change. It takes one at a time and makes another one an empty entry, without a word.
func (n *Node) proposeConfChange(cc *pb.ConfChangeV2) bool {
	if n.changing() {
		return false
	}
	if err := n.raw.ProposeConfChange(cc); err != nil {
		n.log.Info("a change of members has to wait", "error", err)
		return false
	}
	n.changePending = true
	if planted.ConfigEarly.On() {
		n.confState = n.raw.ApplyConfChange(cc)
		n.membersChanged(cc)
	}
	return true
}

// Changed says whether the last change of members is complete.
func (n *Node) Changed() bool { return !n.changing() }

// changing says whether a change of members is not complete.
func (n *Node) changing() bool {
	return n.changePending || len(n.confState.GetVotersOutgoing()) > 0
}

// promoteLearners swaps a learner that has caught up for the earlier incarnations of its server. One change at a time; raft
// refuses a second one by itself.
func (n *Node) promoteLearners() {
	if !n.intake.ready || n.changing() {
		return
	}
	for _, id := range n.confState.GetLearners() {
		m, _ := n.state.member(id)
		old := n.votersOf(ServerOf(id))
		if !m.Learner || len(old) == 0 || !n.caughtUp(id) || slices.ContainsFunc(old, n.heardOf) {
			continue
		}
		rivals, active := n.rivals(id)
		if active {
			continue // which of them is the present one will be seen
		}
		cc := &pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{Type: pb.ConfChangeAddNode.Enum(), NodeId: &id}}}
		for _, o := range append(old, rivals...) {
			cc.Changes = append(cc.Changes, &pb.ConfChangeSingle{Type: pb.ConfChangeRemoveNode.Enum(), NodeId: &o})
		}
		m.Learner, m.Observer = false, false
		cc.Context = appendMember(nil, m)
		n.proposeConfChange(cc)
		return
	}
}

func (n *Node) votersOf(server uint16) []uint64 {
	var ids []uint64
	for _, id := range n.confState.GetVoters() {
		if ServerOf(id) == server {
			ids = append(ids, id)
		}
	}
	return ids
}

// rivals are the other learners of a learner's server: incarnations that lost their disk before they became voters. active
// says that one of them may still be there: it was added or has answered within the last election timeout.
func (n *Node) rivals(raftID uint64) (ids []uint64, active bool) {
	progress := n.raw.Status().Progress
	for _, id := range n.confState.GetLearners() {
		if ServerOf(id) == ServerOf(raftID) && id != raftID {
			ids = append(ids, id)
			active = active || progress[id].RecentActive
		}
	}
	return ids, active
}

func (n *Node) caughtUp(raftID uint64) bool {
	last, err := n.storage.LastIndex()
	if err != nil {
		return false
	}
	pr, ok := n.raw.Status().Progress[raftID]
	return ok && pr.State == tracker.StateReplicate && pr.RecentActive && pr.Match+joinCatchUpEntries >= last
}

// membersChanged brings the replicated list of members up to an applied change.
func (n *Node) membersChanged(cc *pb.ConfChangeV2) {
	told, err := decodeMembers(cc.GetContext())
	if err != nil {
		n.log.Error("a change of members says nothing readable about them", "error", err)
	}
	for _, ch := range cc.GetChanges() {
		if ch.GetType() == pb.ConfChangeRemoveNode {
			n.state.removeMember(ch.GetNodeId())
			continue
		}
		was, _ := n.state.member(ch.GetNodeId())
		m := peer.Member{RaftID: ch.GetNodeId(), ServerID: ServerOf(ch.GetNodeId())}
		if i := slices.IndexFunc(told, func(t peer.Member) bool { return t.RaftID == m.RaftID }); i >= 0 {
			m = told[i]
		}
		if m.Learner = ch.GetType() == pb.ConfChangeAddLearnerNode; ch.GetType() == pb.ConfChangeUpdateNode {
			m.Learner = was.Learner
		}
		n.state.setMember(m)
	}
	n.TellMembers()
}
