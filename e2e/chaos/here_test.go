package chaos

import (
	"net"
	"time"
)

// here is the test's own host, whose links have no faults.
type here struct{}

// Dial implements dialer.
func (here) Dial(network, addr string, limit time.Duration) (net.Conn, error) {
	return net.DialTimeout(network, addr, limit)
}
