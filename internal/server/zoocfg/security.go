package zoocfg

import (
	"slices"
	"strings"

	"gopherwood/internal/sasl"
)

// Security is what a file says of clients' identities.
type Security struct {
	JAASFile       string     // java.security.auth.login.config; "" none
	LoginSection   string     // sasl.serverconfig: the section of the JAAS file; "" is Server
	SASLProvider   bool       // an authProvider.* line names ZooKeeper's class for SASL
	RequireSASL    bool       // sessionRequireClientSASLAuth
	Enforce        bool       // enforce.auth.enabled
	EnforceSchemes []string   // enforce.auth.schemes
	KeepFailedSASL bool       // allowSaslFailedClients
	SuperUsers     []string   // superUser, superUser.*
	SuperPassword  string     // SASLAuthenticationProvider.superPassword
	DigestAlg      string     // DigestAuthenticationProvider.digestAlg; "" is SHA1
	NoDigest       bool       // DigestAuthenticationProvider.enabled=false
	SkipACL        bool       // skipACL=yes
	RemoveHost     bool       // kerberos.removeHostFromPrincipal
	RemoveRealm    bool       // kerberos.removeRealmFromPrincipal
	NameRules      sasl.Rules // security.auth_to_local
	AnySASLUser    string     // letAnySaslUserDoX; "" none
	FIPS           bool       // fips-mode=true: no DIGEST-MD5
	Audit          bool       // audit.enable
}

// securityKeys are settings of Security.
var securityKeys = map[string]setter{
	"java.security.auth.login.config":          text(func(c *Config) *string { return &c.Security.JAASFile }),
	"sasl.serverconfig":                        text(func(c *Config) *string { return &c.Security.LoginSection }),
	"sessionRequireClientSASLAuth":             boolean(func(c *Config, on bool) { c.Security.RequireSASL = on }),
	"enforce.auth.enabled":                     boolean(func(c *Config, on bool) { c.Security.Enforce = on }),
	"allowSaslFailedClients":                   boolean(func(c *Config, on bool) { c.Security.KeepFailedSASL = on }),
	"SASLAuthenticationProvider.superPassword": text(func(c *Config) *string { return &c.Security.SuperPassword }),
	"DigestAuthenticationProvider.digestAlg":   text(func(c *Config) *string { return &c.Security.DigestAlg }),
	"DigestAuthenticationProvider.enabled":     boolean(func(c *Config, on bool) { c.Security.NoDigest = !on }),
	"kerberos.removeHostFromPrincipal":         boolean(func(c *Config, on bool) { c.Security.RemoveHost = on }),
	"kerberos.removeRealmFromPrincipal":        boolean(func(c *Config, on bool) { c.Security.RemoveRealm = on }),
	"letAnySaslUserDoX":                        text(func(c *Config) *string { return &c.Security.AnySASLUser }),
	"audit.enable":                             boolean(func(c *Config, on bool) { c.Security.Audit = on }),
	"fips-mode":                                boolean(func(c *Config, on bool) { c.Security.FIPS = on }),
	"skipACL": func(c *Config, v string) string {
		if v != "yes" && v != "no" {
			return "is neither yes nor no; give one of them"
		}
		c.Security.SkipACL = v == "yes"
		return ""
	},
	"enforce.auth.schemes": func(c *Config, v string) string {
		for scheme := range strings.SplitSeq(v, ",") {
			if scheme = strings.TrimSpace(scheme); scheme == "" {
				return "has an empty scheme; give schemes such as sasl,x509"
			}
			c.Security.EnforceSchemes = append(c.Security.EnforceSchemes, scheme)
		}
		return ""
	},
	"security.auth_to_local": func(c *Config, v string) string {
		rules, err := sasl.ParseRules(v)
		if err != nil {
			return "cannot be applied: " + err.Error()
		}
		c.Security.NameRules = rules
		return ""
	},
}

// ZooKeeper's classes for the schemes that are built in here.
const (
	providers    = "org.apache.zookeeper.server.auth."
	providerSASL = providers + "SASLAuthenticationProvider"
)

var builtIn = []string{providerSASL, providers + "X509AuthenticationProvider", providers + "DigestAuthenticationProvider", providers + "IPAuthenticationProvider"}

// setSecurity takes a key of a family of keys. known is false if it is none of them.
func (c *Config) setSecurity(key, value string) (known bool) {
	switch {
	case key == "superUser" || strings.HasPrefix(key, "superUser."):
		if value != "" {
			c.Security.SuperUsers = append(c.Security.SuperUsers, value)
		}
		return true
	case strings.HasPrefix(key, "authProvider.") && slices.Contains(builtIn, value):
		c.Security.SASLProvider = c.Security.SASLProvider || value == providerSASL
		return true
	}
	return false
}

// shown is a value as an error may repeat it.
func shown(key, value string) string {
	lower := strings.ToLower(key)
	if strings.Contains(lower, "password") || strings.Contains(lower, "superdigest") {
		return "…"
	}
	return value
}
