// Package krb5 is the SASL mechanism GSSAPI with Kerberos 5 (RFC 4752, RFC 4121) for a server that has its key in a keytab, without a security layer.
//
//	client                                   server
//	AP-REQ in a GSS token  ────────────────▶ ticket and authenticator are checked
//	                       ◀──────────────── AP-REP, if the client wants the server to prove itself; then
//	empty                  ────────────────▶
//	                       ◀──────────────── wrapped: the layers that the server offers: none
//	wrapped: no layer      ────────────────▶ done
//
// Tickets and cryptography are github.com/jcmturner/gokrb5's. The key is read from the keytab at the start. No KDC is asked: a server needs none.
// Only encryption types of RFC 3962 and RFC 8009 (AES) are taken: the others have been withdrawn (RFC 6649, RFC 8429).
//
// An authenticator is taken once by one server; what was seen is forgotten when its clock would refuse it anyway, or with the process.
package krb5
