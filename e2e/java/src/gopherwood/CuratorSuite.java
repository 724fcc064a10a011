package gopherwood;

/** The suite of Apache Curator: its framework, its recipes, its service discovery. */
public final class CuratorSuite {
    private CuratorSuite() {}

    public static void main(String[] args) throws Exception {
        Suite suite = new Suite();
        CuratorFrameworkChecks.add(suite);
        CuratorLeaderChecks.add(suite);
        CuratorLockChecks.add(suite);
        CuratorBarrierChecks.add(suite);
        CuratorCounterChecks.add(suite);
        CuratorCacheChecks.add(suite);
        CuratorNodeChecks.add(suite);
        CuratorDiscoveryChecks.add(suite);
        System.exit(suite.run(Options.parse(args)));
    }
}
