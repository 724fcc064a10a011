package gopherwood;

import static gopherwood.NodeChecks.bytes;
import static gopherwood.Suite.equal;
import static gopherwood.Suite.that;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;

/** Watches over a broken connection: set again by the client on its return, fired at once for what it missed. */
final class RearmChecks {
    private RearmChecks() {}

    static void add(Suite s) {
        s.check("rearm/nothing-missed", env -> nothingMissed(env, 0));
        s.check("rearm/on-another-server", env -> nothingMissed(env, 1));
        s.check("rearm/missed-changes", RearmChecks::missed);
        s.check("rearm/persistent", RearmChecks::persistent);
        s.check("rearm/many", RearmChecks::many);
    }

    /** A client behind a proxy. */
    private record Behind(Proxy proxy, ZooKeeper zk, Events session) {
        static Behind open(Env env) throws Exception {
            Proxy proxy = env.proxy(env.server(0));
            Events session = new Events();
            ZooKeeper zk = env.client(proxy.address(), Env.TIMEOUT_MS, session);
            session.expectState(KeeperState.SyncConnected);
            return new Behind(proxy, zk, session);
        }

        void cut() throws Exception {
            proxy.cut();
            session.expectState(KeeperState.Disconnected);
        }

        void mend(String server) throws Exception {
            long id = zk.getSessionId();
            proxy.mend(server);
            session.expectState(KeeperState.SyncConnected);
            equal(zk.getSessionId(), id, "the same session");
        }
    }

    private static void nothingMissed(Env env, int server) throws Exception {
        ZooKeeper writer = env.client();
        writer.create(env.path("a"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        Behind b = Behind.open(env);
        b.zk.sync(env.root);
        Events data = new Events();
        Events exists = new Events();
        Events children = new Events();
        b.zk.getData(env.path("a"), data, null);
        b.zk.exists(env.path("new"), exists);
        b.zk.getChildren(env.root, children);
        b.cut();
        b.mend(env.server(server));
        b.zk.sync(env.root);
        data.expectNone();
        exists.expectNone();
        children.expectNone();
        writer.setData(env.path("a"), bytes("1"), -1);
        writer.create(env.path("new"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        data.expect(EventType.NodeDataChanged, env.path("a"));
        exists.expect(EventType.NodeCreated, env.path("new"));
        children.expect(EventType.NodeChildrenChanged, env.root);
    }

    private static void missed(Env env) throws Exception {
        ZooKeeper writer = env.client();
        for (String name : new String[] {"set", "gone", "same", "parent", "gone-parent", "exists-set", "exists-gone"}) {
            writer.create(env.path(name), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        }
        Behind b = Behind.open(env);
        b.zk.sync(env.root);
        Events set = new Events();
        Events gone = new Events();
        Events same = new Events();
        Events made = new Events();
        Events missing = new Events();
        Events parent = new Events();
        Events goneParent = new Events();
        Events existsSet = new Events();
        Events existsGone = new Events();
        b.zk.getData(env.path("set"), set, null);
        b.zk.getData(env.path("gone"), gone, null);
        b.zk.getData(env.path("same"), same, null);
        b.zk.exists(env.path("made"), made);
        b.zk.exists(env.path("missing"), missing);
        b.zk.getChildren(env.path("parent"), parent);
        b.zk.getChildren(env.path("gone-parent"), goneParent);
        b.zk.exists(env.path("exists-set"), existsSet);
        b.zk.exists(env.path("exists-gone"), existsGone);
        b.cut();
        writer.setData(env.path("set"), bytes("1"), -1);
        writer.delete(env.path("gone"), -1);
        writer.create(env.path("made"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        writer.create(env.path("parent/x"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        writer.delete(env.path("gone-parent"), -1);
        writer.setData(env.path("exists-set"), bytes("1"), -1);
        writer.delete(env.path("exists-gone"), -1);
        b.mend(env.server(0));
        set.expect(EventType.NodeDataChanged, env.path("set"));
        gone.expect(EventType.NodeDeleted, env.path("gone"));
        made.expect(EventType.NodeCreated, env.path("made"));
        parent.expect(EventType.NodeChildrenChanged, env.path("parent"));
        goneParent.expect(EventType.NodeDeleted, env.path("gone-parent"));
        existsSet.expect(EventType.NodeDataChanged, env.path("exists-set"));
        existsGone.expect(EventType.NodeDeleted, env.path("exists-gone"));
        b.zk.sync(env.root);
        for (Events e : new Events[] {set, gone, same, made, missing, parent, goneParent, existsSet, existsGone}) {
            e.expectNone();
        }
        // What did not fire is armed.
        writer.setData(env.path("same"), bytes("1"), -1);
        same.expect(EventType.NodeDataChanged, env.path("same"));
        writer.create(env.path("missing"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        missing.expect(EventType.NodeCreated, env.path("missing"));
    }

    /** Persistent watches come back (setWatches2), without events for what they missed. */
    private static void persistent(Env env) throws Exception {
        ZooKeeper writer = env.client();
        Behind b = Behind.open(env);
        Events plain = new Events();
        Events recursive = new Events();
        b.zk.addWatch(env.path("plain"), plain, AddWatchMode.PERSISTENT);
        b.zk.addWatch(env.path("rec"), recursive, AddWatchMode.PERSISTENT_RECURSIVE);
        b.cut();
        writer.create(env.path("plain"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        writer.create(env.path("rec"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        b.mend(env.server(1));
        b.zk.sync(env.root);
        plain.expectNone();
        recursive.expectNone();
        for (int i = 0; i < 2; i++) {
            writer.setData(env.path("plain"), bytes("1"), -1);
            plain.expect(EventType.NodeDataChanged, env.path("plain"));
        }
        writer.create(env.path("rec/a"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        recursive.expect(EventType.NodeCreated, env.path("rec/a"));
        writer.create(env.path("rec/a/b"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        recursive.expect(EventType.NodeCreated, env.path("rec/a/b"));
    }

    /** More watches than fit one setWatches request: the client sends several. */
    private static void many(Env env) throws Exception {
        ZooKeeper writer = env.client();
        Behind b = Behind.open(env);
        int n = 5000;
        Set<String> fired = ConcurrentHashMap.newKeySet();
        Pending set = new Pending();
        for (int i = 0; i < n; i++) {
            b.zk.exists(env.path("a-long-name-to-fill-the-request-" + i), e -> {
                if (e.getType() == EventType.NodeCreated) {
                    fired.add(e.getPath());
                }
            }, (rc, path, ctx, stat) -> set.done(rc == Code.NONODE.intValue() ? 0 : rc, path), null);
        }
        set.await(n);
        b.cut();
        Set<String> want = new HashSet<>();
        Pending created = new Pending();
        for (int i = 0; i < n; i += 2) {
            String p = env.path("a-long-name-to-fill-the-request-" + i);
            want.add(p);
            writer.create(p, null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, created.string(), null);
        }
        created.await(n / 2);
        b.mend(env.server(1));
        Suite.eventually("the missed half fires", () -> fired.size() >= n / 2);
        equal(fired, want, "events");
        created = new Pending();
        for (int i = 1; i < n; i += 2) {
            writer.create(env.path("a-long-name-to-fill-the-request-" + i), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, created.string(), null);
        }
        created.await(n / 2);
        Suite.eventually("the other half fires", () -> fired.size() >= n);
        that(fired.size() == n, "events: " + fired.size());
    }
}
