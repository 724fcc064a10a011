package ensemble

import "time"

const (
	// readyLimit is how long a server may take from its start to its first served request. It is generous because
	// the other core may be compiling or running a JVM; nothing is measured by it.
	readyLimit = 60 * time.Second
	// terminateLimit is how long a server may take to end after SIGTERM.
	terminateLimit = 20 * time.Second
	// wordLimit bounds one four-letter word, connection included.
	wordLimit = 5 * time.Second
	// wordBytes bounds the answer to a four-letter word.
	wordBytes = 1 << 20
	// pollEvery is the pause between two looks at a server that is not ready yet.
	pollEvery = 20 * time.Millisecond
	// logTail is how much of a server's log a failed test prints.
	logTail = 4 << 10
)
