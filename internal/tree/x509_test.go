package tree

import "testing"

// TestDistinguishedName: what Java 17's X500Principal makes of the same names.
func TestDistinguishedName(t *testing.T) {
	for name, want := range map[string]bool{
		"":                                    true,
		"CN=alice":                            true,
		"cn=alice,ou=R\\+D,O=Acme, Inc=x":     false, // Inc is no type
		`CN=zoo 1,OU=R\+D,O=Acme\, Inc.,C=DE`: true,
		`CN="Acme, Inc.", C=DE`:               true,
		`CN=a;C=DE`:                           true,
		`CN=a+OU=b`:                           true,
		`CN=\C3\BC`:                           true,
		"2.5.4.12=#13024472,CN=x":             true,
		"OID.2.5.4.12=Dr":                     true,
		"CN=#zz":                              false,
		"CN=#130":                             false,
		"CN=":                                 true,
		"alice":                               false,
		"=alice":                              false,
		"XY=alice":                            false,
		"CN=a,":                               false,
		`CN=a\`:                               false,
		`CN=a\q`:                              false,
		`CN="a`:                               false,
		`CN="a"b`:                             false,
		"CN=a<b":                              false,
		"3.1=a":                               false,
		"*":                                   false,
	} {
		if got := isDistinguishedName(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

func FuzzDistinguishedName(f *testing.F) {
	for _, s := range []string{"CN=a,O=b", `CN="a\"b";C=#130244`, `CN=\2C\,+OU=x`, "1.2.3=#00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if isDistinguishedName(s) && s != "" && !isDistinguishedName(s+",CN=x") {
			t.Errorf("%q is a name, and with one part more it is not", s)
		}
	})
}
