// Package certs is the key material of TLS: it reads certificates, private keys and trusted authorities from files, makes TLS configurations of
// them, and reads the files again when they change.
//
//	files ── Open ──▶ material ──▶ Source.Server: a connection that was accepted
//	  ▲                  ▲    └───▶ Source.Client: a connection that was dialled
//	  └── Watch: every WatchInterval; a change that cannot be read is logged, and the material before stays
//
// The files are PEM, PKCS #12 or Java's JKS; what they hold decides which. Names of settings, defaults and rules are those of ZooKeeper's X509Util,
// ClientX509Util and QuorumX509Util. A connection has the material that there was when it began, for its whole life; session tickets of
// the material before are not taken.
//
// Subject is a certificate's identity as Java writes it, which is what ACLs of the scheme x509 hold.
//
// It opens no sockets and decides nothing about identities. All of a Source may be used from any goroutine. Passwords are in no error and in no
// log line.
package certs
