// Package vfs is the small filesystem that the log and the snapshots stand on, as an interface, with three implementations:
//
//	OS()             the machine's own
//	NewMem(seed)     in memory, and it can lose power: what was not synced survives by sectors, at random
//	WithErrors(fs)   around either: the n-th operation of a kind fails
//
// The promises are the least that POSIX gives, so that nothing above relies on more: bytes are durable after File.Sync (or when the
// write returns, for a direct file), names are durable after SyncDir. Creating a file and syncing it does not make its
// name durable. The one unit that is taken to be written whole or not at all is a sector of 512 bytes.
//
// Paths are slash-separated and taken as they are. All implementations may be used from any goroutine; a File's Read and Write (the
// ones with a position) only from one at a time. The package has no policy: it never retries, never deletes and
// never syncs by itself, MkdirAll excepted.
package vfs
