package gopherwood;

import static gopherwood.NodeChecks.bytes;
import static gopherwood.NodeChecks.fails;
import static gopherwood.NodeChecks.text;
import static gopherwood.Suite.equal;
import static gopherwood.Suite.that;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooKeeper;

/** One-shot watches: what sets them, what fires them, in which order they come. */
final class WatchChecks {
    private WatchChecks() {}

    static void add(Suite s) {
        s.check("watch/data", WatchChecks::data);
        s.check("watch/exists-of-missing", WatchChecks::existsOfMissing);
        s.check("watch/failed-read-leaves-none", WatchChecks::failedReadLeavesNone);
        s.check("watch/children", WatchChecks::children);
        s.check("watch/delete-fires-once", WatchChecks::deleteFiresOnce);
        s.check("watch/default-watcher", WatchChecks::defaultWatcher);
        s.check("watch/one-shot", WatchChecks::oneShot);
        s.check("watch/set-acl-fires-none", WatchChecks::setAclFiresNone);
        s.check("watch/multi-in-order", WatchChecks::multiInOrder);
        s.check("watch/from-other-server", WatchChecks::fromOtherServer);
        s.check("watch/event-before-own-reply", WatchChecks::eventBeforeOwnReply);
        s.check("watch/event-before-new-data", WatchChecks::eventBeforeNewData);
        s.check("watch/ephemeral-of-closed-session", WatchChecks::ephemeralOfClosedSession);
        s.check("watch/remove", WatchChecks::remove);
        s.check("watch/remove-one-of-two", WatchChecks::removeOneOfTwo);
        s.check("watch/remove-missing", WatchChecks::removeMissing);
        s.check("watch/many", WatchChecks::many);
    }

    private static void create(ZooKeeper zk, String path) throws Exception {
        zk.create(path, bytes("0"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    private static void data(Env env) throws Exception {
        ZooKeeper zk = env.client();
        String p = env.path("a");
        create(zk, p);
        Events e = new Events();
        zk.getData(p, e, null);
        zk.setData(p, bytes("1"), -1);
        e.expect(EventType.NodeDataChanged, p);
        zk.exists(p, e);
        zk.setData(p, bytes("2"), -1);
        e.expect(EventType.NodeDataChanged, p);
        zk.getData(p, e, null);
        zk.delete(p, -1);
        e.expect(EventType.NodeDeleted, p);
        zk.sync(p);
        e.expectNone();
    }

    private static void existsOfMissing(Env env) throws Exception {
        ZooKeeper zk = env.client();
        String p = env.path("a");
        Events e = new Events();
        equal(zk.exists(p, e), null, "exists");
        create(zk, p);
        e.expect(EventType.NodeCreated, p);
        zk.delete(p, -1);
        zk.sync(p);
        e.expectNone();
    }

    private static void failedReadLeavesNone(Env env) throws Exception {
        ZooKeeper zk = env.client();
        String p = env.path("a");
        Events e = new Events();
        fails(Code.NONODE, "getData", () -> zk.getData(p, e, null));
        fails(Code.NONODE, "getChildren", () -> zk.getChildren(p, e));
        create(zk, p);
        zk.setData(p, null, -1);
        create(zk, p + "/b");
        zk.sync(p);
        e.expectNone();
    }

    private static void children(Env env) throws Exception {
        ZooKeeper zk = env.client();
        Events e = new Events();
        zk.getChildren(env.root, e);
        create(zk, env.path("a"));
        e.expect(EventType.NodeChildrenChanged, env.root);
        zk.getChildren(env.root, e);
        zk.setData(env.path("a"), bytes("1"), -1);
        create(zk, env.path("a/b"));
        zk.setData(env.root, bytes("1"), -1);
        zk.sync(env.root);
        e.expectNone();
        zk.delete(env.path("a/b"), -1);
        zk.delete(env.path("a"), -1);
        e.expect(EventType.NodeChildrenChanged, env.root);
        zk.getChildren(env.root, e, null);
        zk.delete(env.root, -1);
        e.expect(EventType.NodeDeleted, env.root);
    }

    /** Data and child watch of one watcher on one node: its deletion is one event. */
    private static void deleteFiresOnce(Env env) throws Exception {
        ZooKeeper zk = env.client();
        String p = env.path("a");
        create(zk, p);
        Events e = new Events();
        zk.getData(p, e, null);
        zk.exists(p, e);
        zk.getChildren(p, e);
        zk.delete(p, -1);
        e.expect(EventType.NodeDeleted, p);
        zk.sync(p);
        e.expectNone();
    }

    private static void defaultWatcher(Env env) throws Exception {
        Events e = new Events();
        ZooKeeper zk = env.client(env.options.connect(), Env.TIMEOUT_MS, e);
        zk.exists(env.path("a"), true);
        create(zk, env.path("a"));
        e.expect(EventType.NodeCreated, env.path("a"));
    }

    private static void oneShot(Env env) throws Exception {
        ZooKeeper zk = env.client();
        Events e = new Events();
        zk.getData(env.root, e, null);
        zk.getData(env.root, e, null);
        for (int i = 0; i < 5; i++) {
            zk.setData(env.root, bytes("" + i), -1);
        }
        e.expect(EventType.NodeDataChanged, env.root);
        zk.sync(env.root);
        e.expectNone();
    }

    private static void setAclFiresNone(Env env) throws Exception {
        ZooKeeper zk = env.client();
        Events e = new Events();
        zk.getData(env.root, e, null);
        zk.getChildren(env.root, e);
        zk.setACL(env.root, OPEN_ACL_UNSAFE, -1);
        zk.sync(env.root);
        e.expectNone();
    }

    private static void multiInOrder(Env env) throws Exception {
        ZooKeeper zk = env.client();
        create(zk, env.path("old"));
        Events e = new Events();
        zk.exists(env.path("new"), e);
        zk.getData(env.path("old"), e, null);
        zk.getChildren(env.root, e);
        zk.multi(List.of(
            Op.setData(env.path("old"), bytes("1"), -1),
            Op.create(env.path("new"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.delete(env.path("new"), -1)));
        e.expect(EventType.NodeDataChanged, env.path("old"));
        e.expect(EventType.NodeCreated, env.path("new"));
        e.expect(EventType.NodeChildrenChanged, env.root);
        zk.sync(env.root);
        e.expectNone();
    }

    private static void fromOtherServer(Env env) throws Exception {
        ZooKeeper a = env.client(env.server(0), Env.TIMEOUT_MS, x -> {});
        ZooKeeper b = env.client(env.server(1), Env.TIMEOUT_MS, x -> {});
        Events e = new Events();
        for (int i = 0; i < 30; i++) {
            b.sync(env.root);
            b.getData(env.root, e, null);
            a.setData(env.root, bytes("" + i), i);
            e.expect(EventType.NodeDataChanged, env.root);
        }
    }

    /** The session's own write: the event is delivered before the write's answer. */
    private static void eventBeforeOwnReply(Env env) throws Exception {
        ZooKeeper zk = env.client();
        List<String> order = Collections.synchronizedList(new ArrayList<>());
        Watcher w = ev -> order.add("event");
        int n = 100;
        CountDownLatch latch = new CountDownLatch(n);
        for (int i = 0; i < n; i++) {
            zk.getData(env.root, w, (rc, path, ctx, d, stat) -> {}, null);
            zk.setData(env.root, bytes("x"), -1, (rc, path, ctx, stat) -> {
                order.add("reply");
                latch.countDown();
            }, null);
        }
        that(latch.await(60, TimeUnit.SECONDS), "not all calls were answered");
        equal(order.size(), 2 * n, "events and replies");
        for (int i = 0; i < 2 * n; i++) {
            equal(order.get(i), i % 2 == 0 ? "event" : "reply", "order at " + i);
        }
    }

    /** Another session's write: whoever reads the new data has got the event before. */
    private static void eventBeforeNewData(Env env) throws Exception {
        ZooKeeper writer = env.client(env.server(0), Env.TIMEOUT_MS, x -> {});
        ZooKeeper reader = env.client(env.server(1), Env.TIMEOUT_MS, x -> {});
        String a = env.path("a");
        String b = env.path("b");
        create(writer, a);
        create(writer, b);
        reader.sync(a);
        for (int round = 1; round <= 30; round++) {
            List<String> order = Collections.synchronizedList(new ArrayList<>());
            reader.getData(a, ev -> order.add("event"), null);
            String want = "" + round;
            writer.setData(a, bytes(want), -1, (rc, path, ctx, stat) -> {}, null);
            writer.setData(b, bytes(want), -1, (rc, path, ctx, stat) -> {}, null);
            CountDownLatch seen = new CountDownLatch(1);
            // Reads in a pipeline until one shows the write that came after the watched one.
            while (seen.getCount() > 0) {
                CountDownLatch some = new CountDownLatch(16);
                for (int i = 0; i < 16; i++) {
                    reader.getData(b, false, (rc, path, ctx, d, stat) -> {
                        if (want.equals(text(d))) {
                            order.add("data");
                            seen.countDown();
                        }
                        some.countDown();
                    }, null);
                }
                that(some.await(30, TimeUnit.SECONDS), "reads were not answered");
            }
            equal(order.get(0), "event", "first seen in round " + round);
        }
    }

    private static void ephemeralOfClosedSession(Env env) throws Exception {
        ZooKeeper zk = env.client();
        ZooKeeper owner = env.client();
        owner.create(env.path("e"), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        zk.sync(env.root);
        Events e = new Events();
        that(zk.exists(env.path("e"), e) != null, "the ephemeral is there");
        Events c = new Events();
        zk.getChildren(env.root, c);
        owner.close();
        e.expect(EventType.NodeDeleted, env.path("e"));
        c.expect(EventType.NodeChildrenChanged, env.root);
    }

    private static void remove(Env env) throws Exception {
        ZooKeeper zk = env.client();
        for (WatcherType type : List.of(WatcherType.Data, WatcherType.Children, WatcherType.Any)) {
            Events e = new Events();
            zk.getData(env.root, e, null);
            zk.getChildren(env.root, e);
            zk.removeAllWatches(env.root, type, false);
            switch (type) {
                case Data -> e.expect(EventType.DataWatchRemoved, env.root);
                case Children -> e.expect(EventType.ChildWatchRemoved, env.root);
                // The client tells its watcher in an order of its own.
                default -> e.expectBoth(EventType.DataWatchRemoved, EventType.ChildWatchRemoved, env.root);
            }
            zk.setData(env.root, null, -1);
            create(zk, env.path("a"));
            zk.delete(env.path("a"), -1);
            if (type == WatcherType.Data) {
                e.expect(EventType.NodeChildrenChanged, env.root);
            } else if (type == WatcherType.Children) {
                e.expect(EventType.NodeDataChanged, env.root);
            }
            zk.sync(env.root);
            e.expectNone();
        }
    }

    /** Two watchers on one path: removing one (checkWatches on the wire) leaves the other. */
    private static void removeOneOfTwo(Env env) throws Exception {
        ZooKeeper zk = env.client();
        Events gone = new Events();
        Events stays = new Events();
        zk.getData(env.root, gone, null);
        zk.getData(env.root, stays, null);
        zk.removeWatches(env.root, gone, WatcherType.Data, false);
        gone.expect(EventType.DataWatchRemoved, env.root);
        zk.setData(env.root, null, -1);
        stays.expect(EventType.NodeDataChanged, env.root);
        zk.sync(env.root);
        gone.expectNone();
    }

    private static void removeMissing(Env env) throws Exception {
        ZooKeeper zk = env.client();
        fails(Code.NOWATCHER, "none at all", () -> zk.removeAllWatches(env.root, WatcherType.Any, false));
        zk.getData(env.root, e -> {}, null);
        fails(Code.NOWATCHER, "another kind", () -> zk.removeAllWatches(env.root, WatcherType.Children, false));
        zk.removeAllWatches(env.root, WatcherType.Any, false);
        fails(Code.NOWATCHER, "removed before", () -> zk.removeAllWatches(env.root, WatcherType.Data, false));
    }

    private static void many(Env env) throws Exception {
        ZooKeeper zk = env.client();
        ZooKeeper writer = env.client();
        int n = 2000;
        CountDownLatch fired = new CountDownLatch(n);
        Pending set = new Pending();
        for (int i = 0; i < n; i++) {
            zk.exists(env.path("n" + i), e -> {
                if (e.getType() == EventType.NodeCreated) {
                    fired.countDown();
                }
            }, (rc, path, ctx, stat) -> set.done(rc == Code.NONODE.intValue() ? 0 : rc, path), null);
        }
        set.await(n);
        Pending created = new Pending();
        for (int i = 0; i < n; i++) {
            writer.create(env.path("n" + i), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, created.string(), null);
        }
        created.await(n);
        that(fired.await(40, TimeUnit.SECONDS), fired.getCount() + " events did not come");
    }
}
