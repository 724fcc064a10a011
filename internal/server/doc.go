// Package server is one Gopherwood server to its clients: it speaks ZooKeeper's client protocol, answers four-letter words and
// the admin port, and is the state machine that package replica replicates.
//
//	client ═══ reader ──write──▶ Replicator.Propose ··· the log ··· Apply ──▶ request.Done ─┐
//	           (conn)  ──sync───▶ Replicator.Barrier ······················▶ request.Done ─┤
//	             │                                                   │                    │
//	             └──read──▶ execute                                fire: events           │
//	                          │  under treeMu (read)                 │ under treeMu (write)│
//	                          ▼                                      ▼                    ▼
//	client ◀═══ flush ◀──── out-buffer of the connection ◀───────────────────────────────────┘
//
// # The order of replies
//
// Replies come in the order of the requests, pings and failures too. A read is executed by its connection's reader if nothing of the
// session is under way. Otherwise it waits in the connection's queue, and the loop executes it right after the write in front
// of it was applied, before it applies the next: a pipeline [set, get, set] reads exactly what the first set wrote.
// A write behind a sync is not proposed before the sync is answered.
//
// # The order of events
//
// Replies and events are appended to a connection's out-buffer while treeMu is held: by readers for reading, by the loop for writing.
// So an event is never before the reply that left its watch, and always before a reply that shows what it tells of, also
// before the reply to the session's own write.
//
// # Goroutines and locks
//
//	reader        one per connection: conn.serve. It takes TLS off (tls.go), alone decodes, adds to the queue, and takes the connection down
//	loop          the replica's: every method of machine.go, leader.go, report.go's Message, and all Done
//	flusher       sends what the loop appended in a batch; ends with it
//	writer        sends to one client that does not read fast enough; ends when it has
//	acceptors, housekeeper
//
// Where any of them waits is in runtime.go (a condition, a time, an answer that somebody posts), in a net.Conn, or in the Replicator: Config.Runtime lets a
// simulation run them as tasks, one at a time.
//
// Locks are taken in the order treeMu, conn.mu, then one of watchMu and Server.mu. None is held across a system call that may wait.
//
// # Bounds
//
// See limits.go. At a bound a connection is made to wait (its reader stops reading) or is closed with a line in the log. An idle connection
// holds no buffer.
//
// # What it does not do
//
// It decides nothing about znodes (package tree) and nothing about consensus (package replica). What a reconfig asks for is worked out here and
// made by the replica.
package server
