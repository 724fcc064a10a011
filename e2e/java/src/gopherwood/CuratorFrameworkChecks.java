package gopherwood;

import static gopherwood.NodeChecks.bytes;
import static gopherwood.NodeChecks.text;
import static gopherwood.Suite.equal;
import static gopherwood.Suite.that;

import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.CuratorEventType;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.data.Stat;

/** Curator's fluent calls over the plain operations. */
final class CuratorFrameworkChecks {
    private CuratorFrameworkChecks() {}

    static void add(Suite s) {
        s.check("framework/crud", CuratorFrameworkChecks::crud);
        s.check("framework/parents-as-containers", CuratorFrameworkChecks::parents);
        s.check("framework/protected", CuratorFrameworkChecks::withProtection);
        s.check("framework/transaction", CuratorFrameworkChecks::transaction);
        s.check("framework/background", CuratorFrameworkChecks::background);
        s.check("framework/namespace", CuratorFrameworkChecks::namespace);
        s.check("framework/watches", CuratorFrameworkChecks::watches);
        s.check("framework/auth", CuratorFrameworkChecks::auth);
        s.check("framework/connection-states", CuratorFrameworkChecks::connectionStates);
        s.check("framework/ensemble-of-config", CuratorFrameworkChecks::ensembleOfConfig);
        s.check("framework/compressed", CuratorFrameworkChecks::compressed);
    }

    private static void crud(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        String p = env.path("a");
        c.create().forPath(p, bytes("1"));
        Stat stat = new Stat();
        equal(text(c.getData().storingStatIn(stat).forPath(p)), "1", "data");
        c.setData().withVersion(stat.getVersion()).forPath(p, bytes("2"));
        equal(c.checkExists().forPath(p).getVersion(), 1, "version");
        c.create().orSetData().forPath(p, bytes("3"));
        equal(text(c.getData().forPath(p)), "3", "data");
        c.create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath(p + "/s");
        equal(c.getChildren().forPath(p), List.of("s0000000000"), "children");
        equal(c.getACL().forPath(p), ZooDefs.Ids.OPEN_ACL_UNSAFE, "acl");
        c.sync().forPath(p);
        c.delete().deletingChildrenIfNeeded().forPath(p);
        equal(c.checkExists().forPath(p), null, "deleted");
        c.delete().quietly().forPath(p);
        c.delete().quietly().guaranteed().forPath(p);
    }

    private static void parents(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        c.create().creatingParentContainersIfNeeded().forPath(env.path("a/b/c"), bytes("x"));
        equal(text(c.getData().forPath(env.path("a/b/c"))), "x", "data");
        c.delete().forPath(env.path("a/b/c"));
        Suite.eventually("the empty containers are reaped", () -> c.checkExists().forPath(env.path("a")) == null);
    }

    private static void withProtection(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        String p = c.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(env.path("x-"));
        that(p.matches(env.root + "/_c_[0-9a-f-]{36}-x-\\d{10}"), "protected name " + p);
        that(c.checkExists().forPath(p).getEphemeralOwner() != 0, "ephemeral");
    }

    private static void transaction(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        List<CuratorTransactionResult> r = c.transaction().forOperations(
            c.transactionOp().create().forPath(env.path("a"), bytes("1")),
            c.transactionOp().setData().forPath(env.path("a"), bytes("2")),
            c.transactionOp().check().withVersion(1).forPath(env.path("a")),
            c.transactionOp().create().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(env.path("s")));
        equal(r.size(), 4, "results");
        equal(r.get(3).getResultPath(), env.path("s0000000001"), "sequential in a transaction");
        try {
            c.transaction().forOperations(
                c.transactionOp().delete().forPath(env.path("a")), c.transactionOp().check().forPath(env.path("none")));
            throw new AssertionError("the transaction succeeded");
        } catch (KeeperException.NoNodeException e) {
            equal(text(c.getData().forPath(env.path("a"))), "2", "data after a failed transaction");
        }
    }

    private static void background(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        CompletableFuture<String> created = new CompletableFuture<>();
        c.create().inBackground((cl, e) -> created.complete(e.getType() + " " + e.getResultCode())).forPath(env.path("a"), bytes("1"));
        equal(created.get(30, TimeUnit.SECONDS), CuratorEventType.CREATE + " 0", "create");
        CompletableFuture<String> missing = new CompletableFuture<>();
        c.getData().inBackground((cl, e) -> missing.complete(KeeperException.Code.get(e.getResultCode()).toString())).forPath(env.path("b"));
        equal(missing.get(30, TimeUnit.SECONDS), "NONODE", "getData");
    }

    private static void namespace(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        CuratorFramework in = c.usingNamespace(env.root.substring(1) + "/space");
        in.create().creatingParentsIfNeeded().forPath("/a/b", bytes("x"));
        equal(text(c.getData().forPath(env.path("space/a/b"))), "x", "seen from outside");
        equal(in.getChildren().forPath("/"), List.of("a"), "children of the namespace");
    }

    private static void watches(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        Events once = new Events();
        Events always = new Events();
        c.checkExists().usingWatcher(once).forPath(env.path("a"));
        c.watchers().add().withMode(AddWatchMode.PERSISTENT_RECURSIVE).usingWatcher(always).forPath(env.root);
        c.create().forPath(env.path("a"));
        once.expect(Watcher.Event.EventType.NodeCreated, env.path("a"));
        always.expect(Watcher.Event.EventType.NodeCreated, env.path("a"));
        c.setData().forPath(env.path("a"), bytes("1"));
        always.expect(Watcher.Event.EventType.NodeDataChanged, env.path("a"));
        c.watchers().remove(always).forPath(env.root);
        always.expect(Watcher.Event.EventType.PersistentWatchRemoved, env.root);
        c.setData().forPath(env.path("a"), bytes("2"));
        c.sync().forPath(env.root);
        always.expectNone();
    }

    private static void auth(Env env) throws Exception {
        CuratorFramework owner = env.keep(org.apache.curator.framework.CuratorFrameworkFactory.builder()
            .connectString(env.options.connect())
            .sessionTimeoutMs(Env.TIMEOUT_MS)
            .retryPolicy(new org.apache.curator.retry.RetryOneTime(100))
            .authorization("digest", bytes("max:secret"))
            .build());
        owner.start();
        owner.create().withACL(ZooDefs.Ids.CREATOR_ALL_ACL).forPath(env.path("a"), bytes("x"));
        CuratorFramework other = Curators.client(env);
        other.sync().forPath(env.root);
        try {
            other.getData().forPath(env.path("a"));
            throw new AssertionError("others may read");
        } catch (KeeperException.NoAuthException e) {
            equal(text(owner.getData().forPath(env.path("a"))), "x", "the owner reads");
        }
    }

    private static void connectionStates(Env env) throws Exception {
        Proxy proxy = env.proxy(env.server(0));
        BlockingQueue<ConnectionState> states = new LinkedBlockingQueue<>();
        // Without the ensemble tracker: the client must keep to the proxy.
        CuratorFramework c = env.keep(org.apache.curator.framework.CuratorFrameworkFactory.builder()
            .connectString(proxy.address())
            .ensembleTracker(false)
            .sessionTimeoutMs(4000)
            .connectionTimeoutMs(2000)
            .retryPolicy(new org.apache.curator.retry.RetryForever(100))
            .build());
        c.getConnectionStateListenable().addListener((cl, s) -> states.add(s));
        c.start();
        equal(states.poll(40, TimeUnit.SECONDS), ConnectionState.CONNECTED, "first");
        String e = c.create().withMode(CreateMode.EPHEMERAL).forPath(env.path("e"));
        proxy.drop();
        equal(states.poll(40, TimeUnit.SECONDS), ConnectionState.SUSPENDED, "after a drop");
        equal(states.poll(40, TimeUnit.SECONDS), ConnectionState.RECONNECTED, "and back");
        that(c.checkExists().forPath(e) != null, "the session and its ephemeral live");
        proxy.cut();
        equal(states.poll(40, TimeUnit.SECONDS), ConnectionState.SUSPENDED, "after a cut");
        equal(states.poll(40, TimeUnit.SECONDS), ConnectionState.LOST, "after the session's timeout");
        CuratorFramework other = Curators.client(env);
        Suite.eventually("the session expires", () -> {
            other.sync().forPath(env.root);
            return other.checkExists().forPath(e) == null;
        });
        proxy.mend();
        equal(states.poll(60, TimeUnit.SECONDS), ConnectionState.RECONNECTED, "a new session");
        c.create().withMode(CreateMode.EPHEMERAL).forPath(env.path("e"));
    }

    /** Curator takes the client addresses of /zookeeper/config for its connection string: with them it must still connect. */
    private static void ensembleOfConfig(Env env) throws Exception {
        if (env.servers().size() < 2) {
            throw new Suite.Skip("one server has no members to tell");
        }
        CuratorFramework c = Curators.client(env, env.server(0), Env.TIMEOUT_MS);
        Suite.eventually("Curator knows all servers", () -> {
            String now = c.getZookeeperClient().getCurrentConnectionString();
            return env.servers().stream().allMatch(now::contains);
        });
    }

    private static void compressed(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        byte[] data = new byte[2 << 20];
        c.create().compressed().forPath(env.path("a"), data);
        equal(c.getData().decompressed().forPath(env.path("a")).length, data.length, "length");
    }
}
