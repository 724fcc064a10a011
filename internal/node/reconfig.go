package node

import (
	"errors"
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/peer"
)

// The refusals of Reconfigure.
var (
	// ErrNotLeader says that another member leads, or is about to: ask that one.
	ErrNotLeader = errors.New("node: this member does not lead")
	// ErrReconfigInProgress says that an earlier change of members is not complete.
	ErrReconfigInProgress = errors.New("node: a change of members is under way")
	// ErrNoVoters says that the new ensemble would have nobody who votes.
	ErrNoVoters = errors.New("node: an ensemble needs a voter")
	// ErrTwice says that the new ensemble names a server twice.
	ErrTwice = errors.New("node: a server is named twice")
)

// NotSyncedError says which servers of a new ensemble are not there, or not up to date.
type NotSyncedError struct{ Servers []uint16 }

// Error names them.
func (e *NotSyncedError) Error() string {
	return fmt.Sprintf("node: servers %d are not connected and up to date; start them and let them catch up first", e.Servers)
}

// Reconfigure begins to make target the ensemble, all of it: a server that is a member and not named leaves, except for guests, who may stay. Of
// each member of target ServerID, PeerAddr, ClientAddr and Observer count; empty addresses stay as they were. The servers that are to become voters must
// have joined and caught up, so that the change itself is quick; a majority of them must be there.
//
// It returns nil when the change is proposed, or there is nothing to change: Host.MembersChanged says when it is made, and Status.Joint whether it is
// complete. A leader that is not to be a voter hands leadership over and returns ErrNotLeader; if none of those that are to be voters is one yet, it makes them
// voters besides the present ones first, and hands over when it is asked again.
func (n *Node) Reconfigure(target []peer.Member) error {
	if n.lead != n.cfg.RaftID || !n.intake.ready {
		return ErrNotLeader
	}
	if n.changing() {
		if n.makingWay {
			return ErrNotLeader
		}
		return ErrReconfigInProgress
	}
	n.makingWay = false
	next, err := n.incarnations(target)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(next, func(m peer.Member) bool { return m.RaftID == n.cfg.RaftID })
	if i < 0 || next[i].Observer {
		return n.makeWay(next)
	}
	cc := n.difference(next)
	if len(cc.Changes) == 0 {
		return nil
	}
	if !n.proposeConfChange(cc) {
		return ErrReconfigInProgress
	}
	return nil
}

// makeWay is what a leader does that is not to be a voter in next: it hands leadership to one that is, and returns ErrNotLeader. Where each of them has
// still to become a voter, that comes first, as a change of its own.
func (n *Node) makeWay(next []peer.Member) error {
	if n.transferAmong(func(id uint64) bool { return votes(next, id) }) {
		return ErrNotLeader
	}
	cc := &pb.ConfChangeV2{}
	for _, m := range next {
		if was, _ := n.state.member(m.RaftID); was.Learner && !m.Observer {
			cc.Changes = append(cc.Changes, &pb.ConfChangeSingle{Type: pb.ConfChangeAddNode.Enum(), NodeId: &m.RaftID})
			cc.Context = appendMember(cc.Context, m)
			for _, lost := range n.votersOf(m.ServerID) { // earlier incarnations, which present has found silent
				cc.Changes = append(cc.Changes, &pb.ConfChangeSingle{Type: pb.ConfChangeRemoveNode.Enum(), NodeId: &lost})
			}
		}
	}
	if len(cc.Changes) == 0 {
		return &NotSyncedError{Servers: []uint16{ServerOf(n.cfg.RaftID)}}
	}
	if !n.proposeConfChange(cc) {
		return ErrReconfigInProgress
	}
	n.makingWay = true
	return ErrNotLeader
}

func votes(members []peer.Member, id uint64) bool {
	return slices.ContainsFunc(members, func(m peer.Member) bool { return m.RaftID == id && !m.Observer })
}

// incarnations finds the members that target names by their servers, and checks that they can be what they are to be.
func (n *Node) incarnations(target []peer.Member) ([]peer.Member, error) {
	next := make([]peer.Member, 0, len(target))
	var absent []uint16
	voters, there := 0, 0
	for _, t := range target {
		if slices.ContainsFunc(next, func(m peer.Member) bool { return m.ServerID == t.ServerID }) {
			return nil, ErrTwice
		}
		m, ok := n.present(t.ServerID, !t.Observer)
		if !ok {
			absent = append(absent, t.ServerID)
			continue
		}
		m.Observer, m.Learner = t.Observer, t.Observer
		if t.PeerAddr != "" {
			m.PeerAddr = t.PeerAddr
		}
		if t.ClientAddr != "" {
			m.ClientAddr = t.ClientAddr
		}
		next = append(next, m)
		if !m.Observer {
			voters++
			if m.RaftID == n.cfg.RaftID || n.heardOf(m.RaftID) {
				there++
			}
		}
	}
	switch {
	case len(absent) > 0:
		return nil, &NotSyncedError{absent}
	case voters == 0:
		return nil, ErrNoVoters
	case there <= voters/2:
		for _, m := range next {
			if !m.Observer && m.RaftID != n.cfg.RaftID && !n.heardOf(m.RaftID) {
				absent = append(absent, m.ServerID)
			}
		}
		return nil, &NotSyncedError{absent}
	}
	return next, nil
}

// present is the incarnation of a server that counts: its voter that is heard of; otherwise a learner that is, and has caught up if it is to vote;
// otherwise its voter; otherwise, if it is to observe, an observer that is silent.
func (n *Node) present(server uint16, vote bool) (peer.Member, bool) {
	voters := n.votersOf(server)
	if len(voters) > 0 && (voters[0] == n.cfg.RaftID || n.heardOf(voters[0])) {
		return n.state.member(voters[0])
	}
	for _, m := range n.state.members {
		if m.ServerID == server && m.Learner && n.heardOf(m.RaftID) && (!vote || n.caughtUp(m.RaftID)) {
			return m, true
		}
	}
	if len(voters) > 0 {
		return n.state.member(voters[0])
	}
	if !vote { // an observer that is away holds nobody up
		for _, m := range n.state.members {
			if m.ServerID == server && m.Observer {
				return m, true
			}
		}
	}
	return peer.Member{}, false
}

// difference is the change from the present members to next.
func (n *Node) difference(next []peer.Member) *pb.ConfChangeV2 {
	cc := &pb.ConfChangeV2{}
	add := func(t pb.ConfChangeType, m peer.Member) {
		cc.Changes = append(cc.Changes, &pb.ConfChangeSingle{Type: t.Enum(), NodeId: &m.RaftID})
		if t != pb.ConfChangeRemoveNode {
			cc.Context = appendMember(cc.Context, m)
		}
	}
	for _, m := range next {
		was, _ := n.state.member(m.RaftID)
		switch {
		case !m.Observer && was.Learner:
			add(pb.ConfChangeAddNode, m)
		case m.Observer && !was.Learner:
			add(pb.ConfChangeAddLearnerNode, m)
		case m != was:
			add(pb.ConfChangeUpdateNode, m)
		}
	}
	for i := range n.state.members {
		m := n.state.members[i]
		if slices.ContainsFunc(next, func(k peer.Member) bool { return k.RaftID == m.RaftID }) {
			continue
		}
		if i := slices.IndexFunc(next, func(k peer.Member) bool { return k.ServerID == m.ServerID }); i >= 0 {
			if id := next[i].RaftID; m.Learner && id != n.cfg.RaftID && !n.heardOf(id) {
				continue // it may be about to take its lost predecessor's place
			}
		} else if n.isGuest(&m) {
			continue
		}
		add(pb.ConfChangeRemoveNode, m)
	}
	return cc
}
