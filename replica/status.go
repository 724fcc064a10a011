package replica

import (
	"context"
	"fmt"
	"time"

	"gopherwood/internal/node"
)

// Status is a replica's account of itself.
type Status struct {
	RaftID, Origin  uint64
	Leadership      Leadership
	Role            string // "leader", "follower", "candidate", "learner", or "forming"
	Applied, Commit uint64 // indexes
	LastIndex       uint64
	SnapshotIndex   uint64 // of the newest snapshot on this member's disk
	LogBytes        int64  // since that
	TimeMs          int64  // stamp of the last applied batch
	Commands        uint64 // applied since the start
	Pending         int    // commands of this server that are not applied yet
	Members         []MemberStatus
	// Joint is true while one set of voters takes over from another: until it ends, a majority of both is needed, and the disk
	// of nobody in the old set may be given up.
	Joint bool
	// Ensemble is the number of the ensemble, 0 before there is one.
	Ensemble uint64
	// Forming is not empty while the server has not found its ensemble yet, and says what it waits for.
	Forming string
	// SnapshotError is why the last attempt to write a snapshot failed; empty if it did not.
	SnapshotError string
	// DiskFull is true while writes wait for space.
	DiskFull bool
}

// MemberStatus is what the leader knows of a member; on other members only Member and Connected are set.
type MemberStatus struct {
	Member
	Connected bool
	Match     uint64 // index up to which its log is known to agree with the leader's
	Active    bool   // answered within the last election timeout
}

// Status is this member's account of itself and, on the leader, of the others. It is for people: it waits for the loop, a second at most.
func (r *Replica) Status() Status {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s, err := ask(ctx, r, func() Status {
		if r.node == nil {
			return Status{}
		}
		of := r.node.Status()
		s := statusOf(&of)
		if _, _, err := r.node.SnapshotStatus(); err != nil {
			s.SnapshotError = err.Error()
		}
		s.Ensemble = r.identity.ClusterID
		s.DiskFull = r.writer.noSpace.Load()
		return s
	})
	if err != nil || s.RaftID == 0 {
		if f := r.status.Load(); f != nil {
			return *f
		}
	}
	for i := range s.Members {
		if m := &s.Members[i]; m.PeerAddr == "" {
			m.PeerAddr = r.cfg.Peers[m.ServerID]
		}
	}
	return s
}

func statusOf(of *node.Status) Status {
	s := Status{
		RaftID: of.RaftID, Origin: of.Origin, Leadership: Leadership(of.Leadership), Role: of.Role, Applied: of.Applied, Commit: of.Commit,
		LastIndex: of.LastIndex, SnapshotIndex: of.SnapshotIndex, LogBytes: of.LogBytes, TimeMs: of.TimeMs, Commands: of.Commands,
		Pending: of.Pending, Joint: of.Joint, Members: make([]MemberStatus, 0, len(of.Members)),
	}
	for _, m := range of.Members {
		s.Members = append(s.Members, MemberStatus{Member: Member(m.Member), Connected: m.Connected, Match: m.Match, Active: m.Active})
	}
	return s
}

// ServerID is Config.ServerID.
func (r *Replica) ServerID() uint16 { return r.cfg.ServerID }

// Machine is the Go type of the state machine, for people.
func (r *Replica) Machine() string { return fmt.Sprintf("%T", r.sm) }
