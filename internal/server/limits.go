package server

import "time"

// The bounds of a server. Those that Config can change are the defaults; zero in a Config means the default.
const (
	// DefaultMaxConns bounds the client connections of one server. More are closed as they come.
	DefaultMaxConns = 65536

	// DefaultMaxOutstanding bounds the requests of one connection that wait for an answer. Its reader then stops reading
	// (ZooKeeper's globalOutstandingLimit has the same number for a whole server).
	DefaultMaxOutstanding = 1000

	// DefaultMaxOutBytes bounds the bytes that wait to be sent on one connection, as one reply more than this. A client whose
	// events reach it does not read: it is closed. A client's own reads wait at outHigh already.
	DefaultMaxOutBytes = 4 << 20

	// DefaultMaxOutTotal bounds what waits to be sent on all connections together, counting those with more than outLarge. The
	// connection that would exceed it is closed.
	DefaultMaxOutTotal = 512 << 20

	// DefaultMaxInTotal bounds the requests that all connections together have in memory: long ones that are being received, and reads
	// that wait behind writes. The connection that would exceed it is closed, or made to wait.
	DefaultMaxInTotal = 512 << 20

	// DefaultMaxReplyBytes bounds one reply. The connection that asked for more is closed.
	DefaultMaxReplyBytes = 64 << 20

	// DefaultHandshakeTimeout bounds the time from accepting a connection to its session (zookeeper.nio.sessionlessCnxnTimeout).
	DefaultHandshakeTimeout = 10 * time.Second

	// DefaultWriteTimeout bounds the time in which a client has to take writeChunk bytes. It is then closed.
	DefaultWriteTimeout = 30 * time.Second

	// DefaultElectionGrace: when no leader is known for longer than this, new connections are closed at once. Until then they
	// wait, since an election takes less.
	DefaultElectionGrace = 3 * time.Second

	// DefaultReconfigTimeout bounds the wait for a reconfig, and reconfigRetry is how often the leader is asked meanwhile.
	DefaultReconfigTimeout = 20 * time.Second
	reconfigRetry          = 100 * time.Millisecond

	// DefaultReapInterval is how often the leader looks for container and TTL nodes to delete (znode.container.checkIntervalMs).
	DefaultReapInterval = time.Minute

	// DefaultMaxReap bounds the nodes that one such look deletes (znode.container.maxPerMinute).
	DefaultMaxReap = 10000

	// DefaultTopDepth is how many elements of a path the top talkers go by.
	DefaultTopDepth = 2

	// DefaultAdminInterval: the admin port gives out one snapshot in this time (admin.rateLimiterIntervalInMS).
	DefaultAdminInterval = 5 * time.Minute
)

const (
	// maxExpirePerCommand and maxReapPerCommand bound one proposal of the leader.
	maxExpirePerCommand = 4096
	maxReapPerCommand   = 1024

	// maxPending bounds the bytes of reads that wait behind writes on one connection, as one request more than this.
	maxPending = 1 << 20

	// maxHello bounds a connection's first frame; a ConnectRequest takes 45 bytes.
	maxHello = 4096

	// maxIdentities and maxIdentityBytes bound what auth requests add to one connection, since each of its writes carries it.
	// Beyond them: AUTHFAILED.
	maxIdentities    = 64
	maxIdentityBytes = 16 << 10

	// outHigh: a connection with more than this to send executes no further read until it is sent.
	outHigh = 256 << 10

	// outLarge: smaller backlogs are not counted in the total.
	outLarge = 64 << 10

	// writeChunk is how much of a backlog one blocking write takes.
	writeChunk = 256 << 10

	// headBytes is how much an idle connection of TLS reads before it takes a buffer.
	headBytes = 8

	// readBufferBytes is the size of a pooled read buffer. Longer frames get a buffer of their own that grows as bytes arrive.
	readBufferBytes = 16 << 10

	// pooledBytes: longer buffers are not kept in a pool.
	pooledBytes = 64 << 10

	// maxReadRun bounds the reads that one connection executes without letting go of the tree's lock.
	maxReadRun = 64

	// maxLinger and lingerTimeout bound what is read and thrown away after a last reply, so that closing does not destroy it.
	maxLinger     = 1 << 20
	lingerTimeout = time.Second

	// maxOpenings bounds the sessions that are being opened at a time, by connections that are there; further ones wait, the oldest first. In a
	// reconnect storm the writes of others wait behind no more than this.
	maxOpenings = 256

	// turnAwayWithin bounds the random time that a connection is held that gets no session for want of tokens.
	turnAwayWithin = 250 * time.Millisecond

	// maxNamespaces bounds the namespaces that quotas are counted for in metrics.
	maxNamespaces = 1000

	// maxReportIDs bounds the sessions in one datagram to the leader.
	maxReportIDs = 4096

	// maxMembers bounds the members that a leader keeps a client address of.
	maxMembers = 64

	// maxAddressBytes bounds a member's announced client address.
	maxAddressBytes = 512

	// topKept is how many keys each list of the top talkers keeps; topPrefixBytes is how much of a path is looked at.
	topKept        = 128
	topPrefixBytes = 256

	// topRate is how many requests a second are looked at at most, about; topEvery bounds how many one of them stands for.
	topRate  = 250
	topEvery = 8192

	// topHalfLife is the time, in seconds, in which a top talker's count halves; topFadeSeconds is the time between two steps of that.
	topHalfLife    = 60.0
	topFadeSeconds = 1.0

	// topShown is how many of each list are shown if the request does not say.
	topShown = 10

	// slowKept is how many slow requests are logged per round of the housekeeper; more are counted.
	slowKept = 10

	// maxListed bounds the sessions, paths or watches that one answer of the admin port or of a word lists.
	maxListed = 100_000

	// maxEcho bounds what an answer of the admin port repeats of its request.
	maxEcho = 128

	// stageBytes is how much of a snapshot that is restored goes into one command, and stagesInFlight how many such commands are under way: the
	// origin stream has room for more than that, so that this server's clients go on writing.
	stageBytes     = 256 << 10
	stagesInFlight = 4

	// restoreStall is how long a restore waits for a step: more of its snapshot to come, or a command to be applied. stageRetry is the pause while
	// the replica takes no commands.
	restoreStall = 30 * time.Second
	stageRetry   = 10 * time.Millisecond

	// askLoopTimeout is how long such an answer waits for what only the loop goroutine knows.
	askLoopTimeout = 2 * time.Second

	// logBurst and logInterval: lines of one kind that clients can provoke, per interval; the rest is counted.
	logBurst    = 10
	logInterval = time.Second
)
