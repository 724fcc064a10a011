package bench

import "time"

const (
	maxConnections = 100_000
	maxDepth       = 10_000
	maxSizeBytes   = 1 << 20
	maxKeys        = 100_000_000

	// maxWindowBytes bounds what one connection has in flight, so that buffers of both sides stay small beside memory.
	maxWindowBytes = 64 << 20

	// minBufferBytes and maxBufferBytes bound a connection's first read buffer; it grows to the longest reply.
	minBufferBytes = 1 << 10
	maxBufferBytes = 64 << 10
	// replyOverheadBytes is about what a reply takes beside the data in it.
	replyOverheadBytes = 128
	// maxReplyBytes bounds one reply.
	maxReplyBytes = 16 << 20

	// prepareDepth is how many requests each connection has in flight while nodes are made and removed.
	prepareDepth = 64

	// sessionTimeout is what sessions ask for.
	sessionTimeout = 30 * time.Second
	// answerTimeout is how long a server may be silent before the connection is given up.
	answerTimeout = 20 * time.Second
	// deadlineStep is how often the connection's deadline is moved; it costs more than the clock.
	deadlineStep = time.Second

	// reconnectPause is the time between attempts after a connection was lost.
	reconnectPause = 100 * time.Millisecond

	// maxLatency is the longest latency that is told apart.
	maxLatency = 10 * time.Minute
	// latencyDigits is the precision of percentiles, in decimal digits.
	latencyDigits = 3
)
