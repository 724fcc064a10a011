// Package core is the metadata of a distributed file system as a deterministic state machine: the one that both ways of availability of fsmaster share. It
// knows nothing of either.
//
//	Op, Env ──▶ FS.Apply ──▶ Result          the same on every master that is given the same operations in the same order
//	            FS.View  ──▶ bytes           as of one moment, while Apply goes on
//
// An inode is a record in a page; a view takes the pages as they are, and whoever changes a record afterwards copies its page and the record first. What can be
// worked out of the records, the index of each directory, is in no view. Path lookups go from directory to directory, so that a rename of a directory
// with a million files below it changes one record.
//
// Nothing here takes a lock, looks at a clock or at the order of a map.
package core

// The bounds.
const (
	MaxPath   = 4096
	MaxName   = 255
	MaxDepth  = 256
	MaxAttrs  = 32
	MaxAttr   = 1024 // bytes of a name or value of an attribute, an owner, an address
	MaxBlocks = 1 << 20
	MaxMounts = 1024
	// MaxWorkers bounds the registered workers, lost ones included.
	MaxWorkers = 4096
	// MaxImport bounds the records of one import.
	MaxImport = 1000
	// pageSize is how many inodes have a page.
	pageSize = 256
	// replicas is how many workers have a block, if there are as many.
	replicas = 3
)
