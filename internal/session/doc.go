// Package session decides, on the leader, which sessions have not been heard from for too long.
//
//	            Lead, Add, Touch, Remove                     Tick(now) ─▶ ids that are due
//	                      │                                        ▲
//	                      ▼                                        │
//	due ─▶  | 10 s | 12 s | 14 s | …     one bucket per tick; a session is in the bucket of its due time
//	           │      │
//	           ▼      ▼
//	         a b c    d                  intrusive lists
//
// A session is due at its last sign of life plus its timeout, rounded up to the next tick as ZooKeeper does
// (ExpiryQueue.roundToNextInterval): with a tick of 2 s, a timeout of 4 s takes between 4 and 6 s.
//
// Time is what the last Tick or Lead said. Everyone gets the full timeout again when a server becomes the leader, and when the
// leader itself stood still (a Tick later than Options.PauseMs after the one before it, or earlier than it): in both cases
// nobody listened, so silence proves nothing.
//
// The package has no clock, goroutine or lock. The goroutine that applies the log owns a Liveness.
//
// # What it does not do
//
// It expires nobody: the caller proposes that, and the state machine applies it only in the proposer's own term. Sessions
// themselves are the tree's.
package session
