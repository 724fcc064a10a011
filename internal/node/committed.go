package node

import pb "go.etcd.io/raft/v3/raftpb"

// A server that lost power may go by an older configuration than the others: raft makes a change of members count when it is applied, and how far the log is
// committed need not be durable. If it is the only voter that is left, it asks those that were voters, they refuse it for the entries that it has
// not got and that were never committed, and they may not stand themselves: nobody would ever lead again. So whoever refuses a vote says how
// far it knows the log to be committed, and a candidate that has that very entry takes its word. (TiKV's raft has it under the name of commit by vote.)

// asked is the last request for a vote, for the refusal that may follow.
type asked struct{ from, last uint64 }

// addCommitted puts into a refusal what is known to be committed of the log that the candidate has: the index as Commit, its entry's term as LogTerm.
func (n *Node) addCommitted(m *pb.Message) {
	if t := m.GetType(); t != pb.MsgPreVoteResp && t != pb.MsgVoteResp || !m.GetReject() || m.GetTo() != n.asked.from {
		return
	}
	// What is applied is on this disk and can't be overwritten any more. What is only known to be committed may stand in a write under way, over another
	// entry of that index, which the log would name.
	index := min(n.applied.index, n.asked.last)
	term, err := n.storage.Term(index)
	if err != nil || term == 0 {
		return // compacted: whoever is so far behind gets a snapshot
	}
	m.Commit, m.LogTerm = &index, &term
}

// learnCommitted takes a refusal's word for what is committed. Raft has no call for that: it gets it as a heartbeat, and forgets at once whose.
func (n *Node) learnCommitted(m *pb.Message) {
	index := m.GetCommit()
	if !m.GetReject() || n.lead != 0 || index <= n.hard.GetCommit() {
		return
	}
	if len(n.appending) > 0 || n.raw.HasReady() {
		return // raft's log is ahead of the one on disk, which is looked at here; the next refusal may find them equal
	}
	last, err := n.storage.LastIndex()
	if err != nil || index > last {
		return
	}
	if term, err := n.storage.Term(index); err != nil || term != m.GetLogTerm() {
		return // another entry: this one was not committed
	}
	status := n.raw.BasicStatus()
	if index <= status.GetCommit() || status.Lead != 0 {
		return
	}
	n.log.Info("another member knows more of this log to be committed", "from", m.GetFrom(), "committed", index)
	term := status.GetTerm()
	n.step(&pb.Message{Type: pb.MsgHeartbeat.Enum(), From: m.From, To: &n.cfg.RaftID, Term: &term, Commit: &index})
	if err := n.raw.ForgetLeader(); err != nil {
		n.log.Error("a leader that is none can't be forgotten", "error", err)
	}
}
