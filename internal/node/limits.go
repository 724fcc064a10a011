package node

// The bounds of the package. How long a tick is, is the driver's matter; the numbers are meant for 20 ms.
const (
	// maxEntryBytes ends a batch: the leader closes an entry once it holds that much. One command may exceed it alone.
	maxEntryBytes = 512 << 10
	// defaultInflight is Config.Inflight: one batch gathers while the one before it is under way. With two, batches were smaller, commands cost
	// an eighth more processor time, and waited longer.
	defaultInflight = 1
	// eagerEntryBytes lets one more batch go although Config.Inflight are under way.
	eagerEntryBytes = 16 << 10
	// hardInflightEntries bounds what eagerEntryBytes allows.
	hardInflightEntries = 16
	// MaxIntakeBytes bounds the commands that wait at a leader. An origin has at most MaxOriginBytes unacknowledged, so that
	// seven full origins still fit.
	MaxIntakeBytes = 64 << 20
	// MaxOriginBytes bounds an origin's commands that are submitted and not yet applied. The driver stops taking proposals there.
	MaxOriginBytes = 8 << 20
	// retransmitTicks is how long an origin waits for progress before it sends everything unacknowledged again, and how
	// long a barrier waits for its ReadIndex before it asks again.
	retransmitTicks = 25
	// maxBarrierWaiters bounds the barriers that wait: for the one in flight, in it, or for their index to be applied.
	maxBarrierWaiters = 1 << 16
	// maxMembers bounds the members of an ensemble.
	maxMembers = 64
	// maxGuests bounds the learners that nobody has made a part of the ensemble yet.
	maxGuests = 16
	// guestGoneTicks is how long such a one may be silent before it is forgotten.
	guestGoneTicks = 3000
	// joinCatchUpEntries is how near to the leader's last index a learner must be to become a voter.
	joinCatchUpEntries = 1024

	// maxInspectBytes bounds what Log reads at a time.
	maxInspectBytes = 16 << 20

	// Raft's own bounds (raft.Config).
	raftMaxSizePerMsg       = 1 << 20
	raftMaxInflightMsgs     = 256
	raftMaxInflightBytes    = 32 << 20
	raftMaxUncommittedBytes = 64 << 20
	raftMaxApplyBytes       = 2 << 20
)
