package client

import (
	"net"
	"strings"
	"testing"
)

// FuzzParseServers: a connect string that is taken gives addresses that can be dialled, and is read the same when it is put together again.
func FuzzParseServers(f *testing.F) {
	for _, s := range []string{"a:1,b:2/chroot", "[::1]:2181,::1", "a", "a:0", "a,,b", "/x", "a/", "a/x/", "[a", "a]:1", "[]:5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		servers, chroot, err := ParseServers(s)
		if err != nil {
			return
		}
		for _, addr := range servers {
			if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
				t.Fatalf("%q is read as %q: host %q, port %q, %v", s, addr, host, port, err)
			}
		}
		again, root, err := ParseServers(strings.Join(servers, ",") + chroot)
		if err != nil || root != chroot || strings.Join(again, ",") != strings.Join(servers, ",") {
			t.Fatalf("%q is read as %q%s, then as %q%s, %v", s, servers, chroot, again, root, err)
		}
	})
}
