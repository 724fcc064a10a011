// Package tree is the replicated state machine: znodes, the session table, ACLs, and the last zxid. A Tree takes the commands of the
// log, one Apply each, and says what came of them: codes, Stats, and the events that watches wait for. What a command does is
// what ZooKeeper does (PrepRequestProcessor, DataTree), down to the order in which errors are checked.
//
// # In memory
//
//	index                     nodes (pages of 64 records)          blobs (chunks of slots, by size)
//	┌──────────┐ path hash    ┌────────────────────────────┐       ┌────────────┬─────────────┐
//	│ tag | id │ ───────────> │ record: Stat, ACL, parent, │ ────> │ name│data  │ name│data   │
//	├──────────┤              │ child, next, prev, blob    │       ├────────────┴──┬──────────┤
//	│ tag | id │              ├────────────────────────────┤       │ name│data     │          │
//	└──────────┘              │ record                     │       └───────────────┴──────────┘
//	                          └────────────────────────────┘
//
// Nothing that grows with the number of znodes holds a Go pointer, so the garbage collector has nothing to walk. A path is found
// through the hash of the whole path and made sure of by walking up the parents. Children are a linked list with a count:
// appending to a directory of ten million costs what appending to an empty one costs.
//
// A View is the tree at one moment. Taking one copies the page table; after that a page is copied at the first write to it,
// and blobs, which are never changed, are kept while a View shows them.
//
// # Who may call what
//
// A Tree has no lock. Apply, Restore, View, View.Close, Reapable and Check belong to one writer at a time. The other methods read:
// they may run beside each other and beside View, View.Close and Reapable, but not beside Apply and Restore; the caller holds
// a lock for that. View.WriteTo may run beside everything but the Close of its own View.
//
// Results are deterministic: the same commands with the same Envs give the same results, the same Digest and the same bytes of
// WriteTo on every server, also on one that was restored in between. There is no clock, no randomness but for the keys of the index,
// and no order of a map in it.
//
// It does not know watches (package watch), connections, or leases of sessions (package session).
package tree
