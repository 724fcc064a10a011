package peer

import (
	"encoding/binary"
	"fmt"
	"iter"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Kind says what a Message carries. Zero is no kind.
type Kind uint8

// The kinds. Their numbers are on the wire.
const (
	KindRaft       Kind = 1 // Message.Raft
	KindOrigin     Kind = 2 // Message.Origin: commands towards the leader, or an acknowledgement from it
	KindApp        Kind = 3 // Message.App: a datagram of the state machine above
	KindProbe      Kind = 4 // Message.Probe: the sender's view of the ensemble, asking for the receiver's
	KindProbeReply Kind = 5 // Message.Probe: the answer
	KindJoin       Kind = 6 // Message.Join: the sender asks to be made a member
	KindJoinReply  Kind = 7 // Message.Join: the answer
)

var kindNames = [...]string{KindRaft: "raft", KindOrigin: "origin", KindApp: "app", KindProbe: "probe",
	KindProbeReply: "probe reply", KindJoin: "join", KindJoinReply: "join reply"}

func (k Kind) valid() bool { return k >= KindRaft && k <= KindJoinReply }

// String is the kind's name, for logs.
func (k Kind) String() string {
	if k.valid() {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Message is what one member says to another. Only the field that Kind names is encoded.
type Message struct {
	Kind Kind
	From uint64      // raft id of the sender; 0 while it has none
	To   uint64      // raft id of the receiver; 0 when the sender does not know it, as in a probe
	Raft *pb.Message // not nil for KindRaft. A MsgSnap's Snapshot has metadata and no Data: the file travels by SendSnapshot

	Origin OriginBatch
	App    []byte
	Probe  Probe
	Join   Join
}

// OriginBatch is a run of one origin's commands on their way to the leader, or, with no commands, the leader's
// acknowledgement on its way back.
type OriginBatch struct {
	Origin uint64 // raft id of the server whose stream this is
	First  uint64 // number of the first command
	Count  uint32 // commands in Data
	Data   []byte // Count times an uvarint length and that many bytes; see AppendCommand
	Ack    uint64 // every command up to this number is dealt with
}

// AppendCommand adds a command to the Data of an OriginBatch; the caller raises Count.
func AppendCommand(data, command []byte) []byte {
	data = binary.AppendUvarint(data, uint64(len(command)))
	return append(data, command...)
}

// Commands yields each command with its number. The commands alias b.Data. It ends early where Data is not Count commands
// long, which DecodeMessage has ruled out for a batch that it returned.
func (b *OriginBatch) Commands() iter.Seq2[uint64, []byte] {
	return func(yield func(uint64, []byte) bool) {
		data := b.Data
		for i := range uint64(b.Count) {
			length, n := binary.Uvarint(data)
			if n <= 0 || length > uint64(len(data)-n) {
				return
			}
			end := n + int(length)
			if !yield(b.First+i, data[n:end:end]) {
				return
			}
			data = data[end:]
		}
	}
}

// Probe is one server's view of the ensemble, exchanged before it is formed and by servers that lost touch.
type Probe struct {
	Established bool   // whether it has ever committed beyond the bootstrap
	ClusterID   uint64 // 0 while unknown
	RaftID      uint64 // its own; 0 while it has none
	Leader      uint64 // raft id; 0 while unknown
	Term        uint64
	Commit      uint64 // index
	Members     []Member
}

// Member is one member of the ensemble as the configuration describes it.
type Member struct {
	ServerID   uint16
	RaftID     uint64
	PeerAddr   string // host:port for Config.Dial
	ClientAddr string // host:port for clients; empty when unknown
	Learner    bool
	Observer   bool // a learner that is to stay one
}

// Join is a request to become a member (Member), or the answer to it (OK or Reason, and ClusterID).
type Join struct {
	Member    Member
	OK        bool
	Reason    string // for people; empty when OK
	ClusterID uint64
}

// ServerID is the server's part of a raft id, which is server id<<48 | incarnation.
func ServerID(raftID uint64) uint16 { return uint16(raftID >> 48) }

// FormatRaftID shows a raft id to people, as server-incarnation in hexadecimal; "none" for 0.
func FormatRaftID(id uint64) string {
	if id == 0 {
		return "none"
	}
	return fmt.Sprintf("%d-%x", ServerID(id), id&(1<<48-1))
}
