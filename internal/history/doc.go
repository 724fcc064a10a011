// Package history judges what the clients of an ensemble saw. Whoever runs clients, the simulator or a test with real processes, writes
// down every operation with the times of its request and its answer; the checks here say whether a correct server could have given
// these answers. They do no I/O and start nothing; Linearizable alone takes time that depends on luck, and is bounded.
//
//	client 1   ├─ create /a ─┤ zxid 7          ├─ set /a ─────── no answer
//	client 2          ├─ get /a ─┤ zxid 7        ├─ sync, get /a ─┤ zxid 9        ──▶ Check ──▶ []Violation
//	watcher    armed at 3 … created /a (7), changed /a (9) … seen up to 9
//
// Each check stands alone and judges by another means, so that a mistake in one is not the end of the matter:
//
//   - Sessions: the answers of one session come in the order of its requests, under zxids that rise.
//   - RealTime: a zxid belongs to one write, and is larger than any that somebody had seen when the write was asked for. A read after a sync
//     sees all that had been seen when the sync was asked for. O(n log n), over everything.
//   - Replay: per path, in the order of the zxids, every answer is that of the state at its zxid. So every acknowledged write happened
//     exactly once, and ephemerals are gone when, and only when, their session is.
//   - Holders: no two sessions hold an ephemeral at the same zxid. What Replay says too, by a rule of ten lines.
//   - Sequences: no sequential name is given twice, and their numbers rise with the zxids.
//   - Linearizable: per path, by porcupine, in real time and without a look at any zxid.
//   - Watches: a persistent watch tells every change once, in order, and before any read shows it.
//
// # What the recorder owes
//
// Times are of one clock that does not jump. Data written is unique in the whole history: it is how a write without an answer is
// recognised when somebody reads it. A client's operations are in the order in which it sent them; it goes on in the same session, or in a new one
// after it was told that the old one has ended. So when a client has an answer again, its earlier writes have either happened or
// never will. Paths that this history does not know all writers of are not to be in it.
package history
