// Package replica makes a deterministic state machine highly available: give it a StateMachine, and the same state lives on
// every member of an ensemble, survives the loss of any minority of them, and applies each proposed command exactly once, in one order
// everywhere. Consensus is Raft (go.etcd.io/raft/v3); what a command means is the state machine's business alone.
//
//	Propose ──▶ origin stream ──▶ leader: one entry per batch ──▶ majority of disks ──▶ Apply on every member ──▶ Waiter
//	Barrier ──▶ ReadIndex ──▶ this member has applied all that was committed before ──▶ read your own state
//
// A write that a Waiter was told of is on a majority of disks. If the leader dies, commands under way go to the next leader
// by themselves and are still applied once and in the order of the Propose calls; nobody above this package has to retry.
//
// # Goroutines
//
// One loop goroutine per Replica owns the stepped core (internal/node) and calls the state machine's Apply, View, Tick, Message,
// LeaderChanged and every Waiter. Beside it run one goroutine that writes the log, one that prepares log segments, one for each
// snapshot that is being written, sent, received or loaded, one that watches the disk, and those of the transport. All end before Close returns.
//
// # Identity
//
// The data directory holds who this member is: server id, incarnation, ensemble (docs/format/identity.md). A directory that was lost or
// whose log is damaged in the middle gets a new incarnation and joins as a learner; under its old name it could have forgotten what
// it had acknowledged. A new ensemble is formed once, when all of its servers have seen each other.
package replica
