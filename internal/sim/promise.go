package sim

import (
	pb "go.etcd.io/raft/v3/raftpb"
)

// vote is a member's in a term.
type vote struct{ member, term uint64 }

// promised checks, as a raft message leaves a server, that the server can keep what it says: the term that it speaks for, the vote that
// it gives and the entries that it says it has are durable on its disk. And nobody votes twice in a term, whatever happened between.
func (g *ghost) promised(p *process, m *pb.Message) {
	if g.sim.o.Blind {
		return
	}
	d := &p.srv.mirror.durable
	switch m.GetType() {
	case pb.MsgVoteResp:
		if !m.GetReject() {
			key := vote{p.raftID, m.GetTerm()}
			if was, known := g.votes[key]; known && was != m.GetTo() {
				g.sim.fail("server %d votes for %x in term %d, and has voted for %x", p.srv.id, m.GetTo(), m.GetTerm(), was)
			}
			g.votes[key] = m.GetTo()
			if d.term == m.GetTerm() && d.vote != m.GetTo() {
				g.sim.fail("server %d votes for %x in term %d, and on its disk is a vote for %x", p.srv.id, m.GetTo(), m.GetTerm(), d.vote)
			}
		}
	case pb.MsgAppResp: // one of an earlier term may speak of entries that were replaced in the same write
		if !m.GetReject() && m.GetIndex() > d.last() && m.GetTerm() == d.term {
			g.sim.fail("server %d says that it has the log up to %d, and on its disk it ends at %d", p.srv.id, m.GetIndex(), d.last())
		}
	case pb.MsgVote, pb.MsgApp, pb.MsgHeartbeat:
		if d.term == m.GetTerm() && d.vote != p.raftID {
			g.sim.fail("server %d leads term %d, and on its disk is a vote for %x", p.srv.id, m.GetTerm(), d.vote)
		}
	default:
		return
	}
	if m.GetTerm() > d.term {
		g.sim.fail("server %d speaks for term %d (%v), and on its disk is term %d", p.srv.id, m.GetTerm(), m.GetType(), d.term)
	}
}
