package sasl

import "strings"

// Names says what a client that has authenticated is called (SaslServerCallbackHandler.handleAuthorizeCallback).
type Names struct {
	RemoveHost  bool   // kerberos.removeHostFromPrincipal
	RemoveRealm bool   // kerberos.removeRealmFromPrincipal
	Realm       string // the server's own
	Rules       Rules  // security.auth_to_local
}

// Of is the name of a user or a principal: what the rules call it, with its host and its realm unless they are to be removed. A name without a realm stays as it is.
// So does one that no rule is about, as those of other realms by default: shortened, it would be somebody else's.
func (n Names) Of(principal string) string {
	rest, realm, ok := strings.Cut(principal, "@")
	first, host, hasHost := strings.Cut(rest, "/")
	if !ok || strings.ContainsAny(realm, "/@") || strings.Contains(host, "/") {
		return principal
	}
	params := []string{realm, first}
	if hasHost {
		params = append(params, host)
	}
	name, ok := n.Rules.shorten(params, n.Realm)
	if !ok {
		return principal
	}
	if hasHost && !n.RemoveHost {
		name += "/" + host
	}
	if !n.RemoveRealm {
		name += "@" + realm
	}
	return name
}
