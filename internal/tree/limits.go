package tree

// The bounds of the tree. All of them are part of the state machine: a server with another value would answer the same log
// differently, so changing one is a change of the log's format.
const (
	// MaxPathBytes bounds a znode's path, sequence number included. ZooKeeper has only its frame limit of 1 MiB here.
	// Beyond it: BADARGUMENTS.
	MaxPathBytes = 32 << 10
	// MaxDepth bounds the elements of a path; ZooKeeper has no bound of its own. Beyond it: BADARGUMENTS.
	MaxDepth = 2048
	// MaxDataBytes bounds a znode's data. A server's frame limit (jute.maxbuffer) is far below it. Beyond it: BADARGUMENTS.
	MaxDataBytes = 64 << 20
	// MaxOps bounds the members of a multi. Beyond it the command does not decode.
	MaxOps = 1 << 16
	// MaxACLEntries bounds an ACL list, also after its "auth" entries were expanded. Beyond it: INVALIDACL.
	MaxACLEntries = 1 << 10
	// MaxIdentities bounds the identities that a command carries. Beyond it the command does not decode.
	MaxIdentities = 1 << 10
	// MaxSessions bounds the session table. Beyond it a new session is refused with SYSTEMERROR.
	MaxSessions = 1 << 22
	// MaxEnded bounds the sessions of one expire command and the paths of one reap command. Beyond it the command does not decode.
	MaxEnded = 1 << 16

	// MaxStagedBytes bounds a snapshot that is staged to become the state: every server has it in memory beside the state, and so has every
	// snapshot of its own. Beyond it: BADARGUMENTS.
	MaxStagedBytes = 2 << 30
	// stagedForMs is how long a staged snapshot is kept that nobody adds to, in time of the log.
	stagedForMs = 10 * 60 * 1000

	// maxRestoredZxid bounds the zxid of a state that a client sends to be restored, so that many remain.
	maxRestoredZxid = 1 << 62
	// maxReapScan bounds the container and TTL nodes that one call of Reapable looks at.
	maxReapScan = 1 << 16
	// maxReclaim bounds the blobs given back per command once a View has been closed.
	maxReclaim = 32
	// maxQuotaNotes bounds the exceeded limits that a Result names.
	maxQuotaNotes = 8
	// maxScratch bounds the elements of a scratch slice that are kept from one command to the next.
	maxScratch = 1 << 14
	// maxIndexDepth bounds the index directory at 2^maxIndexDepth segments; beyond it a segment grows instead of splitting.
	maxIndexDepth = 21
)
