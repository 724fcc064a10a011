package tree

import (
	"net/netip"
	"strings"
	"testing"
)

// FuzzAddress: an address or a network that an ACL's ip scheme takes is one that Go's parser takes too, zeros in front excepted, and holds itself.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "010.000.0.1/8", "10.1.2.3/33", "::1/128", "fe80::1%eth0", "::ffff:1.2.3.4", "1.2.3.4.5", "1.2.3", "1.2.3.4/", "/8", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		addr, ok := parseAddr(s)
		if ok && strings.Contains(s, ":") {
			if want, err := netip.ParseAddr(s); err != nil || want != addr {
				t.Fatalf("%q is read as %v, by Go as %v, %v", s, addr, want, err)
			}
		}
		if ok && (addr.Zone() != "" || !strings.Contains(s, ":") && !addr.Is4()) {
			t.Fatalf("%q is read as %v", s, addr)
		}
		p, isPrefix := parsePrefix(s)
		if ok && !isPrefix {
			t.Fatalf("%q is an address and no network", s)
		}
		if isPrefix && (!p.IsValid() || !p.Contains(p.Addr())) {
			t.Fatalf("%q is read as %v, which does not hold its own address", s, p)
		}
		if again, ok := parsePrefix(p.String()); isPrefix && (!ok || again != p) {
			t.Fatalf("%q became %v, then %v", s, p, again)
		}
	})
}
