package client

import "time"

// The bounds of a Client. Those that an application may want to change are fields of Options, with these as defaults.
const (
	defaultSessionTimeout = 10 * time.Second // what ZooKeeper's own shell asks for, rounded
	minSessionTimeout     = 10 * time.Millisecond
	maxSessionTimeout     = 24 * time.Hour

	// defaultMaxPendingBytes bounds the requests that were submitted and not yet answered. Callers wait at the bound.
	defaultMaxPendingBytes = 16 << 20
	// callOverheadBytes is what a pending request weighs beyond its frame, so that small ones are bounded in number too.
	callOverheadBytes = 512

	// defaultWatchBuffer is how many events of one persistent watch may wait to be received before the watch ends.
	defaultWatchBuffer = 1024

	// defaultMaxReplyBytes bounds one reply. ZooKeeper's servers have no bound of their own on replies.
	defaultMaxReplyBytes = 64 << 20
	// replyStepBytes is how much of a long reply is allocated before its bytes have arrived.
	replyStepBytes = 1 << 20

	// maxSends is how many times one read is sent before it fails with zk.ErrConnectionLoss: it may be what makes servers
	// hang up (an answer beyond Options.MaxReplyBytes does).
	maxSends = 5

	// connectResponseBytes bounds a server's first frame; ZooKeeper's has 37 bytes.
	connectResponseBytes = 1024

	// setWatchesBytes is how many bytes of paths go into one setWatches request (ClientCnxn.SET_WATCHES_MAX_LENGTH).
	setWatchesBytes = 128 << 10

	// sendBatchBytes is where the writer stops adding requests to one system call.
	sendBatchBytes = 64 << 10
	// readBufferBytes is the connection's read buffer.
	readBufferBytes = 8 << 10

	// stateBuffer is how many state changes wait for one subscriber; older ones give way to newer ones.
	stateBuffer = 16

	// retryBase and retryMax bound the pause after a round over all servers that gave no session; it doubles between them
	// and is drawn at random from zero to the bound.
	retryBase = 50 * time.Millisecond
	retryMax  = time.Second

	// closeGrace is how long Close waits for the server to end the session.
	closeGrace = 2 * time.Second

	// minConnectTimeout is the least time that a server gets to accept a connection and grant a session.
	minConnectTimeout = time.Second

	// fourLetterReplyBytes bounds the answer to a four-letter word.
	fourLetterReplyBytes = 16 << 20
)
