package history

const (
	// maxStates bounds the states that Replay holds possible at a time for one path; beyond it the path stays undecided.
	maxStates = 4096
	// maxViolations bounds what one check reports: one anomaly often has many witnesses.
	maxViolations = 20
	// maxStory bounds the operations that a report of Replay shows before the one that does not fit.
	maxStory = 12
)
