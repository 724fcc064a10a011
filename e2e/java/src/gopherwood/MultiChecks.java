package gopherwood;

import static gopherwood.NodeChecks.bytes;
import static gopherwood.NodeChecks.text;
import static gopherwood.Suite.equal;
import static gopherwood.Suite.that;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.OpResult.CreateResult;
import org.apache.zookeeper.OpResult.ErrorResult;
import org.apache.zookeeper.OpResult.GetChildrenResult;
import org.apache.zookeeper.OpResult.GetDataResult;
import org.apache.zookeeper.OpResult.SetDataResult;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** multi: all or nothing, in every kind of member, and its reading sister. */
final class MultiChecks {
    private MultiChecks() {}

    static void add(Suite s) {
        s.check("multi/every-member", MultiChecks::everyMember);
        s.check("multi/one-zxid", MultiChecks::oneZxid);
        s.check("multi/failure-undoes-all", MultiChecks::failure);
        s.check("multi/each-failure", MultiChecks::eachFailure);
        s.check("multi/sees-itself", MultiChecks::seesItself);
        s.check("multi/sequential", MultiChecks::sequential);
        s.check("multi/transaction", MultiChecks::transaction);
        s.check("multi/async", MultiChecks::async);
        s.check("multi/empty", MultiChecks::empty);
        s.check("multi/large", MultiChecks::large);
        s.check("multi/read", MultiChecks::read);
    }

    private static Op create(String path) {
        return Op.create(path, bytes("d"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    private static void everyMember(Env env) throws Exception {
        ZooKeeper zk = env.client();
        zk.create(env.path("old"), bytes("0"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        zk.create(env.path("doomed"), bytes("0"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        List<OpResult> r = zk.multi(List.of(
            create(env.path("p")),
            Op.create(env.path("e"), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL),
            Op.create(env.path("s"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL),
            Op.create(env.path("c"), null, OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
            Op.create(env.path("t"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, 600_000),
            Op.setData(env.path("old"), bytes("1"), 0),
            Op.check(env.path("old"), 1),
            Op.delete(env.path("doomed"), 0)));
        equal(r.size(), 8, "results");
        equal(((CreateResult) r.get(0)).getPath(), env.path("p"), "create");
        equal(((CreateResult) r.get(1)).getPath(), env.path("e"), "ephemeral");
        equal(((CreateResult) r.get(2)).getPath(), env.path("s0000000004"), "sequential");
        equal(((CreateResult) r.get(3)).getPath(), env.path("c"), "container");
        equal(((CreateResult) r.get(4)).getPath(), env.path("t"), "TTL");
        equal(((SetDataResult) r.get(5)).getStat().getVersion(), 1, "setData");
        that(r.get(6) instanceof OpResult.CheckResult, "check: " + r.get(6));
        that(r.get(7) instanceof OpResult.DeleteResult, "delete: " + r.get(7));
        equal(text(zk.getData(env.path("old"), false, null)), "1", "data");
        equal(zk.exists(env.path("doomed"), false), null, "deleted");
        equal(zk.exists(env.path("e"), false).getEphemeralOwner(), zk.getSessionId(), "owner");
        equal(zk.exists(env.path("c"), false).getEphemeralOwner(), 0L, "container's owner");
    }

    private static void oneZxid(Env env) throws Exception {
        ZooKeeper zk = env.client();
        zk.multi(List.of(create(env.path("a")), create(env.path("b")), Op.setData(env.path("a"), bytes("x"), -1)));
        Stat a = zk.exists(env.path("a"), false);
        Stat b = zk.exists(env.path("b"), false);
        equal(a.getCzxid(), b.getCzxid(), "czxid of both");
        equal(a.getMzxid(), a.getCzxid(), "mzxid");
        equal(a.getVersion(), 1, "version");
        equal(zk.exists(env.root, false).getPzxid(), a.getCzxid(), "parent's pzxid");
        equal(zk.exists(env.root, false).getCversion(), 2, "parent's cversion");
    }

    private static void failure(Env env) throws Exception {
        ZooKeeper zk = env.client();
        zk.create(env.path("old"), bytes("0"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        Stat before = zk.exists(env.root, false);
        try {
            zk.multi(List.of(create(env.path("a")), Op.setData(env.path("old"), bytes("1"), -1), Op.delete(env.path("no"), -1), create(env.path("b"))));
            throw new AssertionError("a multi with a bad member succeeded");
        } catch (KeeperException e) {
            equal(e.code(), Code.NONODE, "code of the multi");
            List<Integer> codes = new ArrayList<>();
            for (OpResult r : e.getResults()) {
                codes.add(((ErrorResult) r).getErr());
            }
            equal(codes, List.of(0, 0, Code.NONODE.intValue(), Code.RUNTIMEINCONSISTENCY.intValue()), "codes of the members");
        }
        equal(zk.exists(env.path("a"), false), null, "a is not there");
        equal(text(zk.getData(env.path("old"), false, null)), "0", "old data");
        equal(zk.exists(env.root, false), before, "the parent is untouched");
        // A rolled-back create has not used a sequence number.
        equal(zk.create(env.path("s"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL), env.path("s0000000001"), "sequence");
    }

    private static void eachFailure(Env env) throws Exception {
        ZooKeeper zk = env.client();
        zk.create(env.path("full"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        zk.create(env.path("full/x"), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        record Case(Op op, Code want) {}
        List<Case> cases = List.of(
            new Case(create(env.path("full")), Code.NODEEXISTS),
            new Case(create(env.path("no/x")), Code.NONODE),
            new Case(create(env.path("full/x/y")), Code.NOCHILDRENFOREPHEMERALS),
            new Case(Op.delete(env.path("full"), -1), Code.NOTEMPTY),
            new Case(Op.delete(env.path("full/x"), 5), Code.BADVERSION),
            new Case(Op.setData(env.path("no"), null, -1), Code.NONODE),
            new Case(Op.setData(env.path("full"), null, 5), Code.BADVERSION),
            new Case(Op.check(env.path("no"), -1), Code.NONODE),
            new Case(Op.check(env.path("full"), 5), Code.BADVERSION));
        for (Case c : cases) {
            try {
                zk.multi(List.of(create(env.path("undone")), c.op));
                throw new AssertionError(c + " succeeded");
            } catch (KeeperException e) {
                equal(e.code(), c.want, "code of " + c);
            }
            equal(zk.exists(env.path("undone"), false), null, "undone after " + c);
        }
    }

    /** Later members see what earlier ones did. */
    private static void seesItself(Env env) throws Exception {
        ZooKeeper zk = env.client();
        zk.multi(List.of(
            create(env.path("a")),
            create(env.path("a/b")),
            Op.setData(env.path("a/b"), bytes("1"), 0),
            Op.setData(env.path("a/b"), bytes("2"), 1),
            Op.delete(env.path("a/b"), 2),
            Op.delete(env.path("a"), 0),
            create(env.path("a"))));
        equal(zk.exists(env.path("a"), false).getVersion(), 0, "made again");
        equal(zk.getChildren(env.path("a"), false), List.of(), "empty");
    }

    private static void sequential(Env env) throws Exception {
        ZooKeeper zk = env.client();
        Op s = Op.create(env.path("s"), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL);
        List<OpResult> r = zk.multi(List.of(s, s, s));
        for (int i = 0; i < 3; i++) {
            equal(((CreateResult) r.get(i)).getPath(), env.path(String.format("s%010d", i)), "name");
        }
    }

    private static void transaction(Env env) throws Exception {
        ZooKeeper zk = env.client();
        List<OpResult> r = zk.transaction()
            .create(env.path("a"), bytes("1"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
            .setData(env.path("a"), bytes("2"), 0)
            .check(env.path("a"), 1)
            .commit();
        equal(r.size(), 3, "results");
        equal(text(zk.getData(env.path("a"), false, null)), "2", "data");
    }

    private static void async(Env env) throws Exception {
        ZooKeeper zk = env.client();
        CompletableFuture<String> good = new CompletableFuture<>();
        CompletableFuture<String> bad = new CompletableFuture<>();
        zk.multi(List.of(create(env.path("a")), create(env.path("b"))), (rc, path, ctx, results) -> good.complete(rc + " " + results.size()), null);
        zk.multi(List.of(create(env.path("c")), create(env.path("b"))), (rc, path, ctx, results) -> bad.complete(Code.get(rc) + " " + results.size()), null);
        equal(good.get(30, TimeUnit.SECONDS), "0 2", "good");
        equal(bad.get(30, TimeUnit.SECONDS), "NODEEXISTS 2", "bad");
        equal(zk.exists(env.path("c"), false), null, "undone");
    }

    private static void empty(Env env) throws Exception {
        equal(env.client().multi(List.of()).size(), 0, "results of an empty multi");
    }

    private static void large(Env env) throws Exception {
        ZooKeeper zk = env.client();
        int n = 2000;
        List<Op> ops = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            ops.add(create(env.path("n" + i)));
        }
        equal(zk.multi(ops).size(), n, "results");
        equal(zk.exists(env.root, false).getNumChildren(), n, "children");
        List<Op> undo = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            undo.add(Op.delete(env.path("n" + i), 0));
        }
        equal(zk.multi(undo).size(), n, "results");
        equal(zk.exists(env.root, false).getNumChildren(), 0, "children");
    }

    /** Each member of a reading multi is answered by itself. */
    private static void read(Env env) throws Exception {
        ZooKeeper zk = env.client();
        zk.create(env.path("a"), bytes("x"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        zk.create(env.path("a/b"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        List<OpResult> r = zk.multi(List.of(
            Op.getData(env.path("a")), Op.getChildren(env.path("a")), Op.getData(env.path("no")), Op.getChildren(env.path("no")), Op.getData(env.path("a/b"))));
        equal(r.size(), 5, "results");
        GetDataResult data = (GetDataResult) r.get(0);
        equal(text(data.getData()), "x", "data");
        equal(data.getStat(), zk.exists(env.path("a"), false), "stat");
        equal(((GetChildrenResult) r.get(1)).getChildren(), List.of("b"), "children");
        equal(((ErrorResult) r.get(2)).getErr(), Code.NONODE.intValue(), "data of a missing node");
        equal(((ErrorResult) r.get(3)).getErr(), Code.NONODE.intValue(), "children of a missing node");
        equal(((GetDataResult) r.get(4)).getData(), null, "null data");
    }
}
