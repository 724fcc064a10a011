// Package e2e proves the whole product from outside: real servers as processes on loopback, and the clients that users have.
//
// Two kinds of tests live here. The client suites run ZooKeeper's own Java client and shell, Apache Curator, Python's kazoo,
// go-zookeeper and the C client, each in its own language, against one server and against three. The fault tests kill servers
// under load and check from the raw protocol that nothing acknowledged was lost, doubled or reordered.
//
// The tests that ZooKeeper, Curator and kazoo publish of themselves are in the package upstream below (`make upstream`).
//
// They are slow and want other languages' tools, so they run only with GOPHERWOOD_E2E=1, which `make e2e` and `make test` set
// after they have brought what is needed. More variables:
//
//	GOPHERWOOD_E2E_TARGET=zookeeper   run the suites against Apache ZooKeeper: a check that fails there is the check's fault
//	GOPHERWOOD_E2E_TARGET=gopherwood-race   run them against a server built with the race detector
//	GOPHERWOOD_E2E_BINARY=path              run this gopherwood instead of building one
//	GOPHERWOOD_E2E_CONNECT=host:port,…      run the client suites against servers that run already
//	GOPHERWOOD_E2E_ROUNDS=10                rounds of the fault tests (default 2)
//	GOPHERWOOD_E2E_SECONDS=600              length of the soak test (default 20)
//	GOPHERWOOD_E2E_ZNODES=1000000           size of the restart test (default 100000)
//	GOPHERWOOD_E2E_SESSIONS=20000           size of the idle-session test (default 2000)
//	GOPHERWOOD_E2E_STORM=10000              sessions of the reconnect storm (default 500); above 1000 the leader dies as well
//	GOPHERWOOD_ORACLE_SEEDS=2000            random scripts that e2e/oracle compares with ZooKeeper, for each of two ensembles (default 40)
//	GOPHERWOOD_ORACLE_OPS=300               steps of each (default 100)
//	GOPHERWOOD_ORACLE_FIRST=1               the first seed; with GOPHERWOOD_ORACLE_SEEDS=1 it alone
//	GOPHERWOOD_ORACLE_FAILURES=1            stop after so many scripts that differ
//	GOPHERWOOD_ORACLE_WORKERS=4             scripts at a time
//	GOPHERWOOD_ORACLE_REWRITE=1             record what ZooKeeper answers to the scripts of e2e/oracle/testdata
//	GOPHERWOOD_CHAOS_SECONDS=1800           how long e2e/chaos makes faults (default 75)
//	GOPHERWOOD_CHAOS_SEED=1                 the seed of its plans
//	GOPHERWOOD_CHAOS_ROUND=1                the first round
//	GOPHERWOOD_CHAOS_SERVERS=3              how many servers
//	GOPHERWOOD_E2E_KEEP=1                   keep the servers' logs, in .cache/e2e-logs, also when the test passed
//	GOPHERWOOD_E2E_STRICT=1                 hold the figures to what was promised, on a machine that does nothing else
//
// Nothing imports this package.
package e2e
