package session

const (
	// DefaultTickMs is ZooKeeper's default tickTime.
	DefaultTickMs = 2000

	// retryTicks: a session that was reported as due and is still there is reported again after so many ticks. The command that
	// was to expire it is then lost or of an older term.
	retryTicks = 2
)
