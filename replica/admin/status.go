package admin

import (
	"runtime"
	"time"

	"gopherwood/replica"
)

// Status is a member's account of itself, and of the others as far as it knows.
type Status struct {
	Server   uint16 `json:"server"`
	RaftID   string `json:"raft_id"`  // hexadecimal
	Ensemble string `json:"ensemble"` // hexadecimal; empty before it is formed
	Role     string `json:"role"`
	Leader   uint16 `json:"leader,omitempty"` // server id; 0: none is known
	Leads    bool   `json:"leads"`            // this member, and it has applied an entry of its term
	Term     uint64 `json:"term"`
	Applied  uint64 `json:"applied"`
	Commit   uint64 `json:"commit"`
	Last     uint64 `json:"last"`     // index of the log's last entry
	Snapshot uint64 `json:"snapshot"` // index of the newest snapshot
	LogBytes int64  `json:"log_bytes"`
	Commands uint64 `json:"commands"` // applied since the start
	Pending  int    `json:"pending"`
	Joint    bool   `json:"joint,omitempty"`
	Forming  string `json:"forming,omitempty"`
	Machine  string `json:"machine"` // Go type of the state machine

	Phase       string  `json:"phase"` // of the start
	Done        int64   `json:"done,omitempty"`
	Total       int64   `json:"total,omitempty"`
	LeftSeconds float64 `json:"left_seconds,omitempty"`

	DiskFull      bool   `json:"disk_full,omitempty"`
	SnapshotError string `json:"snapshot_error,omitempty"`
	Stopped       string `json:"stopped,omitempty"` // why, if the replica has stopped

	ClockMs int64    `json:"clock_ms"` // this server's, when it was asked
	Go      string   `json:"go"`
	Members []Member `json:"members"`
}

// Member is one of the ensemble.
type Member struct {
	Server     uint16 `json:"server"`
	RaftID     string `json:"raft_id"`
	Kind       string `json:"kind"` // "voter", "observer" or "guest"
	PeerAddr   string `json:"peer_addr,omitempty"`
	ClientAddr string `json:"client_addr,omitempty"`
	Connected  bool   `json:"connected"`
	Active     bool   `json:"active"` // known to the leader only
	Match      uint64 `json:"match"`  // likewise
}

// statusOf asks a replica.
func statusOf(r *replica.Replica) *Status {
	s, p := r.Status(), r.Progress()
	out := &Status{
		Server: r.ServerID(), RaftID: hex(s.RaftID), Role: s.Role, Leader: uint16(s.Leadership.Leader >> 48), Leads: s.Leadership.Mine, Term: s.Leadership.Term,
		Applied: s.Applied, Commit: s.Commit, Last: s.LastIndex, Snapshot: s.SnapshotIndex, LogBytes: s.LogBytes, Commands: s.Commands,
		Pending: s.Pending, Joint: s.Joint, Forming: s.Forming, Machine: r.Machine(), Phase: p.Phase.String(), Done: p.Done, Total: p.Total,
		LeftSeconds: p.Left.Seconds(), DiskFull: s.DiskFull, SnapshotError: s.SnapshotError, ClockMs: time.Now().UnixMilli(), Go: runtime.Version(),
	}
	if s.Ensemble != 0 {
		out.Ensemble = hex(s.Ensemble)
	}
	if err := r.Err(); err != nil {
		out.Stopped = err.Error()
	}
	for _, m := range s.Members {
		kind := "voter"
		switch {
		case m.Observer:
			kind = "observer"
		case m.Learner:
			kind = "guest"
		}
		out.Members = append(out.Members, Member{
			Server: m.ServerID, RaftID: hex(m.RaftID), Kind: kind, PeerAddr: m.PeerAddr, ClientAddr: m.ClientAddr,
			Connected: m.Connected, Active: m.Active, Match: m.Match,
		})
	}
	return out
}
