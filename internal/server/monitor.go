package server

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"gopherwood/internal/node"
	"gopherwood/internal/watch"
	"gopherwood/replica"
	"gopherwood/zk"
)

// view is what people ask of the tree, taken under one read lock.
type view struct {
	zxid, size                  int64
	nodes, ephemerals, sessions int
}

func (s *Server) view() view {
	s.treeMu.RLock()
	defer s.treeMu.RUnlock()
	t := s.tree
	return view{t.LastZxid(), t.ApproximateDataSize(), t.NodeCount(), t.EphemeralCount(), t.SessionCount()}
}

func (s *Server) watchCounts() watch.Counts {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	return s.watches.Counts()
}

// Mode is what srvr calls the server's role: standalone, leader, follower, observer read-only or, without a leader, looking.
func (s *Server) Mode() string {
	leader := s.leader.Load()
	switch {
	case len(s.cfg.Members) <= 1:
		return "standalone"
	case s.isReadOnly():
		return "read-only"
	case leader == 0:
		return "looking"
	case uint64(node.ServerOf(leader)) == s.cfg.ID:
		return "leader"
	case s.rep.Status().Role == "learner":
		return "observer" // has no vote: it joined instead of a server that lost its disk, and is catching up
	}
	return "follower"
}

// IsReady says whether the server takes requests: a leader is known, and this server has caught up with it. Load balancers ask /readyz.
func (s *Server) IsReady() bool { return s.isServing(0) && !s.draining.Load() }

// sample is one figure of mntr.
type sample struct {
	name  string
	value any // int64, int, float64, string or summary
	kind  sampleKind
	help  string
}

type sampleKind uint8

const (
	gauge sampleKind = iota
	counter
	text // not for Prometheus
)

// monitor is the server's figures under ZooKeeper's names (ZooKeeperServer.registerMetrics, ServerMetrics).
func (s *Server) monitor() []sample {
	st := &s.stats
	v, w := s.view(), s.watchCounts()
	open, limit := descriptors()
	low, avg, high := s.times()
	all := []sample{
		{"version", s.fullVersion(), text, ""},
		{"server_state", s.Mode(), text, ""},
		{"avg_latency", avg, gauge, "Mean time from a request to its reply, in ms."},
		{"max_latency", high, gauge, "Longest time from a request to its reply, in ms."},
		{"min_latency", low, gauge, "Shortest time from a request to its reply, in ms."},
		{"packets_received", st.received.Load(), counter, "Requests received from clients."},
		{"packets_sent", st.sent.Load(), counter, "Replies and events sent to clients."},
		{"num_alive_connections", s.connCount.Load(), gauge, "Client connections."},
		{"outstanding_requests", s.outstanding.Load(), gauge, "Writes and syncs that are not answered yet."},
		{"uptime", s.now() / 1e6, gauge, "Time since the server started, in ms."},
		{"znode_count", v.nodes, gauge, "Znodes."},
		{"watch_count", w.Watches, gauge, "Watches of this server's clients."},
		{"ephemerals_count", v.ephemerals, gauge, "Ephemeral znodes."},
		{"approximate_data_size", v.size, gauge, "Bytes of all paths and data."},
		{"global_sessions", v.sessions, gauge, "Sessions of the ensemble."},
		{"local_sessions", 0, gauge, "Always 0: every session is global."},
		{"open_file_descriptor_count", open, gauge, "Open file descriptors of the process."},
		{"max_file_descriptor_count", limit, gauge, "Limit of open file descriptors."},
		{"auth_failed_count", st.authFails.Load(), counter, "Failed authentications."},
		{"connection_drop_count", st.dropped.Load(), counter, "Connections that ended without closing their session."},
		{"unsuccessful_handshake", st.tlsFails.Load(), counter, "Connections that failed in the TLS handshake."},
		{"tls_handshake_exceeded", st.tlsExceeded.Load(), counter, "Connections turned away because too many TLS handshakes were under way."},
		{"outstanding_tls_handshake", s.tlsHandshakes.Load(), gauge, "TLS handshakes under way."},
		{"connection_rejected", st.rejected.Load(), counter, "Connections turned away: too many, or no leader."},
		{"connection_request_count", st.accepted.Load(), counter, "Connections accepted."},
		{"bytes_received_count", st.recvBytes.Load(), counter, "Bytes received from clients."},
		{"response_bytes", st.sentBytes.Load(), counter, "Bytes sent to clients."},
		{"stale_sessions_expired", st.expired.Load(), counter, "Sessions expired, as this server has applied it."},
		{"reaped_nodes", st.reaped.Load(), counter, "Container and TTL znodes deleted because they were due."},
		{"last_zxid", v.zxid, gauge, "Zxid of the last transaction that this server has applied."},
	}
	lastReply, minReply, maxReply := st.replies.get()
	reads, writes := s.latencies()
	all = append(all,
		sample{"last_client_response_size", lastReply, gauge, "Bytes of the last reply, -1 if there was none."},
		sample{"min_client_response_size", minReply, gauge, "Bytes of the smallest reply."},
		sample{"max_client_response_size", maxReply, gauge, "Bytes of the largest reply."},
		sample{"commit_count", st.applied.Load(), counter, "Commands that this server has applied."},
		sample{"proposal_count", st.applied.Load(), counter, "Commands that this server has applied."},
		sample{"ensemble_auth_success", st.ensembleOK.Load(), counter, "Clients that asked for this ensemble by name."},
		sample{"ensemble_auth_fail", st.ensembleFail.Load(), counter, "Clients that asked for another."},
		sample{"ensemble_auth_skip", st.ensembleSkip.Load(), counter, "Clients that asked for none."},
		sample{"looking_count", st.looked.Load(), counter, "Times that no leader was known any more."},
		sample{"sessionless_connections_expired", st.lateHands.Load(), counter, "Connections closed because they got no session in time."},
		sample{"snapshot_error_count", st.snapErrors.Load(), counter, "Snapshots over the admin port that failed."},
		sample{"snapshot_rate_limited_count", st.snapLimited.Load(), counter, "Snapshots over the admin port that were asked for too often."},
		sample{"restore_error_count", st.restoreErrors.Load(), counter, "Restores over the admin port that failed."},
		sample{"restore_rate_limited_count", st.restoreLimited.Load(), counter, "Restores over the admin port that were asked for too often."},
		sample{"watch_bytes", st.eventBytes.Load(), counter, "Bytes of watch events sent to clients."},
		sample{"readlatency", reads.summarized(), gauge, "Time from a read to its reply, in ms."},
		sample{"updatelatency", writes.summarized(), gauge, "Time from a write to its reply, in ms."},
		sample{"election_time", st.elections.basic(), gauge, "Time without a leader, in ms."},
		sample{"snapshottime", st.snapshots.basic(), gauge, "Time to write a snapshot, in ms."},
		sample{"restore_time", st.restores.basic(), gauge, "Time of a restore over the admin port, in ms."},
		sample{"fsynctime", st.syncs.basic(), gauge, "Time to write and sync a batch of the log, in ms."},
		sample{"node_created_watch_count", st.fired[zk.EventNodeCreated].summarized(), gauge, "Watches that one creation has fired."},
		sample{"node_deleted_watch_count", st.fired[zk.EventNodeDeleted].summarized(), gauge, "Watches that one deletion has fired."},
		sample{"node_changed_watch_count", st.fired[zk.EventNodeDataChanged].summarized(), gauge, "Watches that one change has fired."},
		sample{"node_children_watch_count", st.fired[zk.EventNodeChildrenChanged].summarized(), gauge, "Watches that one change of a child list has fired."},
	)
	all = append(all, s.quotaSamples()...)
	all = append(all, s.throttleSamples()...)
	return withNever(append(all, s.quorum()...))
}

// quorum is the figures that come from the replica.
func (s *Server) quorum() []sample {
	if !s.ready.Load() {
		return nil
	}
	st := s.rep.Status()
	all := []sample{
		{"quorum_size", max(1, voters(&st)), gauge, "Voting members of the ensemble."},
		{"raft_term", int64(st.Leadership.Term), gauge, "Raft term."},
		{"raft_commit_index", int64(st.Commit), gauge, "Raft index up to which the log is committed."},
		{"raft_applied_index", int64(st.Applied), gauge, "Raft index up to which this server has applied the log."},
		{"raft_log_bytes", st.LogBytes, gauge, "Bytes of log since the last snapshot."},
	}
	if len(s.cfg.Members) > 0 {
		all = append(all, sample{"peer_state", s.peerState(), text, ""},
			sample{"synced_observers", syncedObservers(&st), gauge, "Observers that have what the leader has committed, or nearly."})
	}
	if s.Mode() != "leader" {
		return all
	}
	known, synced := followers(&st)
	lastSize, minSize, maxSize := s.stats.proposals.get()
	return append(all,
		sample{"learners", known, gauge, "Other members."},
		sample{"synced_followers", synced, gauge, "Other members that have what the leader has committed, or nearly."},
		sample{"synced_non_voting_followers", 0, gauge, "Always 0: a follower without a vote is an observer."},
		sample{"last_proposal_size", lastSize, gauge, "Bytes of the last command, -1 if there was none."},
		sample{"min_proposal_size", minSize, gauge, "Bytes of the smallest command."},
		sample{"max_proposal_size", maxSize, gauge, "Bytes of the largest command."},
		sample{"pending_syncs", 0, gauge, "Always 0: a sync does not wait at the leader."},
		sample{"leader_uptime", s.leadingFor().Milliseconds(), gauge, "Time since this server began to lead, in ms."},
	)
}

func voters(st *replica.Status) (n int) {
	for _, m := range st.Members {
		if !m.Learner {
			n++
		}
	}
	return n
}

// syncedObservers counts the learners that keep up, as far as this server knows.
func syncedObservers(st *replica.Status) (n int) {
	for _, m := range st.Members {
		if m.Learner && m.Active && m.Match+syncedLag >= st.Commit {
			n++
		}
	}
	return n
}

// peerState is the server's role and phase as ZooKeeper's QuorumPeer shows them.
func (s *Server) peerState() string {
	mode := s.Mode()
	switch mode {
	case "looking":
		return mode + " - election"
	case "leader":
		return "leading - broadcast"
	case "observer":
		return "observing - broadcast"
	}
	return "following - broadcast"
}

// syncedLag is how many entries a follower may be behind and still count as synced.
const syncedLag = 1000

// followers counts the other members, and those of them that keep up.
func followers(st *replica.Status) (known, synced int) {
	for _, m := range st.Members {
		if m.RaftID == st.RaftID {
			continue
		}
		known++
		if m.Active && m.Match+syncedLag >= st.Commit {
			synced++
		}
	}
	return known, synced
}

// buildDate is when the sources of this binary were committed, for people who compare versions.
var buildDate = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, kv := range info.Settings {
			if t, err := time.Parse(time.RFC3339, kv.Value); kv.Key == "vcs.time" && err == nil {
				return t.UTC().Format("2006-01-02 15:04 MST")
			}
		}
	}
	return "an unknown date with " + runtime.Version()
})
