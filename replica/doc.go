// Package replica makes a deterministic state machine highly available: give it a StateMachine, and the same state lives on
// every member of an ensemble, survives the loss of any minority of them, and applies each proposed command exactly once, in one order
// everywhere. Consensus is Raft (go.etcd.io/raft/v3); what a command means is the state machine's business alone.
//
//	Propose ──▶ origin stream ──▶ leader: one entry per batch ──▶ majority of disks ──▶ Apply on every member ──▶ Waiter
//	Barrier ──▶ ReadIndex ──▶ this member has applied all that was committed before ──▶ read your own state
//
// It is linked into the service that it serves: one binary, no other process, and nothing of ZooKeeper comes along.
//
// # A service in three steps
//
// Write a StateMachine: Apply, View, Restore. Start it on each server, with a directory of its own and the list of all servers:
//
//	r, err := replica.Start(replica.Config{
//		Dir:      "/var/lib/counter",
//		ServerID: 1,
//		Peers:    map[uint16]string{1: "a:7001", 2: "b:7001", 3: "c:7001"},
//	}, &counter{})
//
// Then send changes through Do (or Propose, which does not wait), and read the state itself, after Sync if the read has to be linearizable. The example of this
// package is a counter, whole; examples/kv is a key-value store with an HTTP face, and examples/fsmaster the metadata master of a file
// system. With Peers empty a server is alone: the same code, for a laptop.
//
// A new ensemble is formed once, when all of its servers have seen each other. A server that comes later, with an empty directory and
// the ensemble in its Peers, joins as a guest, which follows; Reconfigure makes it a voter. One that lost its disk is started with an empty
// directory under its old ServerID and takes its old place by itself.
//
// # What is promised
//
// A command whose Waiter was told a result, or whose Do has returned one, is on a majority of disks (synced, past the operating system), and survives power loss
// and the loss of any minority. Commands are applied once and, those of one server, in the order of the Propose calls. Any member takes commands; if
// the leader dies, those under way go to the next leader by themselves. Nobody above this package has to retry, or to know who leads.
//
// After Sync a read of the local state sees everything that was acknowledged anywhere before. Without it a read sees a state that was true at some
// moment, not long ago, and never an earlier one than this member showed before.
//
// # Errors
//
// Each is told apart by errors.Is or errors.As, and says what happened to the command:
//
//	ErrTooLarge          not applied                a command is at most MaxCommandBytes
//	ErrBusy              not applied                too much is under way, or ctx ended while Do waited for room
//	ErrOutcomeUnknown    may be applied             ctx ended before there was a result, or the result was lost in a snapshot
//	ErrClosed            may be applied, if it was under way: the replica has stopped
//	ErrNotLeader         nothing was done           of the calls that only a leader obeys; a *NotLeaderError says who leads
//	*NotSyncedError, ErrReconfigInProgress, ErrNoVoters, ErrTwice     nothing was done: the refusals of Reconfigure
//	*MachineError        the state machine has panicked, or could not write or restore its state
//
// A replica that can't go on closes Done; Err says why. Its process should end then, and be started again.
//
// # Leadership
//
// All members are equal to their users, but some work is for one of them: to expire what is overdue, to scan, to call others. Terms is a channel of the
// terms in which this member leads. A term comes when the member has not only been elected but has applied an entry of its own term, so
// that it knows all that was acknowledged before; its Context ends with it. A leader that was paused may believe in its term for a while longer. So
// whatever it decides as the leader is a command that carries Term.Number, which Apply compares with Command.Term: then the words of a
// deposed leader have no effect, whenever they arrive. That is the fencing that an election by a lock service leaves to its user.
//
// # Snapshots, backup, restore
//
// A snapshot is written beside the running replica, slowly, when the log since the last one has outgrown both Config.SnapshotBytes and that one; a member
// that was away for long gets one from the leader. Backup writes one to a file elsewhere, on any member, without anybody waiting. Restore, with all
// servers stopped, makes a data directory of it.
//
// While a member starts, Progress says how far it is with its snapshot and its log, and how long it should take.
//
// # Tools
//
// Package replica/admin is an http.Handler for a replica: status, members, metrics for Prometheus, backup, log. "gopherwood cluster" works against any
// service that mounts it. Package replica/replicatest checks a state machine: that it is deterministic, that what it restores is what it wrote, that it converges
// under a simulation's faults.
//
// # Limits
//
// A command has up to MaxCommandBytes, 4 MiB; a server has up to 8 MiB of commands under way, then Propose waits; an ensemble has up to 64
// members, and 16 guests that are none yet; up to 65536 barriers wait at a time. The log is cut at snapshots, so the data directory holds about twice the
// state, and 256 MiB more while a member is away. The state itself is in the memory of the state machine. The other bounds are in limits.go.
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
// it had acknowledged.
//
// # What it does not do
//
// It does not keep a state that is larger than memory, does not shard, does not look at commands, and does not make a state machine
// deterministic that is not.
package replica
