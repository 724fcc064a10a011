package replica

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// ParsePeers reads a list of servers as it is given on a command line, "1=a:7001,2=b:7001,3=c:7001", into what Config.Peers takes. An empty list is nil: a
// server alone.
func ParsePeers(list string) (map[uint16]string, error) {
	if list == "" {
		return nil, nil
	}
	peers := make(map[uint16]string)
	for part := range strings.SplitSeq(list, ",") {
		number, addr, ok := strings.Cut(strings.TrimSpace(part), "=")
		id, err := strconv.ParseUint(number, 10, 16)
		if !ok || err != nil || id == 0 {
			return nil, fmt.Errorf("replica: %q is not like 1=host:port, with a number from 1 to 65535", part)
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return nil, fmt.Errorf("replica: server %d: %w", id, err)
		}
		if peers[uint16(id)] != "" {
			return nil, fmt.Errorf("replica: server %d is in the list twice", id)
		}
		peers[uint16(id)] = addr
	}
	if len(peers) > maxPeers {
		return nil, errors.New("replica: too many servers")
	}
	return peers, nil
}
