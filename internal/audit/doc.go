// Package audit writes the audit log: who changed what, a line for each change, in the form that ZooKeeper's Slf4jAuditLogger has with its own
// configuration, so that what reads those reads these.
//
//	2026-11-22 04:05:06,789 INFO audit.Slf4jAuditLogger: session=0x1000…	user=127.0.0.1,bob	ip=127.0.0.1	operation=create	znode=/a	znode_type=persistent	result=success
//
//	Add (any goroutine, never waits) ──▶ lines, at most maxPendingBytes ──▶ the writer: one write for all that has come
//
// The writer is the one goroutine here. Who calls Add is never made to wait for a disk: when the disk is full, or slower than the changes for longer than the
// bound allows, lines are lost, and counted. The loss is in the server's log at once, and in the audit log as a line of its own
// (operation=auditLinesLost) as soon as it can be written again. Lines are not synced: a crash of the machine, not of the process, may lose the last ones.
//
// A file that was moved away or removed is made anew, so that logrotate needs no signal. Package server calls it.
package audit
