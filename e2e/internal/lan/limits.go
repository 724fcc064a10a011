package lan

import "time"

const (
	// mtu is the largest packet, in bytes, headers included.
	mtu = 1500
	// maxQueued bounds the packets that are under way for longer than no time; more are lost, as in a full router.
	maxQueued = 1 << 16
	// maxBacklog bounds how long a packet waits for a throttled link; beyond it packets are lost.
	maxBacklog = 2 * time.Second
)
