package sasl

// The bounds of an exchange and of what configures it.
const (
	// MaxTokenBytes bounds a client's token of any mechanism; a Kerberos ticket with authorization data may be long.
	MaxTokenBytes = 64 << 10

	// maxDigestBytes bounds a digest-response (RFC 2831, section 2.1.2), and a challenge that a client reads.
	maxDigestBytes = 4096

	// maxDigestFields bounds the fields of either.
	maxDigestFields = 32

	// maxSCRAMBytes bounds a message of SCRAM.
	maxSCRAMBytes = 4096

	// maxNameBytes and maxPasswordBytes bound what names a user.
	maxNameBytes     = 256
	maxPasswordBytes = 1024

	// maxSteps bounds the tokens of one exchange.
	maxSteps = 8

	// maxUsers bounds the users of a server.
	maxUsers = 100_000

	// MaxFileBytes bounds a users' file and a JAAS file.
	MaxFileBytes = 16 << 20

	// minIterations is what RFC 7677 asks for at least; maxIterations is what a client is willing to compute for a server.
	minIterations = 4096
	maxIterations = 1_000_000

	// maxEntries and maxOptions bound a JAAS file.
	maxEntries = 1000
	maxOptions = maxUsers + 100
)
