package admin

import (
	"fmt"
	"net/http"
	"strings"
)

// metrics writes the figures in Prometheus's text format. It is done by hand because they are few, and a service that embeds package replica
// may have a registry of its own, or none.
func (h *handler) metrics(w http.ResponseWriter, _ *http.Request) {
	s := statusOf(h.r)
	var b strings.Builder
	one := func(kind, name, help string, value any) {
		fmt.Fprintf(&b, "# HELP replica_%s %s\n# TYPE replica_%s %s\nreplica_%s %v\n", name, help, name, kind, name, value)
	}
	one("gauge", "leader", "1 on the leader once it has applied an entry of its term", bit(s.Leads))
	one("gauge", "has_leader", "1 while a leader is known", bit(s.Leader != 0))
	one("gauge", "term", "raft's term", s.Term)
	one("gauge", "applied_index", "index of the last applied entry", s.Applied)
	one("gauge", "commit_index", "index of the last entry that is known to be committed", s.Commit)
	one("gauge", "last_index", "index of the last entry of the log", s.Last)
	one("gauge", "snapshot_index", "index of the newest snapshot", s.Snapshot)
	one("gauge", "log_bytes", "bytes of log since the newest snapshot", s.LogBytes)
	one("counter", "commands_total", "commands applied since the start", s.Commands)
	one("gauge", "pending_commands", "commands of this server that are not applied yet", s.Pending)
	one("gauge", "running", "1 when all that the log held at the start is applied", bit(s.Phase == "running"))
	one("gauge", "disk_full", "1 while writes wait for space", bit(s.DiskFull))
	one("gauge", "snapshot_failed", "1 if the last attempt to write a snapshot failed", bit(s.SnapshotError != ""))
	one("gauge", "stopped", "1 when the replica has stopped", bit(s.Stopped != ""))
	fmt.Fprintf(&b, "# HELP replica_member_connected 1 for members that this one is connected with\n# TYPE replica_member_connected gauge\n")
	for _, m := range s.Members {
		fmt.Fprintf(&b, "replica_member_connected{server=\"%d\",kind=%q} %d\n", m.Server, m.Kind, bit(m.Connected))
	}
	if s.Leads {
		fmt.Fprintf(&b, "# HELP replica_member_lag entries that a member's log is behind the leader's\n# TYPE replica_member_lag gauge\n")
		for _, m := range s.Members {
			fmt.Fprintf(&b, "replica_member_lag{server=\"%d\",kind=%q} %d\n", m.Server, m.Kind, s.Last-min(s.Last, m.Match))
		}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write([]byte(b.String())) // the client may have gone
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
