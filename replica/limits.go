package replica

import "time"

// The bounds of the driver.
const (
	// maxInbox bounds the messages from other members that wait for the loop; then their connections wait.
	maxInbox = 4096
	// maxInboxBytes bounds what they hold; one message more may be taken.
	maxInboxBytes = 64 << 20
	// maxChunkBytes cuts this server's commands into chunks; a chunk is one message to the leader.
	maxChunkBytes = 256 << 10
	// MaxCommandBytes bounds one command.
	MaxCommandBytes = 4 << 20
	// MaxLogEntries bounds what Replica.Log reads at a time.
	MaxLogEntries = 1000
	// defaultTick is the step of logical time; an election times out after 50 to 100 of them, a heartbeat goes out every 5.
	defaultTick = 20 * time.Millisecond
	// watermarkEvery is how often the log's durable watermark is written while it moves.
	watermarkEvery = 100 * time.Millisecond
	// diskStallHandover is how long one log write may hang before a leader hands over.
	diskStallHandover = time.Second
	// diskWatchEvery is how often somebody looks at the write under way.
	diskWatchEvery = diskStallHandover / 4
	// diskStallExit is how long one log write may hang before the process gives up: a member that can't write is worth less than a dead one.
	diskStallExit = 10 * time.Second
	// transferTicks is how many ticks a member has to take leadership over before another is asked: more than raft itself waits.
	transferTicks = 64
	// maxEarlyBarriers bounds the barriers that wait while the ensemble is being looked for.
	maxEarlyBarriers = 1 << 16
	// noSpaceRetry is the pause between tries to write when the disk is full.
	noSpaceRetry = 500 * time.Millisecond
	// formEvery is how often a server that looks for its ensemble asks around.
	formEvery = 100 * time.Millisecond
	// formLogEvery is how often it says whom it waits for.
	formLogEvery = 10 * time.Second
	// joinAnyway is for how long a member is without a leader before it asks to join: it may have been removed.
	joinAnyway = 5 * time.Second
	// maxPeers bounds the list of servers.
	maxPeers = 64
	// maxBackupHead bounds the line of JSON in a backup.
	maxBackupHead = 64 << 10
	// maxPanicFrames bounds the search for the state machine on the stack of a panic.
	maxPanicFrames = 4096
	// maxStrangers bounds the servers that are neither configured nor members and are answered nevertheless.
	maxStrangers = 16
	// joinEvery is how often a server that is not yet a member asks to become one.
	joinEvery = 300 * time.Millisecond
	// snapshotSleep is how much longer than its own work the writer of a snapshot rests, so that it takes a fifth of a core.
	snapshotSleep = 4
	// snapshotStep is how much a snapshot's writer does between rests.
	snapshotStep = 256 << 10
	// snapshotBytesPerSecond bounds a snapshot on its way to another member.
	snapshotBytesPerSecond = 256 << 20
)
