package zoocfg

import (
	"net"
	"testing"
)

// FuzzServer: a server.N line that is taken names a server that can be reached: a number, a host, ports in their range.
func FuzzServer(f *testing.F) {
	for _, v := range []string{"a:2888:3888;2181", "[::1]:2888:3888:observer;[::]:2181", "10.0.0.1:2888", "a:1:2:participant;b:3", "a", "a:0", "a:1|b:2", ":1:2", "a:1;;2"} {
		f.Add("1", v)
	}
	f.Add("256", "a:1")
	f.Fuzz(func(t *testing.T, number, value string) {
		s, err := ParseServer(number, value)
		if err != nil {
			return
		}
		if s.ID < 1 || s.ID > 255 || s.Host == "" || !inRange(s.PeerPort) || s.ElectPort != 0 && !inRange(s.ElectPort) || s.ClientPort != 0 && !inRange(s.ClientPort) {
			t.Fatalf("server.%s=%s is read as %+v", number, value, s)
		}
		for _, addr := range []string{s.PeerAddr(), s.ClientAddr()} {
			if _, _, err := net.SplitHostPort(addr); addr != "" && err != nil {
				t.Fatalf("server.%s=%s is at %q: %v", number, value, addr, err)
			}
		}
	})
}

func inRange(port int) bool { return port > 0 && port < 1<<16 }
