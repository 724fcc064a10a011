package krb5

import "time"

const (
	// MaxSkew is how far a client's clock may be from this server's (clockskew of krb5.conf has this default).
	MaxSkew = 5 * time.Minute

	// maxReplays bounds the authenticators remembered, some 50 bytes each, for twice MaxSkew. Beyond it clients are refused until some are forgotten.
	maxReplays = 1 << 20

	// maxKeytabBytes bounds a keytab.
	maxKeytabBytes = 1 << 20
)
