// Package chaos runs real servers on a network that fails, with processes that die and disks that fill, and asks the checks of
// internal/history about everything that the clients saw.
//
//	   seed ─▶ plan: faults with times
//	             │
//	┌ sandbox ───▼──────────────────────────────────────────────────────────────┐
//	│ director: cuts links, kills, stops, fills disks, heals                    │
//	│                                                                           │
//	│  10.73.0.1 ─┐                         ┌─ 10.73.0.101 raw clients, watcher │
//	│  10.73.0.2 ─┼── lan: every packet ────┼─ 10.73.0.102 raw clients, watcher │
//	│  10.73.0.3 ─┘   passes through here   └─ 10.73.0.254 operator, no faults  │
//	│   a namespace and                            │                            │
//	│   a file system each                         ▼ every operation            │
//	└──────────────────────────────────────────── history ──────────────────────┘
//
// A run is a row of rounds over one ensemble. In each, clients work in a folder of their own while the plan is carried out; then all is
// healed, and then every client must get a write through, all servers must serve at one zxid with one digest, every session is closed,
// every node is read through every server, and the round's history is judged.
//
// The raw clients speak the protocol themselves: several requests in flight, nothing sent twice, the session taken up again on another
// server. go-zookeeper's clients do what they do. Both write down what they asked for, what was answered and when.
//
// The seed draws the plan and what clients do, but processes and the kernel have a will of their own: a seed gives the same faults at the
// same times, not the same run. What failed is therefore also left behind as a file with the history.
//
// It needs Linux and root, and skips with the reason otherwise. See docs/testing.md for how to run it and what its faults are.
package chaos
