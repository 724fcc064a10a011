package node

import (
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"gopherwood/internal/peer"
)

// A member whose disk was lost or condemned comes back under the same server id with a new incarnation, so a new raft id. It asks
// the leader to join; the leader adds it as a learner, waits until its log has caught up, and then swaps it for the server's earlier
// incarnation in one joint change. Under its old id it could forget what it had acknowledged.

// receiveJoin is the leader's side of a request to join.
func (n *Node) receiveJoin(m *peer.Message) {
	reply := peer.Message{Kind: peer.KindJoinReply, From: n.cfg.RaftID, To: m.From}
	want := m.Join.Member
	switch {
	case n.lead != n.cfg.RaftID || !n.intake.ready:
		reply.Join.Reason = "not the leader"
	case n.isMember(want.RaftID):
		reply.Join.OK = true
	case len(n.state.members) >= maxMembers:
		reply.Join.Reason = "the ensemble is full"
	case !slices.ContainsFunc(n.state.members, func(k peer.Member) bool { return k.ServerID == ServerOf(want.RaftID) }):
		reply.Join.Reason = "this server id is not part of the ensemble"
	default:
		want.Learner = true
		reply.Join.Reason = "being added; ask again"
		n.proposeConfChange(&pb.ConfChangeV2{
			Changes: []*pb.ConfChangeSingle{{Type: pb.ConfChangeAddLearnerNode.Enum(), NodeId: &want.RaftID}},
			Context: appendMember(nil, want),
		})
	}
	n.host.Send(&reply)
}

func (n *Node) isMember(raftID uint64) bool {
	_, ok := n.state.findMember(raftID)
	return ok
}

func (n *Node) proposeConfChange(cc *pb.ConfChangeV2) {
	if err := n.raw.ProposeConfChange(cc); err != nil {
		n.log.Info("a change of members has to wait", "error", err)
	}
}

// promoteLearners swaps a learner that has caught up for the earlier incarnations of its server. One change at a time; raft
// refuses a second one by itself.
func (n *Node) promoteLearners() {
	if !n.intake.ready || len(n.confState.GetVotersOutgoing()) > 0 {
		return
	}
	for _, id := range n.confState.GetLearners() {
		m, _ := n.state.member(id)
		old := n.votersOf(ServerOf(id))
		if !m.Learner || len(old) == 0 || !n.caughtUp(id) {
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
		m.Learner = false
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
	for _, ch := range cc.GetChanges() {
		if ch.GetType() == pb.ConfChangeRemoveNode {
			n.state.removeMember(ch.GetNodeId())
			continue
		}
		m, err := decodeMember(cc.GetContext())
		if err != nil || m.RaftID != ch.GetNodeId() {
			m = peer.Member{RaftID: ch.GetNodeId(), ServerID: ServerOf(ch.GetNodeId())}
		}
		m.Learner = ch.GetType() == pb.ConfChangeAddLearnerNode
		n.state.setMember(m)
	}
	n.host.MembersChanged(n.state.members)
}
