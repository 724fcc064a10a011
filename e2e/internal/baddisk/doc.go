// Package baddisk is a file system that fails on demand, for servers that are real processes: a folder is mounted over another one, and
// what passes between them can be lost.
//
//	server ──▶ /data (mounted by FUSE) ──▶ this process ──▶ a folder of a plain file system
//	                                        │
//	                                        ├ of each sector that was written and not synced: what it was before
//	                                        └ trouble: errors, slowness, standstill
//
// Cut is a loss of power: of the sectors of 512 bytes that were written since their file was last synced, any survive and the rest is
// what it was. Writes to a file opened O_SYNC or O_DSYNC are synced when they return. Names are another matter: creating, renaming and removing is
// durable at once here (vfs.Mem and the simulator are stricter).
//
// There is no cache of the kernel in between, so a killed process has lost nothing that it wrote: only Cut loses something. It needs
// Linux, root and /dev/fuse. Only end-to-end tests use it.
package baddisk
