// Package zk is the vocabulary of ZooKeeper's client protocol: paths, Stat, ACLs, create modes, events, error codes and
// operation codes, under ZooKeeper's own names and numbers (zookeeper.jute, ZooDefs.java, KeeperException.java).
//
// It holds no connection, does no I/O and has no state; everything in it may be used from any goroutine. Bytes on the wire
// are internal/wire's, the Go client is package client.
package zk
