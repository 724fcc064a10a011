// Package node is one replica of a state machine as a stepped object: raft, the origin streams, the intake of the leader, apply, the
// barrier of linearizable reads, snapshots and membership. It has no goroutine, no clock, no socket and no global randomness.
// Events go in as method calls, effects come out as calls on a Host:
//
//	Now Tick Deliver Submit PeerUp PeerDown        Persisted SnapshotTaken SnapshotSent
//	Barrier Transfer Stalled                       SnapshotReceived Restored
//	             │                                          │
//	             ▼                                          ▼
//	    ┌──────────────────────────── Node ────────────────────────────┐
//	    │ origin ─▶ intake ─▶ one raft entry per batch ─▶ apply ─▶ SM  │
//	    └──────────────────────────────────────────────────────────────┘
//	             │                                          │
//	             ▼                                          ▼
//	 Host.Send  Host.SendSnapshot         Host.Append  Host.TakeSnapshot  Host.Restore
//
// After any number of events the owner calls Flush, which drains raft and emits the effects. One owner calls everything: in
// production the loop goroutine of package replica, in simulation the event heap. Two runs with the same events in the same order make
// the same effects, given a seeded crypto/rand.Reader, which is where raft draws its election jitter from.
//
// # Origin streams
//
// A server numbers its commands 1, 2, 3 … in its origin stream; the stream's id is the server and the start of its process. The
// stream goes to the leader in chunks; the leader puts what has arrived from all origins into ONE entry with one time stamp. When the
// entry is applied, each replica takes from each origin only the number that follows the last one. So an origin may send again
// everything that it has not seen applied, after any change of leader, and nothing is lost, doubled or reordered. What was
// last taken from each origin is part of the replicated state and of its snapshots (State).
//
// A leader accepts commands only after it has applied an entry of its own term: from then on State says exactly which
// number it has to expect from each origin.
//
// # What it does not do
//
// It does not know what a command means. It never reads from a disk except through raftlog's Storage methods, and it never waits.
package node
