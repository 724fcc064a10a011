package gopherwood;

import static gopherwood.NodeChecks.bytes;
import static gopherwood.NodeChecks.text;
import static gopherwood.Suite.equal;
import static gopherwood.Suite.eventually;
import static gopherwood.Suite.meanwhile;
import static gopherwood.Suite.that;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.ArrayList;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;

/** Sessions: opened, moved between servers, lost, closed. */
final class SessionChecks {
    private SessionChecks() {}

    static void add(Suite s) {
        s.check("session/open-close", SessionChecks::openClose);
        s.check("session/timeout-bounds", SessionChecks::timeoutBounds);
        s.check("session/reconnect", SessionChecks::reconnect);
        s.check("session/move-by-id", SessionChecks::moveById);
        s.check("session/wrong-password", SessionChecks::wrongPassword);
        s.check("session/unknown-id", SessionChecks::unknownId);
        s.check("session/closed-id", SessionChecks::closedId);
        s.check("session/expiry", SessionChecks::expiry);
        s.check("session/idle-stays", SessionChecks::idleStays);
        s.check("session/read-only-allowed", SessionChecks::readOnlyAllowed);
        s.check("session/many", SessionChecks::many);
        s.check("session/never-goes-back", SessionChecks::neverGoesBack);
    }

    private static void openClose(Env env) throws Exception {
        ZooKeeper a = env.client();
        ZooKeeper b = env.client();
        that(a.getSessionId() != 0 && a.getSessionId() != b.getSessionId(), "ids");
        equal(a.getSessionPasswd().length, 16, "length of the password");
        equal(a.getState(), ZooKeeper.States.CONNECTED, "state");
        a.close();
        equal(a.getState(), ZooKeeper.States.CLOSED, "state");
        try {
            a.exists("/", false);
            throw new AssertionError("a closed client goes on");
        } catch (KeeperException.SessionExpiredException e) {
            // As it should.
        }
    }

    /**
     * A timeout that a busy machine can keep and that is still short to wait for. The client gives a connection attempt this
     * time divided by the number of servers.
     */
    private static final int SHORT_MS = 1500;

    /** The server keeps timeouts within 2 and 20 ticks; the tests' tick is 500 ms, ZooKeeper's own default 2 s. */
    private static void timeoutBounds(Env env) throws Exception {
        ZooKeeper shortest = env.client(env.server(0), 500, e -> {});
        ZooKeeper longest = env.client(env.options.connect(), 3_600_000, e -> {});
        int min = shortest.getSessionTimeout();
        int max = longest.getSessionTimeout();
        that(min >= 1000 && max < 3_600_000, "bounds " + min + ", " + max);
        equal(max, 10 * min, "2 and 20 ticks");
        int middle = (min + max) / 2;
        equal(env.client(env.options.connect(), middle, e -> {}).getSessionTimeout(), middle, "a timeout within the bounds");
    }

    private static void reconnect(Env env) throws Exception {
        Proxy proxy = env.proxy(env.server(0));
        Events session = new Events();
        ZooKeeper zk = env.client(proxy.address(), Env.TIMEOUT_MS, session);
        session.expectState(KeeperState.SyncConnected);
        long id = zk.getSessionId();
        zk.create(env.path("e"), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        for (int i = 0; i < 6; i++) {
            proxy.cut();
            session.expectState(KeeperState.Disconnected);
            proxy.mend(env.server(i + 1));
            session.expectState(KeeperState.SyncConnected);
            equal(zk.getSessionId(), id, "the same session");
            that(zk.exists(env.path("e"), false) != null, "its ephemeral");
            zk.setData(env.path("e"), bytes("" + i), i);
        }
    }

    /** A second client with the session's id and password takes it over on another server; the first is disconnected. */
    private static void moveById(Env env) throws Exception {
        Proxy proxy = env.proxy(env.server(0));
        Events first = new Events();
        ZooKeeper a = env.client(proxy.address(), Env.TIMEOUT_MS, first);
        first.expectState(KeeperState.SyncConnected);
        a.create(env.path("e"), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        Connected connected = new Connected(e -> {});
        ZooKeeper b = env.keep(new ZooKeeper(env.server(1), Env.TIMEOUT_MS, connected, a.getSessionId(), a.getSessionPasswd()));
        connected.await();
        equal(b.getSessionId(), a.getSessionId(), "session id");
        // The old connection ends: at once on the same server, else at the latest when it next writes (SESSIONMOVED). Kept from
        // coming back, or the two would take the session from each other for ever.
        if (env.servers().size() > 1) {
            try {
                a.setData(env.path("e"), bytes("old"), -1);
                throw new AssertionError("the old owner may still write");
            } catch (KeeperException.ConnectionLossException | KeeperException.SessionMovedException e) {
                // Either is right.
            }
        }
        proxy.cut();
        first.expectState(KeeperState.Disconnected);
        b.setData(env.path("e"), bytes("new"), -1);
        equal(text(b.getData(env.path("e"), false, null)), "new", "data");
        equal(b.exists(env.path("e"), false).getEphemeralOwner(), b.getSessionId(), "owner");
        ZooKeeper other = env.client();
        b.close();
        other.sync(env.root);
        equal(other.exists(env.path("e"), false), null, "gone with the session");
    }

    private static void expectExpired(Env env, String server, long id, byte[] password) throws Exception {
        Events events = new Events();
        ZooKeeper zk = env.keep(new ZooKeeper(server, Env.TIMEOUT_MS, events, id, password));
        events.expectState(KeeperState.Expired);
        equal(zk.getState(), ZooKeeper.States.CLOSED, "state");
    }

    private static void wrongPassword(Env env) throws Exception {
        ZooKeeper a = env.client(env.server(0), Env.TIMEOUT_MS, e -> {});
        a.create(env.path("e"), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        byte[] password = a.getSessionPasswd().clone();
        password[3] ^= 1;
        expectExpired(env, env.server(0), a.getSessionId(), password);
        expectExpired(env, env.server(1), a.getSessionId(), password);
        ZooKeeper other = env.client();
        other.sync(env.root);
        that(other.exists(env.path("e"), false) != null, "the session itself lives");
    }

    private static void unknownId(Env env) throws Exception {
        expectExpired(env, env.server(0), 0x1234567890abcdefL, new byte[16]);
    }

    private static void closedId(Env env) throws Exception {
        ZooKeeper a = env.client(env.server(0), Env.TIMEOUT_MS, e -> {});
        long id = a.getSessionId();
        byte[] password = a.getSessionPasswd().clone();
        a.close();
        expectExpired(env, env.server(1), id, password);
    }

    /** A client that stays away longer than its timeout loses its session and all its ephemerals; nobody else does. */
    private static void expiry(Env env) throws Exception {
        ZooKeeper watcher = env.client();
        Proxy proxy = env.proxy(env.server(0));
        Events session = new Events();
        ZooKeeper zk = env.client(proxy.address(), SHORT_MS, session);
        session.expectState(KeeperState.SyncConnected);
        zk.create(env.path("e"), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        zk.create(env.path("p"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        watcher.create(env.path("other"), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        watcher.sync(env.root);
        Events e = new Events();
        Events children = new Events();
        watcher.exists(env.path("e"), e);
        watcher.getChildren(env.root, children);
        proxy.cut();
        e.expect(EventType.NodeDeleted, env.path("e"));
        children.expect(EventType.NodeChildrenChanged, env.root);
        that(watcher.exists(env.path("p"), false) != null, "persistent nodes stay");
        that(watcher.exists(env.path("other"), false) != null, "other sessions' nodes stay");
        proxy.mend();
        session.expectState(KeeperState.Expired);
        try {
            zk.exists("/", false);
            throw new AssertionError("an expired client goes on");
        } catch (KeeperException.SessionExpiredException ex) {
            // As it should.
        }
    }

    /** Pings keep an idle session for many times its timeout. */
    private static void idleStays(Env env) throws Exception {
        Events session = new Events();
        ZooKeeper zk = env.client(env.options.connect(), SHORT_MS, session);
        session.expectState(KeeperState.SyncConnected);
        zk.create(env.path("e"), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        meanwhile(4L * zk.getSessionTimeout(), "expired though it pings", () -> !session.sawState(KeeperState.Expired));
        eventually("its ephemeral is seen", () -> {
            try {
                return zk.exists(env.path("e"), false) != null;
            } catch (KeeperException.ConnectionLossException e) {
                return false; // A busy machine may have missed a ping; the session is the same or this check has failed above.
            }
        });
    }

    private static void readOnlyAllowed(Env env) throws Exception {
        Connected connected = new Connected(e -> {});
        ZooKeeper zk = env.keep(new ZooKeeper(env.options.connect(), Env.TIMEOUT_MS, connected, true));
        connected.await();
        equal(zk.getState(), ZooKeeper.States.CONNECTED, "a full connection, not a read-only one");
        zk.create(env.path("a"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    private static void many(Env env) throws Exception {
        ZooKeeper zk = env.client();
        int n = 60;
        List<ZooKeeper> clients = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            ZooKeeper c = env.client(env.server(i), Env.TIMEOUT_MS, e -> {});
            c.create(env.path("e" + i), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            clients.add(c);
        }
        zk.sync(env.root);
        equal(zk.getChildren(env.root, false).size(), n, "ephemerals");
        for (ZooKeeper c : clients) {
            c.close();
        }
        eventually("all ephemerals are gone", () -> {
            zk.sync(env.root);
            return zk.getChildren(env.root, false).isEmpty();
        });
    }

    /** A client that moves between servers never sees older data than it has seen (lastZxidSeen). */
    private static void neverGoesBack(Env env) throws Exception {
        ZooKeeper writer = env.client();
        writer.create(env.path("n"), bytes("0"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        Proxy proxy = env.proxy(env.server(0));
        Events session = new Events();
        ZooKeeper zk = env.client(proxy.address(), Env.TIMEOUT_MS, session);
        session.expectState(KeeperState.SyncConnected);
        for (int i = 1; i <= 6; i++) {
            Pending sets = new Pending();
            for (int j = 0; j < 100; j++) {
                writer.setData(env.path("n"), bytes("x"), -1, sets.stat(), null);
            }
            zk.sync(env.path("n"));
            int seen = zk.exists(env.path("n"), false).getVersion();
            proxy.cut();
            session.expectState(KeeperState.Disconnected);
            proxy.mend(env.server(i));
            session.expectState(KeeperState.SyncConnected);
            int now = zk.exists(env.path("n"), false).getVersion();
            that(now >= seen, "version " + now + " after version " + seen);
            sets.await(100);
        }
    }
}
