// Package raftlog is a server's durable Raft log and the files of its snapshots.
//
// The log is a chain of batches in segment files. One Writer.Write is one batch: every record that was waiting, in one write that is a
// multiple of 4 KiB, so that a sector which is durable is never written again. docs/format/log.md draws the bytes:
//
//	<dir>/0000000000000007.log   │segment header│batch 41 ░│batch 42      ░│batch 43 ░│ zeros, or what a recycled file held …
//	<dir>/0000000000000008.log   │segment header│ prepared: zero-filled or recycled, waiting for the writer
//	<dir>/watermark              │slot│slot│    │ the newest batch known to be durable, written now and then, in turns
//	<dir>/000000000001e240.snap  a snapshot at index 123456; docs/format/snapshot-file.md
//
// A batch names its segment, its number, the batch before it by CRC, and the newest batch that was durable when it was written. So after
// a crash the end of the log can be told from a hole in it: what cannot be read is cut off only if nothing that is still there
// says that it was durable once. Otherwise Open returns a *CorruptError and cuts nothing.
//
// The parts have different owners:
//
//	Log        the node's loop: raft.Storage, Stable, Compact, SetSnapshot. No locks in these.
//	Writer     the one goroutine that writes: Write, Sync.
//	Prepare    a background goroutine: makes the next segment, removes what is no longer needed.
//	Watermark  a timer's goroutine.
//	CreateSnapshot, OpenSnapshot, OpenSnapshotRaw, ReceiveSnapshot   any goroutine.
//
// What it does not do: it starts no goroutine, knows no clock, never retries a failed write, and does not lock the directory.
package raftlog
