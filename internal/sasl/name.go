package sasl

import "strings"

// Names says what a client that has authenticated is called (SaslServerCallbackHandler.handleAuthorizeCallback).
type Names struct {
	RemoveHost  bool   // kerberos.removeHostFromPrincipal
	RemoveRealm bool   // kerberos.removeRealmFromPrincipal
	Realm       string // the realm whose principals are shortened; those of others keep their whole name
}

// Of is the name of a user or a principal. A name without a realm stays as it is. So does one of another realm: shortened, it would be somebody else's.
func (n Names) Of(principal string) string {
	rest, realm, ok := strings.Cut(principal, "@")
	if !ok || realm != n.Realm {
		return principal
	}
	first, host, hasHost := strings.Cut(rest, "/")
	if hasHost && !n.RemoveHost {
		first += "/" + host
	}
	if !n.RemoveRealm {
		first += "@" + realm
	}
	return first
}
