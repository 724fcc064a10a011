// Package watch is the watch table of one server: who is told when a znode changes, with the semantics of ZooKeeper 3.9
// (WatchManager, WatchStats, PathParentIterator, and the way DataTree uses two of them).
//
// A watcher is a Handle that the caller gives out, one per connection. On one path it has one record, a set of Kinds:
//
//	            fires on                                       ends with
//	Data        created, data changed, deleted                 its first event
//	Child       children changed, deleted                      its first event
//	Persistent  all four                                       Remove
//	Recursive   created, data changed, deleted; also below     Remove
//
// From that follow the rules that clients rely on: one-shot watches of one watcher on one path and kind are one; an event
// reaches a watcher once, however many of its kinds and ancestors match; an event ends the one-shot kinds of the record and
// leaves the persistent ones beside them alone.
//
// # Layout
//
//	paths  "/a" ──▶ pathEntry{first, last}       records of a path, in the order of registration
//	                    │
//	records [ watcher | path | kinds | next,prev on the path | next,prev of the watcher ]   without pointers, free list
//	                    ▲
//	keys   (path,watcher) ──▶ record             owners[watcher] ──▶ first record, count
//
// A table has no lock, clock or goroutine; its owner guards it. Trigger's order depends on nothing but the calls that were made.
//
// # What it does not do
//
// It does not know sessions, ACLs (checked by the caller when the event fires) or znodes, and it does not encode events.
package watch
