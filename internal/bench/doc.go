// Package bench loads any server that speaks ZooKeeper's client protocol, and measures what it costs.
//
// The load is closed: each connection keeps Depth requests in flight and sends the next when an answer comes. A run has phases:
//
//	connect ─► make nodes ─► warm up ─► measure ─► drain ─► remove nodes ─► report
//
// It shares the machine with the servers that it measures, so it is made to be cheap: one goroutine per connection, requests
// patched into prepared frames, all that one read brings answered with one write, two looks at the clock per burst, no
// allocation per operation. What it takes itself is part of the report (Result.BenchCPU).
//
// The figure that other programs on the machine disturb least is the servers' CPU time per operation, read from /proc for
// the processes in Config.Pids.
//
// Run and Floor own all goroutines that they start. Floor measures what no server could be faster than: a round trip to a
// process that does nothing and an append that is on the disk. This package prints nothing while it runs; Config.Progress is told.
package bench
