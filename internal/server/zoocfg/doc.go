// Package zoocfg reads ZooKeeper's configuration file, zoo.cfg, with the myid file beside the data (QuorumPeerConfig). It knows what
// the keys mean here, refuses what this server cannot do, and names every mistake in one sentence: the key, what is wrong, and what
// would be right.
//
//	tickTime=2000
//	dataDir=/var/lib/zookeeper
//	clientPort=2181
//	server.1=zoo1:2888:3888;2181
//	server.2=zoo2:2888:3888:participant;10.0.0.2:2181
//
// The file is in Java's properties format (properties.go). Parsing does no I/O beyond the files themselves and has no state.
package zoocfg
