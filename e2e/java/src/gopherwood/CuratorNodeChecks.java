package gopherwood;

import static gopherwood.NodeChecks.bytes;
import static gopherwood.NodeChecks.text;
import static gopherwood.Suite.equal;
import static gopherwood.Suite.eventually;
import static gopherwood.Suite.that;

import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.zookeeper.CreateMode;

/** Nodes that recipes keep alive, and groups. */
final class CuratorNodeChecks {
    private CuratorNodeChecks() {}

    static void add(Suite s) {
        s.check("node/persistent-node", CuratorNodeChecks::persistentNode);
        s.check("node/persistent-node-of-lost-session", CuratorNodeChecks::lostSession);
        s.check("node/persistent-ttl-node", CuratorNodeChecks::ttlNode);
        s.check("node/group-member", CuratorNodeChecks::group);
    }

    private static void persistentNode(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        CuratorFramework other = Curators.client(env);
        PersistentNode n = env.keep(new PersistentNode(c, CreateMode.EPHEMERAL, false, env.path("n"), bytes("1")));
        n.start();
        that(n.waitForInitialCreate(40, TimeUnit.SECONDS), "created");
        n.setData(bytes("2"));
        eventually("data", () -> {
            other.sync().forPath(env.root);
            return text(other.getData().forPath(env.path("n"))).equals("2");
        });
        other.delete().forPath(env.path("n"));
        eventually("made again by itself", () -> other.checkExists().forPath(env.path("n")) != null);
        n.close();
        other.sync().forPath(env.root);
        equal(other.checkExists().forPath(env.path("n")), null, "gone when closed");
    }

    private static void lostSession(Env env) throws Exception {
        Proxy proxy = env.proxy(env.server(0));
        CuratorFramework c = env.keep(org.apache.curator.framework.CuratorFrameworkFactory.builder()
            .connectString(proxy.address()).ensembleTracker(false).sessionTimeoutMs(1500).connectionTimeoutMs(2000)
            .retryPolicy(new org.apache.curator.retry.RetryForever(100)).build());
        c.start();
        PersistentNode n = env.keep(new PersistentNode(c, CreateMode.EPHEMERAL, false, env.path("n"), bytes("1")));
        n.start();
        that(n.waitForInitialCreate(40, TimeUnit.SECONDS), "created");
        CuratorFramework other = Curators.client(env);
        other.sync().forPath(env.root);
        long first = other.checkExists().forPath(env.path("n")).getEphemeralOwner();
        proxy.cut();
        eventually("expires", () -> other.checkExists().forPath(env.path("n")) == null);
        proxy.mend();
        eventually("made again by the new session", () -> other.checkExists().forPath(env.path("n")) != null);
        that(other.checkExists().forPath(env.path("n")).getEphemeralOwner() != first, "another session's");
    }

    private static void ttlNode(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        PersistentTtlNode n = env.keep(new PersistentTtlNode(c, env.path("n"), 2000, bytes("1")));
        n.start();
        that(n.waitForInitialCreate(40, TimeUnit.SECONDS), "created");
        Suite.meanwhile(5000, "reaped though it is kept alive", () -> {
            try {
                return c.checkExists().forPath(env.path("n")) != null;
            } catch (Exception e) {
                throw new AssertionError(e);
            }
        });
        n.close();
        eventually("reaped when nobody keeps it", () -> c.checkExists().forPath(env.path("n")) == null);
    }

    private static void group(Env env) throws Exception {
        GroupMember a = env.keep(new GroupMember(Curators.client(env, env.server(0), Env.TIMEOUT_MS), env.path("g"), "a", bytes("1")));
        GroupMember b = env.keep(new GroupMember(Curators.client(env, env.server(1), Env.TIMEOUT_MS), env.path("g"), "b", bytes("2")));
        a.start();
        b.start();
        eventually("both see both", () -> a.getCurrentMembers().keySet().equals(Set.of("a", "b")) && b.getCurrentMembers().size() == 2);
        equal(text(a.getCurrentMembers().get("b")), "2", "data of the other");
        b.close();
        eventually("one left", () -> a.getCurrentMembers().keySet().equals(Set.of("a")));
    }
}
