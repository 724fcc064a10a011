package certs

import "testing"

// FuzzRules: what the settings of TLS are read as is a choice that crypto/tls can be given, or there is a reason why not.
func FuzzRules(f *testing.F) {
	for _, s := range []string{"TLSv1.2,TLSv1.3", "tlsv1.3", "SSLv2Hello", "TLSv1,TLSv1.2", "TLS", "need", "TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,no", ",", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, parse := range []func(string) (Versions, string){ParseProtocol, ParseProtocols} {
			if v, bad := parse(s); bad == "" && v.Min > v.Max {
				t.Fatalf("%q is read as %x to %x", s, v.Min, v.Max)
			}
		}
		if u, bad := ParseSuites(s); bad == "" && !u.TLS13 && len(u.IDs) == 0 {
			t.Fatalf("%q is read as %+v", s, u)
		}
		if a, ok := ParseClientAuth(s); ok {
			if again, ok := ParseClientAuth(s + " "); ok && again != a {
				t.Fatalf("%q is read as %v and %v", s, a, again)
			}
		}
	})
}
