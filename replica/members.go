package replica

import (
	"context"
	"maps"
	"net"
	"slices"
	"time"

	"gopherwood/internal/node"
	"gopherwood/internal/peer"
)

// book is where the servers are: those of the configuration, the members, whose addresses may be newer, and strangers who have said where they
// are, so that they can be answered. It belongs to the loop goroutine.
type book struct {
	members   map[uint16]string
	strangers map[uint16]string
	deafOn    string // the port of this server's that cannot be had
}

// peers are all addresses that are known.
func (r *Replica) peers() map[uint16]string {
	all := maps.Clone(r.cfg.Peers)
	for _, more := range []map[uint16]string{r.book.strangers, r.book.members} {
		maps.Copy(all, more)
	}
	return all
}

// introduction is what this server's probes say of members: those who formed its ensemble; before that, with whom it would form one, and where it
// is itself, so that it can be answered.
func (r *Replica) introduction() []peer.Member {
	if r.identity.formed() {
		return membersOf(r.identity.Bootstrap)
	}
	var members []peer.Member
	for _, server := range slices.Sorted(maps.Keys(r.cfg.Peers)) {
		m := peer.Member{ServerID: server, Observer: r.cfg.observes(server)}
		if server == r.cfg.ServerID {
			m.RaftID, m.PeerAddr = r.identity.RaftID, r.cfg.Peers[server]
		}
		members = append(members, m)
	}
	return members
}

// agrees says whether a server that has no ensemble yet would form one with the same servers as this one.
func (r *Replica) agrees(p *peer.Probe) bool {
	voters := 0
	for _, m := range p.Members {
		if m.Observer {
			continue
		}
		if _, ok := r.cfg.Peers[m.ServerID]; !ok || r.cfg.observes(m.ServerID) {
			return false
		}
		voters++
	}
	return voters == r.cfg.voters()
}

// meet notes where a server says it is, if nobody has said so before. It is called on the transport's goroutines.
func (r *Replica) meet(from uint64, told []peer.Member) {
	server := node.ServerOf(from)
	i := slices.IndexFunc(told, func(m peer.Member) bool { return m.RaftID == from && m.PeerAddr != "" })
	if _, ok := r.cfg.Peers[server]; ok || server == 0 || i < 0 || r.transport.Knows(server, told[i].PeerAddr) {
		return
	}
	addr := told[i].PeerAddr
	r.call(func() {
		if _, ok := r.book.members[server]; ok {
			return
		}
		if _, ok := r.book.strangers[server]; !ok && len(r.book.strangers) >= maxStrangers {
			r.log.Warn("too many servers that are no members ask for this ensemble; this one is not answered", "server", server, "addr", addr)
			return
		}
		if r.book.strangers == nil {
			r.book.strangers = make(map[uint16]string)
		}
		r.book.strangers[server] = addr
		r.transport.SetPeers(r.peers())
	}, nil)
}

// membersChanged brings the book up to the members.
func (r *Replica) membersChanged(members []peer.Member) {
	r.log.Info("the members are now", "members", members)
	r.book.members = make(map[uint16]string, len(members))
	for _, m := range members {
		if m.PeerAddr != "" {
			r.book.members[m.ServerID] = m.PeerAddr
			delete(r.book.strangers, m.ServerID)
		}
	}
	if r.transport != nil {
		r.transport.SetPeers(r.peers())
	}
	r.followPort()
}

// followPort listens on the port that the ensemble has for this server, if a reconfiguration has changed it. Until that succeeds the others can't
// connect, and so it is tried again.
func (r *Replica) followPort() {
	port := portOf(r.book.members[r.cfg.ServerID])
	if r.transport == nil || !r.cfg.ownPort || port == "" || port == r.listening {
		return
	}
	host, _, err := net.SplitHostPort(r.cfg.Listen)
	if err == nil {
		err = r.transport.Relisten(net.JoinHostPort(host, port))
	}
	if err != nil {
		if r.book.deafOn != port { // told once
			r.book.deafOn = port
			r.log.Error("the port for the other servers was changed by a reconfig, and cannot be had; free it, or change it back", "port", port, "error", err)
		}
		return
	}
	r.log.Info("the port for the other servers was changed by a reconfig", "from", r.listening, "to", port)
	r.listening, r.book.deafOn = port, ""
}

// portOf is the port of host:port; "" of anything else.
func portOf(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	return port
}

// askToJoin asks everybody to be let in: when this server is no member, and now and then when it has been without a leader for long, for it may have
// been removed and not know. Only the leader acts on it.
func (r *Replica) askToJoin() {
	if r.node.Leadership().Leader != 0 {
		r.leaderTick = r.tick
	}
	isMember := slices.ContainsFunc(r.node.State().Members(), func(m peer.Member) bool { return m.RaftID == r.identity.RaftID })
	if isMember && r.tick-r.leaderTick < uint64(joinAnyway/r.cfg.Tick) {
		return
	}
	me := peer.Member{
		ServerID: r.cfg.ServerID, RaftID: r.identity.RaftID, PeerAddr: r.cfg.Peers[r.cfg.ServerID], Learner: true, Observer: r.cfg.observes(r.cfg.ServerID),
	}
	for server := range r.peers() {
		if server != r.cfg.ServerID {
			r.transport.Send(server, &peer.Message{Kind: peer.KindJoin, From: r.identity.RaftID, Join: peer.Join{Member: me}})
		}
	}
}

// Reconfigure makes target the ensemble, all of it, and waits until the change is complete: a server that is a member and not named leaves, except for guests,
// who may stay. Of each member of target ServerID, PeerAddr, ClientAddr and Observer count; empty addresses stay as they were. The servers that are to become
// voters must have joined and caught up (start them with an empty directory, with this ensemble in their Peers, and they follow as guests), so that the
// change itself is quick; a majority of them must be there, or the error is a *NotSyncedError.
//
// Only the leader can do it: others, and a leader that is to leave and therefore hands leadership over, return a *NotLeaderError. If ctx ends first the
// change may be made all the same.
func (r *Replica) Reconfigure(ctx context.Context, target []Member) error {
	begun := make(chan error, 1)
	r.BeginReconfigure(target, func(err error) { begun <- err })
	return r.changed(ctx, begun)
}

// ChangeMembers is Reconfigure to what change makes of the present ensemble, which has each server once, and no guests. Nobody else's change comes in
// between. change is called on the loop goroutine and must not block; if it returns an error nothing is done.
func (r *Replica) ChangeMembers(ctx context.Context, change func(present []Member) ([]Member, error)) error {
	begun := make(chan error, 1)
	r.call(func() {
		if r.node == nil || !r.node.Leadership().Mine {
			begun <- r.notLeader()
			return
		}
		target, err := change(r.ensemble())
		if err == nil {
			err = r.reconfigure(target)
		}
		begun <- err
	}, func() { begun <- ErrClosed })
	return r.changed(ctx, begun)
}

// ensemble is every server that is not a guest, once: as a voter if one of its incarnations is. Loop goroutine.
func (r *Replica) ensemble() []Member {
	var all []Member
	for _, voters := range []bool{true, false} {
		for _, m := range r.node.State().Members() {
			known := slices.ContainsFunc(all, func(k Member) bool { return k.ServerID == m.ServerID })
			if m.Learner != voters && !known && (voters || m.Observer) {
				all = append(all, Member(m))
			}
		}
	}
	return all
}

// changed waits until a change of members has begun, and then until it is complete.
func (r *Replica) changed(ctx context.Context, begun <-chan error) error {
	select {
	case err := <-begun:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	poll := time.NewTicker(r.cfg.Tick)
	defer poll.Stop()
	for {
		complete, err := ask(ctx, r, func() bool { return r.node.Changed() })
		if complete || err != nil {
			return err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// BeginReconfigure is the first half of Reconfigure. done is told on the loop goroutine, or on another when the replica is closed, whether the change is
// proposed; MembersObserver says when it is made.
func (r *Replica) BeginReconfigure(target []Member, done func(error)) {
	r.call(func() {
		if r.node == nil {
			done(r.notLeader())
			return
		}
		done(r.reconfigure(target))
	}, func() { done(ErrClosed) })
}

// reconfigure is node's on the loop goroutine. Once somebody has said who the members are, a restored server no longer does so by itself (reform).
func (r *Replica) reconfigure(target []Member) error {
	err := r.node.Reconfigure(peerMembers(target))
	if err == nil {
		r.shaped = true
	}
	return r.explained(err)
}

// ToMember sends a datagram to the MessageHandler of a member, by its raft id, best effort; data becomes the replica's.
func (r *Replica) ToMember(to uint64, data []byte) {
	r.call(func() {
		if r.node != nil {
			r.node.ToMember(to, data)
		}
	}, nil)
}
