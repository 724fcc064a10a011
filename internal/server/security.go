package server

import (
	"fmt"
	"slices"
	"strings"

	"gopherwood/internal/sasl"
	"gopherwood/internal/tree"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// Security is how clients prove who they are, and what this server asks of them. The zero value is what ZooKeeper does by default.
//
// What it says about schemes and rights is applied where a request comes in, and travels in the command: servers of one ensemble with different settings apply
// the same commands alike.
type Security struct {
	// SASL are the mechanisms that clients may use; none: a client's token is answered with none (ZooKeeperServer.processSasl).
	SASL []sasl.Mechanism
	// SASLInACLs lets ACLs have the scheme sasl (authProvider.*); they may in any case if there are mechanisms. ZooKeeper refuses a scheme that a
	// server does not have, since nobody could ever prove to be what it names.
	SASLInACLs bool
	// SuperUsers are the SASL users to whom no ACL applies (superUser and superUser.*).
	SuperUsers []string
	// Enforce are the schemes one of which a connection must have an identity of before it may do anything (enforce.auth.schemes,
	// sessionRequireClientSASLAuth); none: nobody has to prove anything.
	Enforce []string
	// AnySASLUser is a name in ACL entries of the scheme sasl that stands for every SASL user (letAnySaslUserDoX); "": none does.
	AnySASLUser string
	// KeepFailedSASL leaves a connection open whose client failed to authenticate itself by SASL (allowSaslFailedClients). It does not count with
	// sasl in Enforce.
	KeepFailedSASL bool
	// DigestAlgorithm hashes the digest scheme's identities (DigestAuthenticationProvider.digestAlg); "" is SHA1. It has to be the same on all
	// servers, and identities in ACLs are only of use with the one that made them.
	DigestAlgorithm string
	// NoDigest takes the digest scheme away (DigestAuthenticationProvider.enabled=false).
	NoDigest bool
	// SkipACL lets everybody do everything (skipACL=yes).
	SkipACL bool
}

const (
	schemeSASL = "sasl"
	// schemeAnySASL is the scheme of what AnySASLUser gives a SASL user in commands: entries of sasl are matched by it, but "auth" does not stand for it.
	schemeAnySASL = tree.SchemeAnySASL

	// schemeOff takes the place of a scheme that this server does not have, in an ACL on its way into a command: no tree has it, so the
	// write is refused with INVALIDACL, in its turn.
	schemeOff = "off"
)

func (c *Security) validate() error {
	if _, ok := digestAlgorithm(c.DigestAlgorithm); !ok {
		return fmt.Errorf("server: there is no digest algorithm %q; SHA1, SHA-256 and SHA-512 are some of those that there are", c.DigestAlgorithm)
	}
	for _, scheme := range c.Enforce {
		if !c.has(scheme) {
			return fmt.Errorf("server: authentication by scheme %q is asked for (enforce.auth.schemes, sessionRequireClientSASLAuth), but this server is not "+
				"configured for it", scheme)
		}
	}
	return nil
}

// has says whether identities of the scheme can be had and can be in ACLs here.
func (c *Security) has(scheme string) bool {
	switch scheme {
	case schemeIP, schemeX509:
		return true
	case schemeDigest:
		return !c.NoDigest
	case schemeSASL:
		return c.SASLInACLs || len(c.SASL) > 0
	}
	return false
}

// admit takes the schemes out of a request's ACL that this server does not have. The list is the caller's own.
func (c *Security) admit(acl []zk.ACL) {
	for i := range acl {
		switch scheme := &acl[i].ID.Scheme; *scheme {
		case schemeSASL, schemeDigest:
			if !c.has(*scheme) {
				*scheme = schemeOff
			}
		}
	}
}

// isAdmitted says whether a connection with these identities may do anything (AuthenticationHelper.enforceAuthentication).
func (c *Security) isAdmitted(ids []zk.ID) bool {
	return len(c.Enforce) == 0 || slices.ContainsFunc(ids, func(id zk.ID) bool { return slices.Contains(c.Enforce, id.Scheme) })
}

// turnAway answers a request of a connection that has not proved what this server wants to know.
func (r *run) turnAway(h *wire.RequestHeader) {
	c := r.c
	c.srv.stats.authFails.Add(1)
	c.srv.noisy.warn("closed a client's connection: it has not authenticated itself by a scheme that this server asks for (enforce.auth.schemes)",
		"client", c, "schemes", strings.Join(c.srv.cfg.Security.Enforce, ","))
	r.decided(h, zk.ErrSessionClosedRequireSASL, lastReply)
}
