//go:build planted

package planted

import "slices"

// all are the bugs in the order in which they are tried.
var all = []Bug{
	SyncLeftOut, LogCutAtCorruption, WatermarkAhead, RecoveredNotSynced, PageCacheBelieved, SnapshotNotSynced, CompactOneTooMany,
	AckBeforeSync, OwnSyncNotAwaited, VoteNotPersisted, CampaignBeforeVote, StaleRead, OriginDuplicate, OriginGap, NoResend, BatchHalf, LocalClock,
	ConfigEarly, SnapshotShort, IDReusedAfterWipe, RestoreForgetsWaiter, LateExpiry, SnapshotWithoutSessions, MapOrder,
}

var planted Bug

// On says whether the bug is switched on.
func (b Bug) On() bool { return b == planted }

// All lists the bugs that show without clients of the server; Server lists the others.
func All() []Bug { return slices.Clone(all) }

// Plant switches a bug on, and any other off; an empty name only does the latter. It reports false for a name that there is not. Nothing else may run
// meanwhile.
func Plant(name string) bool {
	if name != "" && !slices.Contains(all, Bug(name)) && !slices.Contains(Server(), Bug(name)) {
		return false
	}
	planted = Bug(name)
	return true
}
