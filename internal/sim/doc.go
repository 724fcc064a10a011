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
// A run is a fault phase of some simulated seconds, then everything is healed, and then all must be answered, equal and whole
// within convergeWithin.
//
// # What may go wrong
//
// Each seed leaves out some of these (params.go), so that rare combinations get their turn.
//
//   - Processes are killed (what they wrote is in the page cache), stopped in good order, paused for up to 8 s, and restarted.
//   - Power is lost at one server, some, or all at the same moment: of the sectors that were not synced, any survive; of the names that
//     were not synced, the first few. It may be lost in the middle of any write, be it the log, a segment, the watermark or a snapshot,
//     and while the log is being recovered.
//   - A disk is slow or hangs, is lost (the server comes back under a new raft id and joins as a learner), or has bytes damaged while the
//     server is down (the log must notice, and the server joins anew). A snapshot may find no room.
//   - Messages are late. On lossy links they are also lost, doubled, overtaken and later than their connection; otherwise a link is a
//     stream, as TCP is, that may be cut. Partitions, also in one direction, hold messages up, and break the connections if they last.
//     A dead process's connections close at once, those of a machine without power when the others notice.
//   - Clocks are off, run fast or slow, and jump.
//   - Leadership is handed over, snapshots are taken at any time, streams of snapshots fail on their way, and their answers get lost.
//
// At most a minority of the disks is lost at a time (canLose says when a loss is over).
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
// The machine under test is a small ledger, whose own checks are strict, or the real tree.
//
// # What is not simulated yet
//
// Package replica's goroutines and what it does before there is a node (forming an ensemble, identity files), the server above the
// tree with its watches and connections, read errors and damage under a running process, full disks in the log itself,
// limits by bytes under overload, changes of membership other than a replacement, two versions at once. A failure is not shrunk by itself.
package sim
