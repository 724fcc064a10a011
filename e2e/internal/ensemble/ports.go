package ensemble

import (
	"fmt"
	"net"
	"os"
	"sync"
)

// Ports come from below the kernel's range for outgoing connections (32768 and up on Linux): a killed server's port must still
// be free when it starts again, and a client's outgoing connection could take one of that range.
const (
	portFirst = 18000
	portLast  = 32000
)

var ports struct {
	mu   sync.Mutex
	next int
}

// freePort returns a loopback port that nothing listens on and that no earlier call of this process returned.
func freePort() (int, error) {
	ports.mu.Lock()
	defer ports.mu.Unlock()
	if ports.next == 0 {
		// Test processes that run side by side begin at different places.
		ports.next = portFirst + os.Getpid()%1000*(portLast-portFirst)/1000
	}
	for range portLast - portFirst {
		port := ports.next
		if ports.next++; ports.next >= portLast {
			ports.next = portFirst
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		return port, nil
	}
	return 0, fmt.Errorf("ensemble: no free port between %d and %d on 127.0.0.1", portFirst, portLast)
}
