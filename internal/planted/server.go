package planted

// The bugs that only the clients of a server can see.
const (
	EventAfterReply       Bug = "event-after-reply"      // events are sent by a goroutine of their own
	EphemeralLeft         Bug = "ephemeral-left"         // the ephemeral nodes of a session that has moved stay when it ends
	LostWakeup            Bug = "lost-wakeup"            // a reader that waits for room in its queue is not woken by an answer
	QueueUnbounded        Bug = "queue-unbounded"        // a connection's requests are read however many wait
	SessionNotFollowed    Bug = "session-not-followed"   // a session's new connection does not wait for the end of the old one
	RearmByMzxid          Bug = "rearm-by-mzxid"         // a child watch that is armed again goes by when the node's data changed
	WatchStays            Bug = "watch-stays"            // a one-shot watch fires again
	ReadOvertakes         Bug = "read-overtakes"         // a read does not wait for the session's writes before it
	ReportIncomplete      Bug = "report-incomplete"      // of the sessions that were heard one is not told to the leader
	MovedSessionWrites    Bug = "moved-session-writes"   // a session may write through a server that it has left
	WatchesOutliveTheirs  Bug = "watches-outlive-theirs" // the watches of a connection that has ended go to the next one in its place
	SequenceByCount       Bug = "sequence-by-count"      // sequential nodes are numbered by how many children there are
	BarrierReadNotAwaited Bug = "barrier-read-unawaited" // a linearizable read waits for nothing
)

// Server lists them.
func Server() []Bug {
	return []Bug{
		EventAfterReply, EphemeralLeft, LostWakeup, QueueUnbounded, SessionNotFollowed, RearmByMzxid, WatchStays, ReadOvertakes, ReportIncomplete,
		MovedSessionWrites, WatchesOutliveTheirs, SequenceByCount, BarrierReadNotAwaited,
	}
}
