package gopherwood;

import static gopherwood.NodeChecks.bytes;
import static gopherwood.NodeChecks.fails;
import static gopherwood.NodeChecks.text;
import static gopherwood.Suite.equal;
import static gopherwood.Suite.that;
import static org.apache.zookeeper.ZooDefs.Ids.CREATOR_ALL_ACL;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;
import static org.apache.zookeeper.ZooDefs.Ids.READ_ACL_UNSAFE;

import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

/** Identities and access control lists. */
final class AclChecks {
    private AclChecks() {}

    static void add(Suite s) {
        s.check("acl/digest", AclChecks::digest);
        s.check("acl/creator-all", AclChecks::creatorAll);
        s.check("acl/each-permission", AclChecks::eachPermission);
        s.check("acl/get-acl-masks", AclChecks::getAclMasks);
        s.check("acl/set-acl", AclChecks::setAcl);
        s.check("acl/invalid", AclChecks::invalid);
        s.check("acl/ip", AclChecks::ip);
        s.check("acl/two-identities", AclChecks::twoIdentities);
        s.check("acl/auth-after-reconnect", AclChecks::afterReconnect);
        s.check("acl/unknown-scheme", AclChecks::unknownScheme);
        s.check("acl/multi", AclChecks::multi);
        s.check("acl/watch-needs-read", AclChecks::watchNeedsRead);
        s.check("acl/who-am-i", AclChecks::whoAmI);
    }

    /** A list that may be asked whether it holds null, as the client does. */
    private static List<ACL> list(ACL... acl) {
        return Arrays.asList(acl);
    }

    private static Id id(String user, String password) throws Exception {
        return new Id("digest", DigestAuthenticationProvider.generateDigest(user + ":" + password));
    }

    private static ZooKeeper as(Env env, String user, String password) throws Exception {
        ZooKeeper zk = env.client();
        zk.addAuthInfo("digest", bytes(user + ":" + password));
        return zk;
    }

    private static void digest(Env env) throws Exception {
        ZooKeeper owner = as(env, "anna", "secret");
        ZooKeeper nobody = env.client();
        ZooKeeper wrong = as(env, "anna", "guess");
        String p = env.path("a");
        owner.create(p, bytes("hidden"), list(new ACL(Perms.ALL, id("anna", "secret"))), CreateMode.PERSISTENT);
        equal(text(owner.getData(p, false, null)), "hidden", "the owner reads");
        for (ZooKeeper zk : List.of(nobody, wrong)) {
            zk.sync(p);
            fails(Code.NOAUTH, "exists", () -> zk.exists(p, false));
            equal(zk.exists(env.path("missing"), false), null, "exists of a missing node");
            fails(Code.NOAUTH, "getData", () -> zk.getData(p, false, null));
            fails(Code.NOAUTH, "getChildren", () -> zk.getChildren(p, false));
            fails(Code.NOAUTH, "setData", () -> zk.setData(p, null, -1));
            fails(Code.NOAUTH, "getACL", () -> zk.getACL(p, null));
            fails(Code.NOAUTH, "setACL", () -> zk.setACL(p, OPEN_ACL_UNSAFE, -1));
            fails(Code.NOAUTH, "create below", () -> zk.create(p + "/x", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
        }
        owner.create(p + "/x", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        fails(Code.NOAUTH, "deleting a child", () -> nobody.delete(p + "/x", -1));
        owner.delete(p + "/x", -1);
        // Deleting asks the parent's list, not the node's own.
        nobody.delete(p, -1);
    }

    private static void creatorAll(Env env) throws Exception {
        ZooKeeper owner = as(env, "bob", "pw");
        owner.create(env.path("a"), null, CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        List<ACL> acl = owner.getACL(env.path("a"), new Stat());
        equal(acl, List.of(new ACL(Perms.ALL, id("bob", "pw"))), "auth became the creator's identity");
        fails(Code.INVALIDACL, "auth without an identity", () -> env.client().create(env.path("b"), null, CREATOR_ALL_ACL, CreateMode.PERSISTENT));
    }

    private static void eachPermission(Env env) throws Exception {
        ZooKeeper admin = as(env, "admin", "pw");
        ZooKeeper zk = env.client();
        record Right(String name, int perm, NodeChecks.Call call) {}
        String p = env.path("a");
        List<Right> rights = List.of(
            new Right("read data", Perms.READ, () -> zk.getData(p, false, null)),
            new Right("read children", Perms.READ, () -> zk.getChildren(p, false)),
            new Right("write", Perms.WRITE, () -> zk.setData(p, null, -1)),
            new Right("create", Perms.CREATE, () -> zk.create(p + "/new", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)),
            new Right("delete", Perms.DELETE, () -> zk.delete(p + "/kid", -1)));
        Id owner = id("admin", "pw");
        for (Right r : rights) {
            for (int perm : new int[] {Perms.READ, Perms.WRITE, Perms.CREATE, Perms.DELETE, Perms.ADMIN}) {
                admin.create(p, null, list(new ACL(Perms.ALL, owner), new ACL(perm, Ids.ANYONE_ID_UNSAFE)), CreateMode.PERSISTENT);
                admin.create(p + "/kid", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
                zk.sync(p);
                if (perm == r.perm) {
                    r.call.run();
                } else {
                    fails(Code.NOAUTH, r.name + " with " + perm, r.call);
                }
                admin.sync(p);
                for (String kid : admin.getChildren(p, false)) {
                    admin.delete(p + "/" + kid, -1);
                }
                admin.delete(p, -1);
            }
        }
    }

    private static void getAclMasks(Env env) throws Exception {
        ZooKeeper admin = as(env, "carl", "pw");
        Id carl = id("carl", "pw");
        admin.create(env.path("a"), null, list(new ACL(Perms.ALL, carl), new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE)), CreateMode.PERSISTENT);
        ZooKeeper reader = env.client();
        reader.sync(env.root);
        equal(admin.getACL(env.path("a"), null).get(0).getId(), carl, "the admin sees the digest");
        equal(reader.getACL(env.path("a"), null).get(0).getId(), new Id("digest", "carl:x"), "others see it masked");
    }

    private static void setAcl(Env env) throws Exception {
        ZooKeeper zk = env.client();
        zk.create(env.path("a"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        Stat stat = zk.setACL(env.path("a"), READ_ACL_UNSAFE, 0);
        equal(stat.getAversion(), 1, "aversion");
        Stat read = new Stat();
        equal(zk.getACL(env.path("a"), read), READ_ACL_UNSAFE, "the new list");
        equal(read, stat, "stat of getACL");
        fails(Code.NOAUTH, "setACL without ADMIN", () -> zk.setACL(env.path("a"), OPEN_ACL_UNSAFE, -1));
    }

    private static void invalid(Env env) throws Exception {
        ZooKeeper zk = env.client();
        record Case(String name, List<ACL> acl) {}
        for (Case c : List.of(
            new Case("empty", list()),
            new Case("unknown scheme", list(new ACL(Perms.ALL, new Id("fingers", "crossed")))),
            new Case("bad ip", list(new ACL(Perms.ALL, new Id("ip", "300.1.2.3")))),
            new Case("bad digest", list(new ACL(Perms.ALL, new Id("digest", "no-colon")))))) {
            fails(Code.INVALIDACL, "create with " + c.name, () -> zk.create(env.path("a"), null, c.acl, CreateMode.PERSISTENT));
            fails(Code.INVALIDACL, "setACL with " + c.name, () -> zk.setACL(env.root, c.acl, -1));
        }
    }

    private static void ip(Env env) throws Exception {
        ZooKeeper zk = env.client();
        record Case(String id, boolean allowed) {}
        int i = 0;
        for (Case c : List.of(new Case("127.0.0.1", true), new Case("127.0.0.0/8", true), new Case("10.0.0.0/8", false), new Case("127.0.0.2", false), new Case("127.0.0.2/24", true))) {
            String p = env.path("n" + i++);
            zk.create(p, bytes("x"), list(new ACL(Perms.ALL, new Id("ip", c.id))), CreateMode.PERSISTENT);
            if (c.allowed) {
                equal(text(zk.getData(p, false, null)), "x", c.id);
            } else {
                fails(Code.NOAUTH, c.id, () -> zk.getData(p, false, null));
            }
        }
    }

    private static void twoIdentities(Env env) throws Exception {
        ZooKeeper zk = as(env, "dora", "1");
        zk.addAuthInfo("digest", bytes("emil:2"));
        zk.create(env.path("d"), null, list(new ACL(Perms.ALL, id("dora", "1"))), CreateMode.PERSISTENT);
        zk.create(env.path("e"), null, list(new ACL(Perms.ALL, id("emil", "2"))), CreateMode.PERSISTENT);
        zk.setData(env.path("d"), bytes("x"), -1);
        zk.setData(env.path("e"), bytes("x"), -1);
        zk.create(env.path("both"), null, CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        equal(new TreeSet<>(zk.getACL(env.path("both"), null).stream().map(a -> a.getId().getId().split(":")[0]).collect(Collectors.toList())),
            new TreeSet<>(List.of("dora", "emil")), "auth stands for both");
    }

    private static void afterReconnect(Env env) throws Exception {
        Proxy proxy = env.proxy(env.server(0));
        Events session = new Events();
        ZooKeeper zk = env.client(proxy.address(), Env.TIMEOUT_MS, session);
        session.expectState(KeeperState.SyncConnected);
        zk.addAuthInfo("digest", bytes("fay:pw"));
        zk.create(env.path("a"), bytes("x"), CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        proxy.cut();
        session.expectState(KeeperState.Disconnected);
        proxy.mend(env.server(1));
        session.expectState(KeeperState.SyncConnected);
        zk.sync(env.path("a"));
        equal(text(zk.getData(env.path("a"), false, null)), "x", "the client told the new server who it is");
    }

    private static void unknownScheme(Env env) throws Exception {
        Events session = new Events();
        ZooKeeper zk = env.client(env.options.connect(), Env.TIMEOUT_MS, session);
        zk.addAuthInfo("fingers", bytes("crossed"));
        session.expectState(KeeperState.AuthFailed);
        try {
            zk.exists("/", false);
            throw new AssertionError("a client that failed to authenticate goes on");
        } catch (KeeperException.AuthFailedException e) {
            // As it should.
        }
    }

    private static void multi(Env env) throws Exception {
        ZooKeeper owner = as(env, "gil", "pw");
        owner.create(env.path("a"), null, list(new ACL(Perms.ALL, id("gil", "pw"))), CreateMode.PERSISTENT);
        ZooKeeper zk = env.client();
        zk.sync(env.root);
        fails(Code.NOAUTH, "multi", () -> zk.multi(List.of(
            Op.create(env.path("b"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT), Op.setData(env.path("a"), null, -1))));
        equal(zk.exists(env.path("b"), false), null, "undone");
        owner.multi(List.of(Op.create(env.path("b"), null, CREATOR_ALL_ACL, CreateMode.PERSISTENT), Op.setData(env.path("a"), null, -1)));
        zk.sync(env.root);
        fails(Code.NOAUTH, "read of b", () -> zk.getData(env.path("b"), false, null));
    }

    /** An event goes only to those who may read the node (the check is made when it fires). */
    private static void watchNeedsRead(Env env) throws Exception {
        ZooKeeper owner = as(env, "hal", "pw");
        ZooKeeper zk = env.client();
        Events events = new Events();
        equal(zk.exists(env.path("a"), events), null, "exists");
        zk.exists(env.path("b"), events);
        owner.create(env.path("a"), null, CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        owner.create(env.path("b"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        events.expect(EventType.NodeCreated, env.path("b"));
        zk.sync(env.root);
        events.expectNone();
    }

    private static void whoAmI(Env env) throws Exception {
        ZooKeeper zk = env.client();
        that(schemes(zk).contains("ip"), "schemes of a new client: " + schemes(zk));
        zk.addAuthInfo("digest", bytes("ida:pw"));
        zk.sync("/");
        List<ClientInfo> all = zk.whoAmI();
        that(all.stream().anyMatch(c -> c.getAuthScheme().equals("digest") && c.getUser().equals("ida")), "digest identity in " + all);
        that(all.stream().noneMatch(c -> c.getUser().contains(":")), "no password in " + all);
    }

    private static TreeSet<String> schemes(ZooKeeper zk) throws Exception {
        return zk.whoAmI().stream().map(ClientInfo::getAuthScheme).collect(Collectors.toCollection(TreeSet::new));
    }
}
