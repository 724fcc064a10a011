package gopherwood;

/** The suite of ZooKeeper's own Java client: every operation of the client protocol. */
public final class ClientSuite {
    private ClientSuite() {}

    public static void main(String[] args) throws Exception {
        Suite suite = new Suite();
        NodeChecks.add(suite);
        AsyncChecks.add(suite);
        MultiChecks.add(suite);
        WatchChecks.add(suite);
        PersistentWatchChecks.add(suite);
        RearmChecks.add(suite);
        AclChecks.add(suite);
        SessionChecks.add(suite);
        ReapChecks.add(suite);
        System.exit(suite.run(Options.parse(args)));
    }
}
