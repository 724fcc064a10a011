package raftlog

import "gopherwood/internal/vfs"

const (
	// blockSize is the unit of the log: batches start at and fill up to multiples of it.
	blockSize = vfs.BlockSize

	defaultCacheBytes        = 8 << 20
	defaultSegmentBytes      = 64 << 20
	defaultFirstSegmentBytes = 512 << 10

	// maxBatchBytes bounds one Write, header included.
	maxBatchBytes = 1 << 30
	// keepBufferBytes is the largest write buffer that is kept from one Write to the next.
	keepBufferBytes = 8 << 20
	// fillBytes is how much of a new segment is zeroed at a time.
	fillBytes = 256 << 10
	// fillSyncBytes is how much of it is written between two syncs where writes are not durable at once.
	fillSyncBytes = 1 << 20
	// maxFree is how many segments are kept to be recycled.
	maxFree = 2
	// scanBytes is how much is read at a time when the log is opened.
	scanBytes = 4 << 20
	// readBytes is how much is read ahead at a time for entries that are no longer in memory.
	readBytes = 512 << 10
	// keepTerms is how many runs of equal terms the writer remembers before it forgets those that are committed.
	keepTerms = 64
	// entryOverhead is what an entry in memory costs beside its data, in bytes, for Options.CacheBytes.
	entryOverhead = 112

	// maxConfStateIDs bounds each list of a decoded ConfState.
	maxConfStateIDs = 1 << 16

	// snapChunkBytes is the uncompressed size of a snapshot's chunks, the last one excepted.
	snapChunkBytes = 256 << 10
	// maxSnapChunkBytes bounds a chunk, compressed or not, that is read.
	maxSnapChunkBytes = 4 << 20
	// maxSnapMetaBytes bounds a snapshot file's encoded metadata.
	maxSnapMetaBytes = 1 << 20
	// snapReadBytes is how much of a snapshot file is read at a time; whole chunks are if they are larger.
	snapReadBytes = 64 << 10
	// prefetchChunks is how many chunks a snapshot's reader may be ahead.
	prefetchChunks = 4
	// snapSyncBytes is how much of a snapshot is written between two syncs, so that no single one is long.
	snapSyncBytes = 8 << 20
)
