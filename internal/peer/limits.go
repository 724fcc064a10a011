package peer

import "time"

// Bounds of one message. A decoder checks every count against the bytes that remain, and then against these, before it
// allocates.
const (
	// MaxMessageBytes bounds an encoded message. It leaves room for a batch of the largest entries that the core builds
	// (1 MiB and one command more) and for the metadata around them. A longer one cannot be sent.
	MaxMessageBytes = 8 << 20
	// maxEntries bounds the entries of one raft message. Raft fills a message up to MaxSizePerMsg (1 MiB) and its smallest
	// entry is 4 bytes, so it can never want more. In memory they cost 32 MiB.
	maxEntries = 1 << 18
	// maxMembers bounds the members that a probe lists, and each list of a raft configuration.
	maxMembers = 1024
	// maxAddrBytes bounds an address, maxReasonBytes the sentence of a refusal.
	maxAddrBytes   = 512
	maxReasonBytes = 1024
)

// Bounds and times of the transport. Those that Config can change are its defaults.
const (
	// defaultMaxPendingBytes bounds what waits for one peer, with what its writer is writing. At the bound Send refuses.
	defaultMaxPendingBytes = 64 << 20
	// keepBufferBytes is the largest send buffer that is kept for reuse in any case; a larger one goes after so many writes in a
	// row that filled less than an eighth of it.
	keepBufferBytes = 256 << 10
	maxSmallWrites  = 100
	// maxWriteBytes is the most that one Write, and so one write deadline, covers.
	maxWriteBytes = 1 << 20
	// readBufferBytes is each reader's buffer: many small messages per system call.
	readBufferBytes = 64 << 10
	// cheapMoveBytes: so little is moved to the front of the buffer before every read, more only when there is no room.
	cheapMoveBytes = 1 << 10
	// ownFrameBytes: a frame at least this long, not yet wholly read, is read into memory of its own, which the message keeps.
	ownFrameBytes = 16 << 10
	// defaultMaxInbound bounds the accepted connections, greeted or not.
	defaultMaxInbound = 256
	// defaultMaxSnapshots bounds the snapshot streams, in each direction.
	defaultMaxSnapshots = 2
	// snapshotChunkBytes is the largest part of a snapshot that has its own checksum.
	snapshotChunkBytes = 256 << 10
	// maxRefusalsKept bounds the refusals remembered so as not to log them again.
	maxRefusalsKept = 64

	// defaultWriteTimeout is how long a write may make no progress before its connection is given up.
	defaultWriteTimeout = 10 * time.Second
	// defaultHandshakeTimeout bounds the handshake, from the first byte to the last, on both sides.
	defaultHandshakeTimeout = 5 * time.Second
	dialTimeout             = 3 * time.Second
	// backoffMin and backoffMax bound the pause between attempts to connect; the first follows a loss at once.
	backoffMin = 10 * time.Millisecond
	backoffMax = 500 * time.Millisecond
	// stableAfter is how long a connection has to live for its loss to be followed by an attempt without a pause.
	stableAfter = time.Second
	// defaultSnapshotIdle is how long a snapshot's receiver waits for the next byte, and its sender for a byte to be taken.
	defaultSnapshotIdle = 30 * time.Second
	// defaultSnapshotStore is how long a sender waits for the answer after the last byte, while the receiver makes it durable.
	defaultSnapshotStore = 5 * time.Minute
	// lingerTimeout bounds how long a receiver that answered early swallows what is still coming.
	lingerTimeout = time.Second
	// acceptPause follows an accept that failed, as with no file descriptors left.
	acceptPause = 50 * time.Millisecond
	// logAgainAfter is when the same refusal is worth a line again.
	logAgainAfter = 30 * time.Second
	// keepAliveIdle, keepAliveInterval and keepAliveCount find a peer whose machine is gone.
	keepAliveIdle     = 5 * time.Second
	keepAliveInterval = time.Second
	keepAliveCount    = 5
)
