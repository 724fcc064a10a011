// Package sasl authenticates clients by SASL (RFC 4422): DIGEST-MD5 (RFC 2831), which ZooKeeper's clients speak, and SCRAM-SHA-256 (RFC 5802,
// RFC 7677), for servers and for clients; where a server's users come from; and the names that they get. Kerberos is in the package below.
//
//	client's first token                         mechanism
//	"", and what is none of the others           DIGEST-MD5
//	"n,,n=bob,r=…"   "y,,…"   "p=…"              SCRAM-SHA-256
//	60 … 2a 86 48 86 f7 12 01 02 02 01 00 …      GSSAPI
//
// ZooKeeper's protocol names no mechanism: its servers have one, and its clients are told which by their own configuration. Here a server may have
// several, and a client's first token says which one it speaks.
//
//	        Step                  Step
//	start ───────▶ challenged ───────────▶ done    an Exchange; an error ends it from anywhere, and it then
//	   └───────────────┴──────▶ failed             answers every further token with an error
//
// Tokens and users' files are foreign bytes: everything in them has a bound (limits.go), and no password and nothing that is derived from one
// is in an error. Names and passwords are compared as the UTF-8 that they are, without SASLprep.
//
// Package server and package client call it. It does no I/O but for randomness, has no goroutine, and knows no connection.
package sasl
