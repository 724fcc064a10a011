package raw

import "time"

const (
	// dialLimit bounds connecting and the handshake.
	dialLimit = 10 * time.Second
	// maxReply is the longest reply that is believed, in bytes.
	maxReply = 64 << 20
	// bufferBytes is the size of a connection's two buffers. Tests hold tens of thousands of connections.
	bufferBytes = 4 << 10
)
