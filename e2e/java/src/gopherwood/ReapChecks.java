package gopherwood;

import static gopherwood.NodeChecks.bytes;
import static gopherwood.Suite.eventually;
import static gopherwood.Suite.that;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.ZooKeeper;

/** Containers and TTL nodes that the servers remove by themselves (the tests run them with a short check interval). */
final class ReapChecks {
    private ReapChecks() {}

    static void add(Suite s) {
        s.check("reap/containers", ReapChecks::containers);
        s.check("reap/ttl", ReapChecks::ttl);
    }

    private static void containers(Env env) throws Exception {
        ZooKeeper zk = env.client();
        zk.create(env.path("fresh"), null, OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
        zk.create(env.path("full"), null, OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
        zk.create(env.path("full/x"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        zk.create(env.path("emptied"), null, OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
        zk.create(env.path("emptied/x"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        Events e = new Events();
        zk.exists(env.path("emptied"), e);
        zk.delete(env.path("emptied/x"), -1);
        e.expect(EventType.NodeDeleted, env.path("emptied"));
        that(zk.exists(env.path("fresh"), false) != null, "a container that never had a child stays");
        that(zk.exists(env.path("full"), false) != null, "a container with a child stays");
        zk.delete(env.path("full/x"), -1);
        eventually("the other container goes", () -> zk.exists(env.path("full"), false) == null);
        that(zk.exists(env.path("fresh"), false) != null, "a container that never had a child stays");
    }

    private static void ttl(Env env) throws Exception {
        ZooKeeper zk = env.client();
        zk.create(env.path("short"), bytes("x"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 500);
        zk.create(env.path("long"), bytes("x"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 600_000);
        zk.create(env.path("parent"), bytes("x"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 500);
        zk.create(env.path("parent/x"), bytes("x"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        eventually("the short one goes", () -> zk.exists(env.path("short"), false) == null);
        that(zk.exists(env.path("long"), false) != null, "one with time left stays");
        that(zk.exists(env.path("parent"), false) != null, "one with a child stays");
        zk.delete(env.path("parent/x"), -1);
        eventually("the emptied one goes", () -> zk.exists(env.path("parent"), false) == null);
        that(zk.exists(env.path("long"), false) != null, "one with time left stays");
    }
}
