package tree

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"gopherwood/zk"
)

// The schemes of identities. auth is expanded and never stored; super is never in a list.
const (
	schemeWorld  = "world"
	schemeAuth   = "auth"
	schemeDigest = "digest"
	schemeIP     = "ip"
	schemeX509   = "x509"
	schemeSASL   = "sasl"
	schemeSuper  = "super"

	// SchemeAnySASL is that of an identity that entries of the scheme sasl are matched by, while "auth" does not stand for it, so that nobody gives a node to all
	// SASL users who means to give it to one: what ZooKeeper's letAnySaslUserDoX does in the server that has it, and the tree must do on all of them alike.
	SchemeAnySASL = "sasl-any"
)

// openID is the id of the open ACL, which is always there.
const openID = 0

// aclTable holds every ACL list once, counting the nodes that have it. Lists are immutable, so that a View may read them.
type aclTable struct {
	lists   []*aclList
	byKey   map[string]uint32 // by the list's encoding; only looked up
	free    []uint32
	dropped []uint32 // lost their last node in this command: freed when the next starts, since its events name them
	key     []byte   // scratch
}

type aclList struct {
	id     uint32
	refs   uint32
	list   []zk.ACL
	digest uint64
	key    string
}

func newACLTable() aclTable {
	a := aclTable{byKey: make(map[string]uint32)}
	a.intern(openACL) // openID
	return a
}

func (a *aclTable) at(id uint32) *aclList { return a.lists[id] }

func isOpen(acl []zk.ACL) bool {
	return len(acl) == 1 && acl[0].Perms == zk.PermAll && acl[0].ID == zk.WorldAnyone
}

// intern is the id of a list, with no reference added. A new list is copied.
func (a *aclTable) intern(acl []zk.ACL) uint32 {
	if len(a.lists) > 0 && isOpen(acl) {
		return openID
	}
	a.key = appendACLKey(a.key[:0], acl)
	if id, ok := a.byKey[string(a.key)]; ok {
		return id
	}
	l := &aclList{list: slices.Clone(acl), key: string(a.key), digest: xxhash.Sum64(a.key)}
	for i := range l.list {
		id := &l.list[i].ID
		id.Scheme, id.ID = strings.Clone(id.Scheme), strings.Clone(id.ID)
	}
	if n := len(a.free); n > 0 {
		l.id = a.free[n-1]
		a.free = a.free[:n-1]
		a.lists[l.id] = l
	} else {
		l.id = uint32(len(a.lists))
		a.lists = append(a.lists, l)
	}
	a.byKey[l.key] = l.id
	return l.id
}

func (a *aclTable) hold(id uint32) { a.lists[id].refs++ }

func (a *aclTable) drop(id uint32) {
	l := a.lists[id]
	l.refs--
	if l.refs == 0 && id != openID {
		a.dropped = append(a.dropped, id)
	}
}

// sweep frees the lists that the last command left without a node.
func (a *aclTable) sweep() {
	for _, id := range a.dropped {
		if l := a.lists[id]; l != nil && l.refs == 0 {
			delete(a.byKey, l.key)
			a.lists[id] = nil
			a.free = append(a.free, id)
		}
	}
	a.dropped = a.dropped[:0]
}

func appendACLKey(b []byte, acl []zk.ACL) []byte {
	for i := range acl {
		b = binary.LittleEndian.AppendUint32(b, uint32(acl[i].Perms))
		b = appendString(appendString(b, acl[i].ID.Scheme), acl[i].ID.ID)
	}
	return b
}

// fixACL is the list as it is stored (PrepRequestProcessor.fixupACL): repeated entries removed, "auth" replaced by the
// identities of the requester, everything else checked. ok is false for INVALIDACL. The result lasts until the next call.
func (t *Tree) fixACL(acl []zk.ACL, auth []zk.ID) (fixed []zk.ACL, ok bool) {
	if isOpen(acl) {
		return openACL, true
	}
	if len(acl) == 0 || len(acl) > MaxACLEntries {
		return nil, false
	}
	t.fixed = t.fixed[:0]
	for i, a := range acl {
		if slices.Contains(acl[:i], a) {
			continue
		}
		if a.ID.Scheme != schemeAuth {
			if !t.isValidID(a.ID) {
				return nil, false
			}
			t.fixed = append(t.fixed, a)
			continue
		}
		known := false
		for _, id := range auth {
			if t.authenticates(id.Scheme) {
				known = true
				t.fixed = append(t.fixed, zk.ACL{Perms: a.Perms, ID: id})
			}
		}
		if !known || len(t.fixed) > MaxACLEntries {
			return nil, false
		}
	}
	return t.fixed, len(t.fixed) <= MaxACLEntries
}

// knows says whether the scheme has a provider (ProviderRegistry).
func (t *Tree) knows(scheme string) bool {
	return scheme == schemeDigest || scheme == schemeIP || slices.Contains(t.schemes, scheme)
}

// authenticates says whether "auth" stands for identities of the scheme (AuthenticationProvider.isAuthenticated).
func (t *Tree) authenticates(scheme string) bool { return scheme != schemeIP && t.knows(scheme) }

func (t *Tree) isValidID(id zk.ID) bool {
	if id.Scheme == schemeWorld {
		return id.ID == zk.WorldAnyone.ID
	}
	if !t.knows(id.Scheme) {
		return false
	}
	switch id.Scheme {
	case schemeDigest:
		// as Java's split(":") has it: two parts, empty ones at the end not counted
		s := strings.TrimRight(id.ID, ":")
		return strings.Count(s, ":") == 1
	case schemeIP:
		_, ok := parsePrefix(id.ID)
		return ok
	case schemeX509:
		return isDistinguishedName(id.ID)
	case schemeSASL:
		return isKerberosName(id.ID)
	default:
		return id.ID != ""
	}
}

// isKerberosName says whether a name is service/host@REALM, where the host may be missing, or has no @ (SASLAuthenticationProvider.isValid, KerberosName).
func isKerberosName(name string) bool {
	first, realm, ok := strings.Cut(name, "@")
	return !ok || (strings.Count(first, "/") <= 1 && !strings.ContainsAny(realm, "@/"))
}

// allowed says whether an identity of auth has one of the permissions (ZooKeeperServer.checkACL).
func (t *Tree) allowed(acl uint32, perm zk.Perms, auth []zk.ID) bool {
	if acl == openID {
		return true
	}
	list := t.acls.at(acl).list
	if len(list) == 0 {
		return true
	}
	for i := range auth {
		if auth[i].Scheme == schemeSuper {
			return true
		}
	}
	for i := range list {
		a := &list[i]
		if a.Perms&perm == 0 {
			continue
		}
		if a.ID == zk.WorldAnyone {
			return true
		}
		if !t.knows(a.ID.Scheme) {
			continue
		}
		for j := range auth {
			if auth[j].Scheme == a.ID.Scheme && matches(a.ID.Scheme, auth[j].ID, a.ID.ID) {
				return true
			}
			if auth[j].Scheme == SchemeAnySASL && a.ID.Scheme == schemeSASL && auth[j].ID == a.ID.ID {
				return true
			}
		}
	}
	return false
}

// matches says whether the identity id is one that the entry's expression means (AuthenticationProvider.matches).
func matches(scheme, id, expr string) bool {
	switch scheme {
	case schemeIP:
		p, ok := parsePrefix(expr)
		if !ok {
			return false
		}
		addr, ok := parseAddr(id)
		return ok && p.Contains(addr)
	case schemeSASL:
		return id == schemeSuper || id == expr
	default:
		return id == expr
	}
}

// parsePrefix reads "address" or "address/bits".
func parsePrefix(s string) (netip.Prefix, bool) {
	host, length, cut := strings.Cut(s, "/")
	addr, ok := parseAddr(host)
	if !ok {
		return netip.Prefix{}, false
	}
	n := addr.BitLen()
	if cut {
		var err error
		if n, err = strconv.Atoi(length); err != nil || n < 0 || n > addr.BitLen() {
			return netip.Prefix{}, false
		}
	}
	return netip.PrefixFrom(addr, n), true
}

// parseAddr reads an address as IPAuthenticationProvider does: four decimal numbers, which may have zeros in front, or the
// plain forms of IPv6, without a zone and without a dotted end.
func parseAddr(s string) (netip.Addr, bool) {
	if strings.Contains(s, ":") {
		if strings.ContainsAny(s, ".%") {
			return netip.Addr{}, false
		}
		a, err := netip.ParseAddr(s)
		return a, err == nil
	}
	var b [4]byte
	for i := range b {
		part, rest, more := strings.Cut(s, ".")
		if more != (i < 3) {
			return netip.Addr{}, false
		}
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil || n > 255 {
			return netip.Addr{}, false
		}
		b[i], s = byte(n), rest
	}
	return netip.AddrFrom4(b), true
}
