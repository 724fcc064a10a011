package node

import (
	"encoding/binary"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Replicas compare their states. Now and then the leader puts a check into the log: an entry whose only segment has origin 0 and
// carries the digest that the leader's state had at the check before. Every replica remembers its own digest of that place and compares. One that
// differs reports it (Host.Diverged) and must not serve any more; which side is wrong is for a person to find out, so nothing is
// thrown away.
type digests struct {
	index  uint64 // of the last check that was applied
	digest uint64 // of the state at that index
	at     uint64 // commands applied when the leader made its last check
}

// digestTicks is the time between checks.
const digestTicks = 250

// checkOrigin marks the segment of a check; no server has number 0.
const checkOrigin = 0

// DivergedError says that this replica's state is not the leader's.
type DivergedError struct {
	Index         uint64 // of the log
	Mine, Leaders uint64 // digests of the state there
}

// Error names the place and both digests, and says what to do.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("node: the state at index %d has digest %016x here and %016x at the leader: this replica or the leader is wrong; "+
		"compare the members' digests, and let the odd one rejoin with an empty data directory", e.Index, e.Mine, e.Leaders)
}

// proposeCheck makes a check if there is something new to compare.
func (n *Node) proposeCheck() {
	if n.digester == nil || !n.intake.ready || n.commands == n.digests.at {
		return
	}
	n.digests.at = n.commands
	data := binary.LittleEndian.AppendUint64([]byte{8}, n.digests.digest)
	s := segment{origin: checkOrigin, first: max(n.digests.index, 1), count: 1, data: data}
	b := appendSegment(appendBatchHeader(nil, max(n.nowMs, n.intake.lastMs)), &s)
	if err := n.raw.Step(&pb.Message{Type: pb.MsgProp.Enum(), From: &n.cfg.RaftID, Entries: []*pb.Entry{{Data: b}}}); err == nil {
		n.intake.inflight++
	}
}

// applyCheck compares and then remembers the digest of this place. A replica that was restored since the check before has nothing to compare.
func (n *Node) applyCheck(index uint64, s *segment) {
	if n.digester == nil || len(s.data) != 9 {
		return
	}
	if theirs := binary.LittleEndian.Uint64(s.data[1:]); s.first == n.digests.index && theirs != n.digests.digest {
		n.host.Diverged(&DivergedError{Index: s.first, Mine: n.digests.digest, Leaders: theirs})
	}
	n.digests.index, n.digests.digest = index, n.digester.Digest()
}
