// Package sim runs a whole ensemble in one goroutine, from one seed: several node.Node over the real raftlog on crashable disks
// (vfs.Mem), with a simulated network, clocks, processes and clients, under one heap of events. Everything else is the code of
// production: the node, the log and its files, the snapshots, the encoding of the messages between members, the tree.
//
//	      seed ─▶ params: ensemble, weather            ghost: what no server knows
//	                │                                    ▲ every Apply, every answer, every state, every durable record
//	┌───────────────▼─────────── event heap ─────────────┴──────────────┐
//	│ server 1            server 2            server 3                  │
//	│  process ◀─frames─▶  process ◀─frames─▶  process     ◀─ clients   │
//	│   node + auditor      node + auditor      node + auditor          │
//	│   raftlog             raftlog             raftlog                 │
//	│  disk (vfs.Mem)      disk                disk        ◀─ faults    │
//	└───────────────────────────────────────────────────────────────────┘
//
// Two runs of a seed are the same to the last byte on the network (TestCanary): a failure is a seed. Raft draws its election jitter from
// crypto/rand.Reader, so Run replaces that, and one simulation at a time can run in a process.
//
// A seed draws a Script before it runs: parameters, and faults with their times. Every fault, step of the clients, server and link has a source of chance of
// its own, so that parts of a script can be left out and the rest stays what it was; Shrinking shortens what fails to what matters, and Picture draws it.
//
// A run is a fault phase of some simulated seconds, then everything is healed, and then all must be answered, equal and whole
// within convergeWithin.
//
// # What may go wrong
//
// Each seed leaves out some of these (params.go, faultTable), so that rare combinations get their turn.
//
//   - Processes are killed (what they wrote is in the page cache), stopped in good order, paused for up to 8 s, slow, and restarted.
//   - Power is lost at one server, some, or all at the same moment: of the sectors that were not synced, any survive; of the names that
//     were not synced, the first few. It may be lost in the middle of any write, be it the log, a segment, the watermark or a snapshot,
//     and while the log is being recovered.
//   - A disk is slow or hangs, is full, cannot read for a while, or fails a sync: then what was to become durable can be read, and no later sync makes it durable. A process that cannot
//     go on ends and is started again.
//   - A disk is lost (the server comes back under a new raft id and joins as a learner), has bytes damaged while the server is down or under a running process, says that it has
//     written what it has not, or writes to another place (the log must notice, and the server joins anew).
//   - Messages are late. On lossy links they are also lost, doubled, overtaken and later than their connection; otherwise a link is a
//     stream, as TCP is, that may be cut. Partitions, also in one direction and flapping, hold messages up, and break the connections if they last. Links are slow, connections half open.
//     A dead process's connections close at once, those of a machine without power when the others notice.
//   - Clocks are off, run fast or slow, and jump.
//   - Leadership is handed over, servers are made voters and observers, left out and taken in again, snapshots are taken at any time, streams of snapshots fail on their way, and their
//     answers get lost.
//
// In the safe mode at most a minority of the voters' disks is lost at a time (canLose says when a loss is over). Beyond it there is no such budget: the ensemble may stop for good, and
// everything that is checked but the healing holds as ever.
//
// # What is checked
//
// After every event:
//
//   - One leader in a term; terms and applied indexes never go back.
//   - One sequence of commands: every replica applies the same ones, with the same index, term, time and bytes. The state after an
//     index (hash of the commands, digest of the machine) is the same everywhere, also after restarts and snapshots.
//   - Of each origin's stream every command once, in order, unchanged, without a gap, and none after one of the server's later start.
//   - An answered command is durable on a majority of the voters (mirror.go keeps the account, by real syncs), and its result is that of
//     this command on every replica. Waiters are told once, in order.
//   - What is recovered after a crash is what was durable and an unbroken beginning of what was written after.
//   - What a raft message says, its sender can keep: its term, its vote and the entries that it acknowledges are durable. Nobody votes
//     twice in a term, or leads it in two lives.
//   - A barrier is done when everything is applied that was applied anywhere when it began.
//   - No session expires by the word of an earlier term's leader.
//   - The node keeps to the interfaces above and below it: batches, restores, order of members, reused memory, no panic, no error logged.
//   - What is under way in a node stays within bounds.
//
// After the healing: every command of a living process is answered, every barrier done, every replica at the same index and state, every
// lost voter replaced, no learner left over.
//
// The machine under test is a small ledger, whose own checks are strict, the real tree, (workload "server") the real server with its clients, or somebody else's (Own; package replica/replicatest).
//
// # The workload "server"
//
// internal/server runs as it is: its goroutines are coroutines that the event heap resumes, one at a time (task.go), behind server.Runtime, and its
// connections are lines (line.go): streams with a window that are late, stand still, break with or without notice, and hold a server's writes up when the client
// does not read. service.go is between server and node what package replica is in production, back-pressure in Propose included; the bounds are drawn small.
//
// A swarm of clients (zkclient.go) speaks the wire protocol as ZooKeeper's libraries do: pipelines of every operation, every kind of watch, moves to other
// servers with the session, the last zxid and the watches (setWatches, setWatches2), locks by the recipe. They sleep, stay away for too long, leave, and send
// requests that arrive at a server that they have left. What each is told is held against the chronicle (chronicle.go), the state, the events and the
// writes by zxid of a tree that is fed with every command as it is applied first; zkcheck.go lists the checks. Besides: the writes of one connection are applied as
// they were sent, each once, and none after a later connection of the session has been let in; at a session's end its ephemeral nodes are gone; sequence numbers
// rise; one client at a time has a lock; nobody is told that a session has expired that has not, and none expires while all is well and its client is
// heard; no queue is longer than its bound; and when the process ends, every goroutine of its server does. After the healing each client
// gets more writes than a server takes at a time, a sync and a read through.
//
// # What is not simulated yet
//
// Package replica's goroutines and what it does before there is a node (forming an ensemble, identity files); of the server TLS, SASL, descriptors (lines go the
// way of TLS connections), four-letter words, the admin port, local sessions, read-only mode, ACLs other than open ones and reconfig by clients; errors of a
// directory's sync, limits by bytes under overload. There is one version of every format so far, so none to mix.
package sim
