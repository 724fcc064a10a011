package gopherwood;

import static gopherwood.NodeChecks.bytes;
import static gopherwood.NodeChecks.text;
import static gopherwood.Suite.equal;
import static gopherwood.Suite.that;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AsyncCallback;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** The asynchronous calls: each kind once, and the order of many in flight. */
final class AsyncChecks {
    private AsyncChecks() {}

    static void add(Suite s) {
        s.check("async/every-call", AsyncChecks::everyCall);
        s.check("async/errors", AsyncChecks::errors);
        s.check("async/pipeline-order", AsyncChecks::pipelineOrder);
        s.check("async/read-your-writes", AsyncChecks::readYourWrites);
        s.check("async/sequence-in-order", AsyncChecks::sequenceInOrder);
        s.check("async/close-after-writes", AsyncChecks::closeAfterWrites);
    }

    private static <T> T get(CompletableFuture<T> f) throws Exception {
        return f.get(30, TimeUnit.SECONDS);
    }

    private static void everyCall(Env env) throws Exception {
        ZooKeeper zk = env.client();
        String p = env.path("a");
        CompletableFuture<String> created = new CompletableFuture<>();
        zk.create(p, bytes("v0"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
            (AsyncCallback.StringCallback) (rc, path, ctx, name) -> created.complete(rc + " " + path + " " + ctx + " " + name), "ctx");
        equal(get(created), "0 " + p + " ctx " + p, "create");

        CompletableFuture<Stat> created2 = new CompletableFuture<>();
        zk.create(p + "/b", bytes("v"), OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL,
            (AsyncCallback.Create2Callback) (rc, path, ctx, name, stat) -> created2.complete(stat), null);
        equal(get(created2).getEphemeralOwner(), zk.getSessionId(), "create2");

        CompletableFuture<Stat> ttl = new CompletableFuture<>();
        zk.create(p + "/ttl", bytes("v"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, (rc, path, ctx, name, stat) -> ttl.complete(stat), null, 600_000);
        that(get(ttl).getCzxid() > 0, "create with TTL");

        CompletableFuture<Stat> exists = new CompletableFuture<>();
        zk.exists(p, false, (rc, path, ctx, stat) -> exists.complete(stat), null);
        equal(get(exists).getNumChildren(), 2, "exists");

        CompletableFuture<String> data = new CompletableFuture<>();
        zk.getData(p, false, (rc, path, ctx, d, stat) -> data.complete(text(d) + " " + stat.getVersion()), null);
        equal(get(data), "v0 0", "getData");

        CompletableFuture<Stat> set = new CompletableFuture<>();
        zk.setData(p, bytes("v1"), 0, (rc, path, ctx, stat) -> set.complete(stat), null);
        equal(get(set).getVersion(), 1, "setData");

        CompletableFuture<List<String>> children = new CompletableFuture<>();
        zk.getChildren(p, false, (AsyncCallback.ChildrenCallback) (rc, path, ctx, c) -> children.complete(c), null);
        equal(get(children).size(), 2, "getChildren");

        CompletableFuture<Integer> children2 = new CompletableFuture<>();
        zk.getChildren(p, false, (AsyncCallback.Children2Callback) (rc, path, ctx, c, stat) -> children2.complete(stat.getNumChildren()), null);
        equal(get(children2), 2, "getChildren2");

        CompletableFuture<Integer> all = new CompletableFuture<>();
        zk.getAllChildrenNumber(p, (rc, path, ctx, n) -> all.complete(n), null);
        equal(get(all), 2, "getAllChildrenNumber");

        CompletableFuture<List<String>> ephemerals = new CompletableFuture<>();
        zk.getEphemerals(p, (rc, ctx, paths) -> ephemerals.complete(paths), null);
        equal(get(ephemerals), List.of(p + "/b"), "getEphemerals");

        CompletableFuture<Integer> acl = new CompletableFuture<>();
        zk.getACL(p, null, (rc, path, ctx, list, stat) -> acl.complete(list.get(0).getPerms()), null);
        equal(get(acl), ZooDefs.Perms.ALL, "getACL");

        CompletableFuture<Stat> setAcl = new CompletableFuture<>();
        zk.setACL(p, OPEN_ACL_UNSAFE, 0, (rc, path, ctx, stat) -> setAcl.complete(stat), null);
        equal(get(setAcl).getAversion(), 1, "setACL");

        CompletableFuture<Integer> sync = new CompletableFuture<>();
        zk.sync(p, (rc, path, ctx) -> sync.complete(rc), null);
        equal(get(sync), 0, "sync");

        CompletableFuture<Integer> config = new CompletableFuture<>();
        zk.getConfig(false, (rc, path, ctx, d, stat) -> config.complete(rc), null);
        equal(get(config), 0, "getConfig");

        CompletableFuture<Integer> deleted = new CompletableFuture<>();
        zk.delete(p + "/ttl", -1, (rc, path, ctx) -> deleted.complete(rc), null);
        equal(get(deleted), 0, "delete");
    }

    private static void errors(Env env) throws Exception {
        ZooKeeper zk = env.client();
        List<CompletableFuture<Integer>> codes = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            codes.add(new CompletableFuture<>());
        }
        zk.getData(env.path("no"), false, (rc, path, ctx, d, stat) -> codes.get(0).complete(rc), null);
        zk.delete(env.root, 77, (rc, path, ctx) -> codes.get(1).complete(rc), null);
        zk.create(env.root, null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, (AsyncCallback.StringCallback) (rc, path, ctx, n) -> codes.get(2).complete(rc), null);
        zk.exists(env.path("no"), false, (rc, path, ctx, stat) -> codes.get(3).complete(rc), null);
        equal(Code.get(get(codes.get(0))), Code.NONODE, "getData");
        equal(Code.get(get(codes.get(1))), Code.BADVERSION, "delete");
        equal(Code.get(get(codes.get(2))), Code.NODEEXISTS, "create");
        equal(Code.get(get(codes.get(3))), Code.NONODE, "exists");
    }

    /** Answers come in the order of the calls, whatever their kind. */
    private static void pipelineOrder(Env env) throws Exception {
        ZooKeeper zk = env.client();
        int n = 3000;
        List<Integer> order = new ArrayList<>();
        CountDownLatch latch = new CountDownLatch(n);
        for (int i = 0; i < n; i++) {
            int id = i;
            Runnable done = () -> {
                order.add(id);
                latch.countDown();
            };
            switch (i % 6) {
                case 0 -> zk.create(env.path("n" + i), bytes("x"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                    (AsyncCallback.StringCallback) (rc, path, ctx, name) -> done.run(), null);
                case 1 -> zk.exists(env.path("n" + (i - 1)), false, (rc, path, ctx, stat) -> done.run(), null);
                case 2 -> zk.setData(env.path("no"), null, -1, (rc, path, ctx, stat) -> done.run(), null);
                case 3 -> zk.sync(env.root, (rc, path, ctx) -> done.run(), null);
                case 4 -> zk.getChildren(env.path("no"), false, (AsyncCallback.ChildrenCallback) (rc, path, ctx, c) -> done.run(), null);
                default -> zk.delete(env.path("n" + (i - 5)), -1, (rc, path, ctx) -> done.run(), null);
            }
        }
        that(latch.await(60, TimeUnit.SECONDS), "not all calls were answered");
        for (int i = 0; i < n; i++) {
            equal(order.get(i), i, "order of answers");
        }
    }

    /** A read sees the writes called before it and none called after it, though all are in flight together. */
    private static void readYourWrites(Env env) throws Exception {
        ZooKeeper zk = env.client();
        String p = env.path("n");
        zk.create(p, bytes("0"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        int n = 1000;
        List<String> wrong = new ArrayList<>();
        CountDownLatch latch = new CountDownLatch(n);
        for (int i = 1; i <= n; i++) {
            String want = "" + i;
            zk.setData(p, bytes(want), i - 1, (rc, path, ctx, stat) -> {
                if (rc != 0) {
                    wrong.add("set " + want + ": " + rc);
                }
            }, null);
            zk.getData(p, false, (rc, path, ctx, d, stat) -> {
                if (!want.equals(text(d))) {
                    wrong.add("read " + text(d) + " after setting " + want);
                }
                latch.countDown();
            }, null);
        }
        that(latch.await(60, TimeUnit.SECONDS), "not all calls were answered");
        equal(wrong, List.of(), "wrong answers");
    }

    private static void sequenceInOrder(Env env) throws Exception {
        ZooKeeper zk = env.client();
        int n = 1000;
        List<String> names = new ArrayList<>();
        CountDownLatch latch = new CountDownLatch(n);
        for (int i = 0; i < n; i++) {
            zk.create(env.path("s"), bytes("" + i), OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL, (AsyncCallback.StringCallback) (rc, path, ctx, name) -> {
                names.add(name);
                latch.countDown();
            }, null);
        }
        that(latch.await(60, TimeUnit.SECONDS), "not all calls were answered");
        for (int i = 0; i < n; i++) {
            equal(names.get(i), env.path(String.format("s%010d", i)), "sequence number of call " + i);
        }
    }

    /** close() comes after what was called before it. */
    private static void closeAfterWrites(Env env) throws Exception {
        ZooKeeper zk = env.client();
        ZooKeeper leaving = env.client();
        Pending pending = new Pending();
        for (int i = 0; i < 300; i++) {
            leaving.create(env.path("p" + i), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, pending.string(), null);
            leaving.create(env.path("e" + i), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL, pending.string(), null);
        }
        leaving.close();
        pending.await(600);
        zk.sync(env.root);
        List<String> left = zk.getChildren(env.root, false);
        equal(left.size(), 300, "children after close");
        that(left.stream().allMatch(c -> c.startsWith("p")), "an ephemeral outlived its session: " + left);
    }
}
