// Package planted has the bugs that a test build can switch on, to see that the simulator finds them: one that finds nothing may be blind.
//
// A bug is a constant, and the code that it spoils asks it:
//
//	if planted.OriginGap.On() { … }
//
// In builds without the tag "planted" On is false for the compiler, which leaves the branch out. With the tag, Plant switches one bug on, by name,
// before anything else runs; gopherwood-sim -planted NAME and the tests of internal/sim do. Each bug is one that a careful programmer could make.
package planted

// Bug is a mistake that can be switched on.
type Bug string

// The bugs of the log and its files.
const (
	SyncLeftOut        Bug = "sync-left-out"         // writes to the log are not synced
	LogCutAtCorruption Bug = "log-cut-at-corruption" // a damaged log is cut where the damage is, as if that were a torn end
	WatermarkAhead     Bug = "watermark-ahead"       // the watermark says that a batch is durable which is only being written
	RecoveredNotSynced Bug = "recovered-not-synced"  // what a process reads after another one's death is taken for durable
	PageCacheBelieved  Bug = "page-cache-believed"   // it is synced, but a sync after one that failed does nothing
	SnapshotNotSynced  Bug = "snapshot-not-synced"   // a snapshot gets its name before its bytes are durable
	CompactOneTooMany  Bug = "compact-one-too-many"  // a compaction forgets an entry more than the snapshot covers
)

// The bugs of the node and its driver.
const (
	AckBeforeSync        Bug = "ack-before-sync"        // a follower says that it has entries which are not durable yet
	OwnSyncNotAwaited    Bug = "own-sync-not-awaited"   // a leader counts itself before its own write is synced
	VoteNotPersisted     Bug = "vote-not-persisted"     // whom it voted for is not written down
	CampaignBeforeVote   Bug = "campaign-before-vote"   // a candidate asks for votes before its own is durable
	StaleRead            Bug = "stale-read"             // a leader confirms a read index without asking anybody
	OriginDuplicate      Bug = "origin-duplicate"       // a repeated command is applied again
	OriginGap            Bug = "origin-gap"             // a command after a gap is applied
	NoResend             Bug = "no-resend"              // what an old leader was given is not given to the new one
	BatchHalf            Bug = "batch-half"             // of a batch with several origins a follower applies the first only
	LocalClock           Bug = "local-clock"            // commands are stamped by the clock of the replica that applies them
	ConfigEarly          Bug = "config-early"           // a leader acts on a change of members when it proposes it
	SnapshotShort        Bug = "snapshot-short"         // a snapshot says that it holds one entry more than it does
	IDReusedAfterWipe    Bug = "id-reused-after-wipe"   // a server without its disk comes back under the raft id that it had
	RestoreForgetsWaiter Bug = "restore-forgets-waiter" // who waits for a command that came in a snapshot is never told
)

// The bugs of the state machines.
const (
	LateExpiry              Bug = "late-expiry"               // what a deposed leader decided about a session is obeyed
	SnapshotWithoutSessions Bug = "snapshot-without-sessions" // a snapshot does not say whose the sessions are
	MapOrder                Bug = "map-order"                 // a session's ephemerals go in an order that is not the same everywhere
)
