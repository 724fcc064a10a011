/**
 * The Java suites: programs that use a ZooKeeper service as its users do, through ZooKeeper's own client ({@link
 * gopherwood.ClientSuite}) and through Apache Curator ({@link gopherwood.CuratorSuite}).
 *
 * <p>Every check prints one line, {@code PASS name ms}, {@code FAIL name: why} or {@code SKIP name: why}, and the last line
 * counts them; the Go tests in {@code e2e} start these programs and relay the lines as subtests. Arguments: {@code --connect
 * host:port,host:port --root /where/to/work [--only substring] [--parallel n]}.
 *
 * <p>The checks know nothing of the server but ZooKeeper's contract: they pass against ZooKeeper itself.
 */
package gopherwood;
