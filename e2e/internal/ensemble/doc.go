// Package ensemble runs servers as real processes on loopback for the end-to-end tests: one or several of Gopherwood, or of
// ZooKeeper itself, which is how a test is known to be right before it accuses Gopherwood.
//
// States of a server:
//
//	new ──Start──▶ running ──Kill/Terminate──▶ ended ──Start──▶ running …
//
// Every server has ports and a directory of its own that it keeps over restarts. Whatever a test starts is ended with the test,
// by process id. On failure the logs are copied to a folder that outlives the test.
//
// Only end-to-end tests call it. It does not speak the client protocol beyond four-letter words.
package ensemble
