package gopherwood;

import static gopherwood.NodeChecks.bytes;
import static gopherwood.Suite.equal;
import static gopherwood.Suite.that;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;

/**
 * Clients of the followers while the leader is killed: they must notice nothing but a moment's wait. The one who runs this program kills
 * the leader when it prints READY, and then types a line.
 */
public final class FailoverSuite {
    private FailoverSuite() {}

    /** Done when the leader is dead. */
    private static final CompletableFuture<Void> KILLED = new CompletableFuture<>();

    private static final int CHECKS = 4;
    private static final Semaphore READY = new Semaphore(0);

    public static void main(String[] args) throws Exception {
        Suite suite = new Suite();
        suite.check("failover/java-writers", FailoverSuite::writers);
        suite.check("failover/java-watch", FailoverSuite::watch);
        suite.check("failover/java-multi", FailoverSuite::multi);
        suite.check("failover/curator-latch", FailoverSuite::latch);
        Thread talk = new Thread(FailoverSuite::talk, "talk");
        talk.setDaemon(true);
        talk.start();
        System.exit(suite.run(Options.parse(args)));
    }

    private static void talk() {
        try {
            READY.acquire(CHECKS);
            System.out.println("READY");
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)).readLine();
            KILLED.complete(null);
        } catch (Exception e) {
            KILLED.completeExceptionally(e);
        }
    }

    private static void awaitKill() throws Exception {
        READY.release();
        KILLED.get(60, TimeUnit.SECONDS);
    }

    /** A client that keeps every session event but the first connection. */
    private static ZooKeeper watched(Env env, int server, ConcurrentLinkedQueue<KeeperState> states) throws Exception {
        return env.client(env.server(server), Env.TIMEOUT_MS, e -> {
            if (e.getType() == EventType.None && e.getState() != KeeperState.SyncConnected) {
                states.add(e.getState());
            }
        });
    }

    /** Pipelined writers: every call succeeds, no session event is seen. */
    private static void writers(Env env) throws Exception {
        ConcurrentLinkedQueue<KeeperState> states = new ConcurrentLinkedQueue<>();
        int clients = 4;
        List<AtomicInteger> next = new ArrayList<>();
        List<ZooKeeper> all = new ArrayList<>();
        ConcurrentLinkedQueue<String> failed = new ConcurrentLinkedQueue<>();
        Semaphore[] window = new Semaphore[clients];
        for (int i = 0; i < clients; i++) {
            ZooKeeper zk = watched(env, i, states);
            zk.create(env.path("n" + i), bytes("0"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            all.add(zk);
            next.add(new AtomicInteger());
            window[i] = new Semaphore(16);
        }
        CompletableFuture<Void> stop = new CompletableFuture<>();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < clients; i++) {
            int id = i;
            Thread t = new Thread(() -> {
                while (!stop.isDone()) {
                    window[id].acquireUninterruptibly();
                    int version = next.get(id).getAndIncrement();
                    all.get(id).setData(env.path("n" + id), bytes("" + version), version, (rc, path, ctx, stat) -> {
                        if (rc != 0) {
                            failed.add(Code.get(rc) + " for version " + version);
                        }
                        window[id].release();
                    }, null);
                }
            });
            t.start();
            threads.add(t);
        }
        Thread.sleep(300);
        awaitKill();
        int[] before = next.stream().mapToInt(AtomicInteger::get).toArray();
        for (int i = 0; i < clients; i++) {
            int id = i;
            Suite.eventually("client " + id + " writes on", () -> next.get(id).get() > before[id] + 50);
        }
        stop.complete(null);
        for (Thread t : threads) {
            t.join();
        }
        for (Semaphore w : window) {
            that(w.tryAcquire(16, 40, TimeUnit.SECONDS), "all answered");
        }
        equal(List.copyOf(failed), List.of(), "failed writes");
        equal(List.copyOf(states), List.of(), "session events");
        for (int i = 0; i < clients; i++) {
            equal(all.get(i).exists(env.path("n" + i), false).getVersion(), next.get(i).get(), "version of client " + i);
        }
    }

    /** A watch set before the leader dies fires for a write made after. */
    private static void watch(Env env) throws Exception {
        ConcurrentLinkedQueue<KeeperState> states = new ConcurrentLinkedQueue<>();
        ZooKeeper a = watched(env, 0, states);
        ZooKeeper b = watched(env, 1, states);
        Events events = new Events();
        a.create(env.path("e"), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        b.sync(env.root);
        b.exists(env.path("new"), events);
        b.getData(env.root, events, null);
        awaitKill();
        a.create(env.path("new"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        events.expect(EventType.NodeCreated, env.path("new"));
        a.setData(env.root, bytes("x"), -1);
        events.expect(EventType.NodeDataChanged, env.root);
        b.sync(env.root);
        equal(b.exists(env.path("e"), false).getEphemeralOwner(), a.getSessionId(), "the ephemeral's owner");
        equal(List.copyOf(states), List.of(), "session events");
    }

    private static void multi(Env env) throws Exception {
        ConcurrentLinkedQueue<KeeperState> states = new ConcurrentLinkedQueue<>();
        ZooKeeper zk = watched(env, 1, states);
        awaitKill();
        for (int i = 0; i < 20; i++) {
            zk.multi(List.of(
                org.apache.zookeeper.Op.create(env.path("n" + i), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                org.apache.zookeeper.Op.setData(env.root, bytes("" + i), i)));
        }
        equal(zk.getChildren(env.root, false).size(), 20, "children");
        equal(List.copyOf(states), List.of(), "session events");
    }

    /** Who leads by Curator's latch leads on. */
    private static void latch(Env env) throws Exception {
        CuratorFramework c = env.keep(org.apache.curator.framework.CuratorFrameworkFactory.builder()
            .connectString(env.server(0)).ensembleTracker(false).sessionTimeoutMs(Env.TIMEOUT_MS)
            .retryPolicy(new org.apache.curator.retry.RetryOneTime(100)).build());
        ConcurrentLinkedQueue<ConnectionState> states = new ConcurrentLinkedQueue<>();
        c.getConnectionStateListenable().addListener((cl, s) -> states.add(s));
        c.start();
        LeaderLatch l = env.keep(new LeaderLatch(c, env.path("latch")));
        l.start();
        that(l.await(40, TimeUnit.SECONDS), "leads");
        awaitKill();
        c.create().forPath(env.path("after"));
        that(l.hasLeadership(), "leads on");
        equal(List.copyOf(states), List.of(ConnectionState.CONNECTED), "connection states");
    }
}
