package gopherwood;

import static gopherwood.NodeChecks.bytes;
import static gopherwood.NodeChecks.fails;
import static gopherwood.Suite.equal;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooKeeper;

/** Persistent and persistent recursive watches. */
final class PersistentWatchChecks {
    private PersistentWatchChecks() {}

    static void add(Suite s) {
        s.check("persistent/stays", PersistentWatchChecks::stays);
        s.check("persistent/on-missing", PersistentWatchChecks::onMissing);
        s.check("persistent/recursive", PersistentWatchChecks::recursive);
        s.check("persistent/recursive-multi", PersistentWatchChecks::recursiveMulti);
        s.check("persistent/recursive-of-root", PersistentWatchChecks::recursiveOfRoot);
        s.check("persistent/beside-one-shot", PersistentWatchChecks::besideOneShot);
        s.check("persistent/default-watcher", PersistentWatchChecks::defaultWatcher);
        s.check("persistent/async", PersistentWatchChecks::async);
        s.check("persistent/remove", PersistentWatchChecks::remove);
    }

    private static void create(ZooKeeper zk, String path) throws Exception {
        zk.create(path, bytes("0"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    private static void stays(Env env) throws Exception {
        ZooKeeper zk = env.client();
        String p = env.path("a");
        create(zk, p);
        Events e = new Events();
        zk.addWatch(p, e, AddWatchMode.PERSISTENT);
        for (int i = 0; i < 3; i++) {
            zk.setData(p, bytes("" + i), -1);
            e.expect(EventType.NodeDataChanged, p);
            create(zk, p + "/b");
            e.expect(EventType.NodeChildrenChanged, p);
            zk.setData(p + "/b", null, -1);
            create(zk, p + "/b/c");
            zk.delete(p + "/b/c", -1);
            zk.delete(p + "/b", -1);
            e.expect(EventType.NodeChildrenChanged, p);
        }
        zk.delete(p, -1);
        e.expect(EventType.NodeDeleted, p);
        create(zk, p);
        e.expect(EventType.NodeCreated, p);
        zk.sync(p);
        e.expectNone();
    }

    private static void onMissing(Env env) throws Exception {
        ZooKeeper zk = env.client();
        Events e = new Events();
        zk.addWatch(env.path("a/b"), e, AddWatchMode.PERSISTENT);
        create(zk, env.path("a"));
        create(zk, env.path("a/b"));
        e.expect(EventType.NodeCreated, env.path("a/b"));
        zk.sync(env.root);
        e.expectNone();
    }

    private static void recursive(Env env) throws Exception {
        ZooKeeper zk = env.client(env.server(0), Env.TIMEOUT_MS, x -> {});
        ZooKeeper writer = env.client(env.server(1), Env.TIMEOUT_MS, x -> {});
        String p = env.path("a");
        Events e = new Events();
        zk.addWatch(p, e, AddWatchMode.PERSISTENT_RECURSIVE);
        create(writer, p);
        create(writer, p + "/b");
        create(writer, p + "/b/c");
        writer.setData(p + "/b/c", null, -1);
        writer.setData(p, null, -1);
        create(writer, env.path("ab"));
        writer.delete(p + "/b/c", -1);
        writer.delete(p + "/b", -1);
        writer.delete(p, -1);
        e.expect(EventType.NodeCreated, p);
        e.expect(EventType.NodeCreated, p + "/b");
        e.expect(EventType.NodeCreated, p + "/b/c");
        e.expect(EventType.NodeDataChanged, p + "/b/c");
        e.expect(EventType.NodeDataChanged, p);
        e.expect(EventType.NodeDeleted, p + "/b/c");
        e.expect(EventType.NodeDeleted, p + "/b");
        e.expect(EventType.NodeDeleted, p);
        zk.sync(p);
        e.expectNone();
    }

    private static void recursiveMulti(Env env) throws Exception {
        ZooKeeper zk = env.client();
        Events e = new Events();
        zk.addWatch(env.root, e, AddWatchMode.PERSISTENT_RECURSIVE);
        zk.multi(List.of(
            Op.create(env.path("a"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.create(env.path("a/b"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.setData(env.path("a"), bytes("x"), 0),
            Op.delete(env.path("a/b"), -1)));
        e.expect(EventType.NodeCreated, env.path("a"));
        e.expect(EventType.NodeCreated, env.path("a/b"));
        e.expect(EventType.NodeDataChanged, env.path("a"));
        e.expect(EventType.NodeDeleted, env.path("a/b"));
        zk.sync(env.root);
        e.expectNone();
    }

    private static void recursiveOfRoot(Env env) throws Exception {
        ZooKeeper in = env.client(env.options.connect() + env.root, Env.TIMEOUT_MS, x -> {});
        Events e = new Events();
        in.addWatch("/", e, AddWatchMode.PERSISTENT_RECURSIVE);
        create(in, "/a");
        create(in, "/a/b");
        e.expect(EventType.NodeCreated, "/a");
        e.expect(EventType.NodeCreated, "/a/b");
    }

    /** A one-shot watch on the same path fires once and leaves the persistent one. */
    private static void besideOneShot(Env env) throws Exception {
        ZooKeeper zk = env.client();
        Events persistent = new Events();
        Events once = new Events();
        zk.addWatch(env.root, persistent, AddWatchMode.PERSISTENT);
        zk.getData(env.root, once, null);
        zk.setData(env.root, bytes("1"), -1);
        persistent.expect(EventType.NodeDataChanged, env.root);
        once.expect(EventType.NodeDataChanged, env.root);
        zk.setData(env.root, bytes("2"), -1);
        persistent.expect(EventType.NodeDataChanged, env.root);
        zk.sync(env.root);
        once.expectNone();
        persistent.expectNone();
    }

    private static void defaultWatcher(Env env) throws Exception {
        Events e = new Events();
        ZooKeeper zk = env.client(env.options.connect(), Env.TIMEOUT_MS, e);
        zk.addWatch(env.root, AddWatchMode.PERSISTENT);
        zk.setData(env.root, bytes("1"), -1);
        zk.setData(env.root, bytes("2"), -1);
        e.expect(EventType.NodeDataChanged, env.root);
        e.expect(EventType.NodeDataChanged, env.root);
    }

    private static void async(Env env) throws Exception {
        ZooKeeper zk = env.client();
        Events e = new Events();
        CompletableFuture<Integer> added = new CompletableFuture<>();
        zk.addWatch(env.root, e, AddWatchMode.PERSISTENT_RECURSIVE, (rc, path, ctx) -> added.complete(rc), null);
        equal(added.get(30, TimeUnit.SECONDS), 0, "addWatch");
        create(zk, env.path("a"));
        e.expect(EventType.NodeCreated, env.path("a"));
        CompletableFuture<Integer> removed = new CompletableFuture<>();
        zk.removeWatches(env.root, e, WatcherType.Any, false, (rc, path, ctx) -> removed.complete(rc), null);
        equal(removed.get(30, TimeUnit.SECONDS), 0, "removeWatches");
    }

    private static void remove(Env env) throws Exception {
        ZooKeeper zk = env.client();
        for (AddWatchMode mode : AddWatchMode.values()) {
            Events e = new Events();
            zk.addWatch(env.root, e, mode);
            zk.setData(env.root, bytes("1"), -1);
            e.expect(EventType.NodeDataChanged, env.root);
            zk.removeWatches(env.root, e, WatcherType.Any, false);
            e.expect(EventType.PersistentWatchRemoved, env.root);
            zk.setData(env.root, bytes("2"), -1);
            zk.sync(env.root);
            e.expectNone();
            fails(Code.NOWATCHER, "removed before", () -> zk.removeWatches(env.root, e, WatcherType.Any, false));
        }
    }
}
