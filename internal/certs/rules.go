package certs

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// ClientAuth is whether those who connect have to show a certificate (X509Util.ClientAuth).
type ClientAuth uint8

const (
	// ClientAuthNeed, the default: a certificate of a trusted authority, or no connection.
	ClientAuthNeed ClientAuth = iota
	// ClientAuthWant: who shows one has to show a good one.
	ClientAuthWant
	// ClientAuthNone does not ask.
	ClientAuthNone
)

// ParseClientAuth reads none, want or need.
func ParseClientAuth(s string) (ClientAuth, bool) {
	switch strings.ToLower(s) {
	case "", "need":
		return ClientAuthNeed, true
	case "want":
		return ClientAuthWant, true
	case "none":
		return ClientAuthNone, true
	}
	return 0, false
}

// Versions are the lowest and the highest TLS version. Zero: 1.2 and 1.3.
type Versions struct{ Min, Max uint16 }

// versions are Java's names.
var versions = map[string]uint16{
	"TLSV1": tls.VersionTLS10, "TLSV1.0": tls.VersionTLS10, "TLSV1.1": tls.VersionTLS11, "TLSV1.2": tls.VersionTLS12, "TLSV1.3": tls.VersionTLS13,
}

// ParseProtocol reads ssl.protocol: the highest version, with TLS 1.2 as the lowest if it is not above that.
func ParseProtocol(s string) (v Versions, bad string) {
	if strings.EqualFold(s, "TLS") {
		return Versions{}, ""
	}
	n, ok := versions[strings.ToUpper(s)]
	if !ok {
		return v, "is no version of TLS; give TLSv1.2 or TLSv1.3"
	}
	return Versions{Min: min(n, tls.VersionTLS12), Max: n}, ""
}

// ParseProtocols reads ssl.enabledProtocols, a list without gaps.
func ParseProtocols(s string) (v Versions, bad string) {
	var all []uint16
	for name := range strings.SplitSeq(s, ",") {
		name = strings.ToUpper(strings.TrimSpace(name))
		if name == "SSLV2HELLO" { // Java's way to greet, not a version
			continue
		}
		n, ok := versions[name]
		if !ok {
			return v, fmt.Sprintf("names %q, which is no version of TLS; give some of TLSv1.2,TLSv1.3", name)
		}
		all = append(all, n)
	}
	if len(all) == 0 {
		return v, "names no version of TLS; give some of TLSv1.2,TLSv1.3"
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if int(all[len(all)-1]-all[0]) != len(all)-1 {
		return v, "leaves out a version between two others; give versions that follow each other"
	}
	return Versions{Min: all[0], Max: all[len(all)-1]}, ""
}

// Suites are cipher suites by Go's ids. Zero: Go's choice.
type Suites struct {
	Given   bool     // a choice was made
	IDs     []uint16 // for TLS 1.2 and below
	TLS13   bool     // some of TLS 1.3's are among them
	Skipped []string // names of suites that there are none of here
}

// ParseSuites reads ssl.ciphersuites. Java's names are IANA's, as Go's are.
func ParseSuites(s string) (u Suites, bad string) {
	u.Given = true
	for name := range strings.SplitSeq(s, ",") {
		name = strings.TrimSpace(name)
		known := slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites())
		i := slices.IndexFunc(known, func(c *tls.CipherSuite) bool { return strings.EqualFold(c.Name, name) })
		switch {
		case name == "":
		case i < 0:
			u.Skipped = append(u.Skipped, name)
		case slices.Contains(known[i].SupportedVersions, tls.VersionTLS13):
			u.TLS13 = true
		default:
			u.IDs = append(u.IDs, known[i].ID)
		}
	}
	if !u.TLS13 && len(u.IDs) == 0 {
		return u, "names no cipher suite that there is here; give some such as TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
	}
	return u, ""
}

// apply sets what a configuration may use. TLS 1.3 has suites of its own, all of which are used or none.
func (u Suites) apply(c *tls.Config, v Versions) error {
	c.MinVersion, c.MaxVersion = cmp.Or(v.Min, tls.VersionTLS12), cmp.Or(v.Max, tls.VersionTLS13)
	if !u.Given {
		return nil
	}
	c.CipherSuites = u.IDs
	if !u.TLS13 {
		c.MaxVersion = min(c.MaxVersion, tls.VersionTLS12)
	}
	if len(u.IDs) == 0 {
		c.MinVersion = max(c.MinVersion, tls.VersionTLS13)
	}
	if c.MinVersion > c.MaxVersion {
		return fmt.Errorf("the cipher suites and the protocol versions leave nothing in common; TLSv1.3 has suites of its own (TLS_AES_128_GCM_SHA256)")
	}
	return nil
}
