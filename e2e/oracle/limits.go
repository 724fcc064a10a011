package oracle

import "time"

const (
	// replyLimit is how long a reply may take. The machine may be busy; nothing is measured by it.
	replyLimit = 60 * time.Second
	// expiryLimit is how long the end of a silent session is waited for.
	expiryLimit = 60 * time.Second
	// expiryPoll is the pause between two looks at whether a session has expired.
	expiryPoll = 10 * time.Millisecond
	// attachTries bounds how often a client comes back to a server that is behind it.
	attachTries = 50
	// sessionMs is the timeout of sessions that must not expire, in ms.
	sessionMs = 60000
	// expireMs is the timeout that is asked for when a session is to expire, in ms; servers raise it to their least.
	expireMs = 200
	// shownBytes is how much data a transcript shows; longer is shown as length and checksum.
	shownBytes = 48
	// crowd is how many nodes random scripts make children below.
	crowd = 12
	// shownLines is how many lines of each side a difference shows.
	shownLines = 12
	// timeSlackMs is how far a node's time may lie outside of the run, in ms.
	timeSlackMs = 5000
	// maxRuns bounds how many runs the shrinking of one difference takes.
	maxRuns = 400
)
