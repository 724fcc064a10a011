// Package upstream runs the tests that ZooKeeper, Curator and kazoo publish of themselves against Gopherwood.
//
// The tests come as their projects released them: ZooKeeper's and Curator's in jars (classifier tests), kazoo's in its package. What is
// ours is the adapter through which they start servers, a few classes in front of theirs on the class path (java/src) and a program
// named java in front of the real one in the PATH (python/bin): whatever a test starts is a Gopherwood process.
//
//	zookeeper  servers of one      ServerCnxnFactory, both kinds          gopherwood.upstream.Connections
//	           servers of several  QuorumBase, QuorumUtil, QuorumPeerMain gopherwood.upstream.Peer and Main
//	curator    TestingServer and TestingCluster                           ZooKeeperServerEmbeddedAdapter
//	kazoo      ManagedZooKeeper                                           python/bin/java
//
// Each project has a list here, zookeeper.txt, curator.txt and kazoo.txt, that names every test class it has: those that run, and
// those that can't apply with the reason. Within the classes that run, the tests that can't pass are named with their reason, too. The verdict is
// the test runner's own report (JUnit's XML), compared with the list: a failure that is not listed fails, a listed one that passes is
// told, and so is one that passed without having started a server. A class that is in no list fails: a new release can't add one unseen.
//
// They run only with GOPHERWOOD_E2E=1, after `make upstream-deps`:
//
//	make upstream     all of them, most of an hour, with a summary by reason (also in .cache/upstream/summary.txt)
//	make e2e          the quick ones that the lists name, about a minute
//
//	GOPHERWOOD_UPSTREAM=all                 all of them
//	GOPHERWOOD_UPSTREAM_ONLY=Client,Stat    only the classes whose names contain one of these
//	GOPHERWOOD_UPSTREAM_ONCE=1              no second attempt for what fails unexpectedly
//	GOPHERWOOD_E2E_BINARY=path              run this gopherwood instead of building one
//
// Nothing imports this package.
package upstream
