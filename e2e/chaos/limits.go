package chaos

import "time"

const (
	// roundLength is how long faults are made in a round.
	roundLength = 24 * time.Second
	// healLimit is how long all may take to work again when nothing is in the way any more.
	healLimit = 60 * time.Second
	// endLimit is how long a client may try to close its session after that.
	endLimit = 60 * time.Second
	// terminateLimit is how long a server may take to end after SIGTERM, under whatever faults there are.
	terminateLimit = 20 * time.Second
	// excuseGrace is how long after its disk is good again a server may still end because it was not.
	excuseGrace = 500 * time.Millisecond
	// giveUpLimit is how long a server may take to end after a sync has failed.
	giveUpLimit = 2 * time.Second
	// maxAhead is how far ahead another monotonic clock is at most.
	maxAhead = 30 * 24 * time.Hour
	// perPath bounds porcupine's search for one path.
	perPath = 5 * time.Second

	// rawClients and kitClients are how many there are on each of clientHosts.
	rawClients  = 8
	kitClients  = 1
	clientHosts = 2

	// maxBurst is the most requests that a raw client has in flight.
	maxBurst = 4
	// maxThink is the longest pause between two bursts; the mean is half of it.
	maxThink = 60 * time.Millisecond

	// sessionTimeout is the raw clients'; short, so that sessions do expire under faults.
	sessionTimeout = 2 * time.Second
	// answerLimit is how long a raw client waits for an answer before it takes the connection for broken.
	answerLimit = 1800 * time.Millisecond
	// dialLimit bounds connecting, and the handshake again.
	dialLimit = 1000 * time.Millisecond
	// retryPause is between two attempts to connect.
	retryPause = 50 * time.Millisecond

	// diskBytes is the size of a server's file system.
	diskBytes = 768 << 20
	// bulkBytes is the size of the writes that fill the log while a disk is full.
	bulkBytes = 256 << 10

	// bulkLimit is for how long they come.
	bulkLimit = 4 * time.Second

	// plainPaths, lockPaths and kitPaths are how many nodes the clients of a round share.
	plainPaths = 24
	lockPaths  = 6
	kitPaths   = 4
)
