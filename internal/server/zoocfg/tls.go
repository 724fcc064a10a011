package zoocfg

import (
	"math"

	"gopherwood/internal/certs"
)

// Secure is what a file says of TLS (X509Util, ClientX509Util, QuorumX509Util).
type Secure struct {
	Port          int    // secureClientPort; 0: none
	Address       string // interface for it; "" all
	Unified       bool   // client.portUnification: clientPort takes TLS as well
	TLS           certs.Options
	SuperUser     string // distinguished name; "" none
	MaxHandshakes int    // at a time; 0: no limit

	Quorum        bool // sslQuorum: members dial each other with TLS, and take nothing else
	QuorumUnified bool // portUnification: members take connections without TLS as well, and with it also while sslQuorum is off
	QuorumTLS     certs.Options
	AnyMemberName bool // ssl.quorum.clientHostnameVerification=false

	// The admin port has the members' material.
	AdminTLS        bool // admin.forceHttps: it takes TLS
	AdminUnified    bool // admin.portUnification: it takes TLS and plain HTTP
	AdminClientAuth bool // admin.needClientAuth: who comes with TLS has to show a certificate
}

// secureKeys are the settings of TLS.
var secureKeys = secureSetters()

func secureSetters() map[string]setter {
	all := map[string]setter{
		"secureClientPort":        port(func(c *Config) *int { return &c.Secure.Port }),
		"secureClientPortAddress": text(func(c *Config) *string { return &c.Secure.Address }),
		"client.portUnification":  boolean(func(c *Config, on bool) { c.Secure.Unified = on }),
		"client.certReload":       boolean(func(c *Config, on bool) { c.Secure.TLS.Fixed = !on }),
		"ssl.authProvider": func(_ *Config, v string) string {
			if v != "x509" {
				return "names a class of your own, which can't be loaded here; x509 is the one there is"
			}
			return ""
		},
		"authProvider.x509": func(_ *Config, v string) string {
			if v != "org.apache.zookeeper.server.auth.X509AuthenticationProvider" {
				return "names a class of your own, which can't be loaded here; remove it for the scheme x509 of ZooKeeper"
			}
			return ""
		},
		"X509AuthenticationProvider.superUser": text(func(c *Config) *string { return &c.Secure.SuperUser }),
		"netty.server.outstandingHandshake.limit": number(-1, math.MaxInt32, "of handshakes, -1 for no limit", func(c *Config, n int64) {
			c.Secure.MaxHandshakes = int(max(0, n))
		}),
		"sslQuorum":                boolean(func(c *Config, on bool) { c.Secure.Quorum = on }),
		"portUnification":          boolean(func(c *Config, on bool) { c.Secure.QuorumUnified = on }),
		"sslQuorumReloadCertFiles": boolean(func(c *Config, on bool) { c.Secure.QuorumTLS.Fixed = !on }),
		"admin.forceHttps":         boolean(func(c *Config, on bool) { c.Secure.AdminTLS = on }),
		"admin.portUnification":    boolean(func(c *Config, on bool) { c.Secure.AdminUnified = on }),
		"admin.needClientAuth":     boolean(func(c *Config, on bool) { c.Secure.AdminClientAuth = on }),
		"ssl.clientHostnameVerification": boolean(func(c *Config, on bool) {
			c.Secure.TLS.CheckClientName = on
		}),
		"ssl.quorum.clientHostnameVerification": boolean(func(c *Config, on bool) { c.Secure.AnyMemberName = !on }),
	}
	materialSetters(all, "ssl.", func(c *Config) *certs.Options { return &c.Secure.TLS })
	materialSetters(all, "ssl.quorum.", func(c *Config) *certs.Options { return &c.Secure.QuorumTLS })
	return all
}

// materialSetters adds the keys that there are for clients and for members.
func materialSetters(all map[string]setter, prefix string, of func(*Config) *certs.Options) {
	for name, store := range map[string]func(*Config) *certs.Store{
		"keyStore.":   func(c *Config) *certs.Store { return &of(c).Key },
		"trustStore.": func(c *Config) *certs.Store { return &of(c).Trust },
	} {
		all[prefix+name+"location"] = text(func(c *Config) *string { return &store(c).File })
		all[prefix+name+"passwordPath"] = text(func(c *Config) *string { return &store(c).PasswordFile })
		all[prefix+name+"password"] = func(c *Config, v string) string { store(c).Password = v; return "" } // empty is one, too
		all[prefix+name+"type"] = func(c *Config, v string) string { store(c).Type = v; return certs.CheckType(v) }
	}
	all[prefix+"clientAuth"] = func(c *Config, v string) string {
		a, ok := certs.ParseClientAuth(v)
		if !ok {
			return "is none of none, want and need; give one of them"
		}
		of(c).ClientAuth = a
		return ""
	}
	all[prefix+"protocol"] = func(c *Config, v string) string {
		versions, bad := certs.ParseProtocol(v)
		if of(c).Versions == (certs.Versions{}) { // enabledProtocols wins
			of(c).Versions = versions
		}
		return bad
	}
	all[prefix+"enabledProtocols"] = func(c *Config, v string) (bad string) {
		of(c).Versions, bad = certs.ParseProtocols(v)
		return bad
	}
	all[prefix+"ciphersuites"] = func(c *Config, v string) (bad string) {
		of(c).Suites, bad = certs.ParseSuites(v)
		return bad
	}
	all[prefix+"hostnameVerification"] = boolean(func(c *Config, on bool) { of(c).AnyServerName = !on })
	all[prefix+"allowReverseDnsLookup"] = boolean(func(c *Config, on bool) { of(c).ReverseDNS = on })
	const revoked = "asks for revoked certificates to be refused, which is not checked here; remove it, and use certificates that do not live long"
	all[prefix+"crl"] = refusedIf("true", revoked)
	all[prefix+"ocsp"] = refusedIf("true", revoked)
	all[prefix+"context.supplier.class"] = refused("names a Java class, which can't be loaded here; give " + prefix + "keyStore.location and trustStore.location")
}
