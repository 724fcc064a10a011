package watch

// Bounds. A record takes some 70 bytes and a path its own bytes and some 60 more.
const (
	// DefaultPerWatcher is how many paths one watcher may watch unless Options says otherwise.
	DefaultPerWatcher = 1 << 20

	// DefaultTotal is how many records a table holds unless Options says otherwise.
	DefaultTotal = 8 << 20

	// shrinkBelow: a table that becomes empty gives back its memory if it ever held more records than this.
	shrinkBelow = 1024
)
