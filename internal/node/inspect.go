package node

import pb "go.etcd.io/raft/v3/raftpb"

// ConfState is raft's configuration as of the last applied change; while one configuration takes over from another, it has both. It is not to be changed.
func (n *Node) ConfState() *pb.ConfState { return n.confState }

// QuorumConnected says whether this member and those it is connected with can elect a leader.
func (n *Node) QuorumConnected() bool { return n.quorumConnected() }
