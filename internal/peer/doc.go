// Package peer carries messages and snapshots between the members of an ensemble: the message types, their codec and a TCP
// transport.
//
// Every server dials every other one and uses the connection it dialled only for sending, so a pair of servers has two
// connections and each side of the pair has, for the other, one writer and one reader:
//
//	server 1                                              server 2
//	Send ─► pending ─► writer ═══ messages, 1 to 2 ═════► reader ─► Handler.Deliver
//	Handler.Deliver ◄─ reader ◄═══ messages, 2 to 1 ═════ writer ◄─ pending ◄─ Send
//	SendSnapshot ─────────────── one file, 1 to 2 ──────► Handler.Snapshot        (a connection of its own)
//
// A connection starts with a handshake that says who speaks, to whom and for what; a side that does not fit is refused with
// a reason that both log. After it come frames, each a length, a CRC32C and a body (docs/format/peer.md draws them). What
// was queued while the writer was inside a system call leaves in the next one, so batches form by themselves.
//
// The messages of one connection arrive in the order of Send and without gaps; when it breaks, what it held is lost and
// nobody sends it again: raft and the origin streams repeat what matters. Handler.PeerDown fires as soon as the other
// process is gone, because the kernel closes its connections; finding out that a silent peer is dead is left to raft's
// heartbeats.
//
// The driver in package replica owns a Transport; the stepped core and the simulator use the types and the codec alone,
// which have no goroutines, clock or I/O. The package decides nothing: a message for another raft id, from a removed
// member or from a stale term is delivered like any other. With Config.TLS every
// connection, in both directions, is one of TLS first (tls.go).
package peer
