package gopherwood;

import static gopherwood.NodeChecks.bytes;
import static gopherwood.NodeChecks.text;
import static gopherwood.Suite.equal;
import static gopherwood.Suite.eventually;
import static gopherwood.Suite.that;

import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;

/** Caches of a node, of children, of a tree: the new one (over persistent watches) and the three old ones. */
@SuppressWarnings("deprecation")
final class CuratorCacheChecks {
    private CuratorCacheChecks() {}

    static void add(Suite s) {
        s.check("cache/curator-cache", CuratorCacheChecks::curatorCache);
        s.check("cache/curator-cache-events", CuratorCacheChecks::events);
        s.check("cache/curator-cache-single-node", CuratorCacheChecks::singleNode);
        s.check("cache/curator-cache-reconnect", CuratorCacheChecks::reconnect);
        s.check("cache/curator-cache-busy", CuratorCacheChecks::busy);
        s.check("cache/node-cache", CuratorCacheChecks::nodeCache);
        s.check("cache/path-children-cache", CuratorCacheChecks::pathChildrenCache);
        s.check("cache/tree-cache", CuratorCacheChecks::treeCache);
        s.check("cache/persistent-watcher", CuratorCacheChecks::persistentWatcher);
    }

    /** What the servers hold, path to data. */
    private static Map<String, String> truth(CuratorFramework c, String path) throws Exception {
        Map<String, String> all = new TreeMap<>();
        all.put(path, text(c.getData().forPath(path)));
        for (String child : c.getChildren().forPath(path)) {
            all.putAll(truth(c, path + "/" + child));
        }
        return all;
    }

    private static Map<String, String> held(CuratorCache cache) {
        Map<String, String> all = new TreeMap<>();
        cache.stream().forEach(d -> all.put(d.getPath(), text(d.getData())));
        return all;
    }

    private static void started(CuratorCache cache) throws Exception {
        CountDownLatch ready = new CountDownLatch(1);
        cache.listenable().addListener(CuratorCacheListener.builder().forInitialized(ready::countDown).build());
        cache.start();
        that(ready.await(40, TimeUnit.SECONDS), "the cache is filled");
    }

    private static void curatorCache(Env env) throws Exception {
        CuratorFramework writer = Curators.client(env, env.server(0), Env.TIMEOUT_MS);
        CuratorFramework reader = Curators.client(env, env.server(1), Env.TIMEOUT_MS);
        writer.create().creatingParentsIfNeeded().forPath(env.path("a/b/c"), bytes("1"));
        reader.sync().forPath(env.root);
        CuratorCache cache = env.keep(CuratorCache.build(reader, env.root));
        started(cache);
        equal(held(cache), truth(writer, env.root), "at the start");
        writer.setData().forPath(env.path("a"), bytes("2"));
        writer.create().forPath(env.path("d"), bytes("3"));
        writer.delete().forPath(env.path("a/b/c"));
        Map<String, String> want = truth(writer, env.root);
        eventually("the cache follows", () -> held(cache).equals(want));
        equal(text(cache.get(env.path("d")).map(ChildData::getData).orElse(null)), "3", "get");
    }

    private static void events(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        StringBuffer seen = new StringBuffer();
        CuratorCache cache = env.keep(CuratorCache.build(c, env.root));
        started(cache);
        cache.listenable().addListener(CuratorCacheListener.builder()
            .forCreates(n -> seen.append("+").append(n.getPath().substring(env.root.length())))
            .forChanges((o, n) -> seen.append("=").append(text(o.getData())).append(">").append(text(n.getData())))
            .forDeletes(o -> seen.append("-").append(o.getPath().substring(env.root.length())))
            .build());
        c.create().forPath(env.path("a"), bytes("1"));
        eventually("created", () -> seen.toString().equals("+/a"));
        c.setData().forPath(env.path("a"), bytes("2"));
        eventually("changed", () -> seen.toString().equals("+/a=1>2"));
        c.delete().forPath(env.path("a"));
        eventually("deleted", () -> seen.toString().equals("+/a=1>2-/a"));
    }

    private static void singleNode(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        CuratorCache cache = env.keep(CuratorCache.build(c, env.path("a"), CuratorCache.Options.SINGLE_NODE_CACHE));
        started(cache);
        c.create().forPath(env.path("a"), bytes("1"));
        eventually("there", () -> cache.get(env.path("a")).isPresent());
        c.create().forPath(env.path("a/b"), bytes("1"));
        c.delete().deletingChildrenIfNeeded().forPath(env.path("a"));
        eventually("gone", () -> cache.size() == 0);
    }

    private static void reconnect(Env env) throws Exception {
        Proxy proxy = env.proxy(env.server(0));
        CuratorFramework behind = env.keep(org.apache.curator.framework.CuratorFrameworkFactory.builder()
            .connectString(proxy.address()).ensembleTracker(false).sessionTimeoutMs(Env.TIMEOUT_MS).connectionTimeoutMs(2000)
            .retryPolicy(new org.apache.curator.retry.RetryForever(50)).build());
        behind.start();
        CuratorFramework writer = Curators.client(env);
        writer.create().forPath(env.path("a"), bytes("1"));
        behind.sync().forPath(env.root);
        CuratorCache cache = env.keep(CuratorCache.build(behind, env.root));
        started(cache);
        for (int i = 0; i < 3; i++) {
            proxy.cut();
            writer.setData().forPath(env.path("a"), bytes("cut" + i));
            writer.create().forPath(env.path("n" + i), bytes("x"));
            proxy.mend(env.server(i + 1));
            Map<String, String> want = truth(writer, env.root);
            eventually("the cache catches up", () -> held(cache).equals(want));
        }
    }

    /** Many changes at once: in the end the cache holds what the servers hold. */
    private static void busy(Env env) throws Exception {
        CuratorFramework writer = Curators.client(env, env.server(0), Env.TIMEOUT_MS);
        CuratorFramework reader = Curators.client(env, env.server(1), Env.TIMEOUT_MS);
        CuratorCache cache = env.keep(CuratorCache.build(reader, env.root));
        started(cache);
        AtomicInteger answered = new AtomicInteger();
        int n = 900;
        for (int i = 0; i < n; i++) {
            String p = env.path("n" + i % 30);
            switch (i / 30 % 3) {
                case 0 -> writer.create().orSetData().inBackground((c, e) -> answered.incrementAndGet()).forPath(p, bytes("v" + i));
                case 1 -> writer.setData().inBackground((c, e) -> answered.incrementAndGet()).forPath(p, bytes("v" + i));
                default -> {
                    if (i % 2 == 0) {
                        writer.delete().inBackground((c, e) -> answered.incrementAndGet()).forPath(p);
                    } else {
                        answered.incrementAndGet();
                    }
                }
            }
        }
        eventually("all written", () -> answered.get() >= n);
        Map<String, String> want = truth(writer, env.root);
        eventually("the cache follows", () -> held(cache).equals(want));
    }

    private static void nodeCache(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        NodeCache cache = env.keep(new NodeCache(c, env.path("a")));
        cache.start(true);
        equal(cache.getCurrentData(), null, "not there");
        c.create().forPath(env.path("a"), bytes("1"));
        eventually("there", () -> cache.getCurrentData() != null && text(cache.getCurrentData().getData()).equals("1"));
        c.setData().forPath(env.path("a"), bytes("2"));
        eventually("changed", () -> text(cache.getCurrentData().getData()).equals("2"));
        c.delete().forPath(env.path("a"));
        eventually("gone", () -> cache.getCurrentData() == null);
    }

    private static void pathChildrenCache(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        c.create().forPath(env.path("old"), bytes("1"));
        Map<String, String> seen = new ConcurrentSkipListMap<>();
        PathChildrenCache cache = env.keep(new PathChildrenCache(c, env.root, true));
        cache.getListenable().addListener((cl, e) -> {
            if (e.getData() != null) {
                seen.put(e.getData().getPath(), e.getType() + " " + text(e.getData().getData()));
            }
        });
        cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
        equal(cache.getCurrentData().size(), 1, "at the start");
        c.create().forPath(env.path("new"), bytes("2"));
        eventually("added", () -> "CHILD_ADDED 2".equals(seen.get(env.path("new"))));
        c.setData().forPath(env.path("old"), bytes("3"));
        eventually("updated", () -> "CHILD_UPDATED 3".equals(seen.get(env.path("old"))));
        c.delete().forPath(env.path("old"));
        eventually("removed", () -> "CHILD_REMOVED 3".equals(seen.get(env.path("old"))));
        equal(cache.getCurrentData().size(), 1, "at the end");
    }

    private static void treeCache(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        c.create().creatingParentsIfNeeded().forPath(env.path("a/b"), bytes("1"));
        TreeCache cache = env.keep(new TreeCache(c, env.root));
        cache.start();
        eventually("filled", () -> cache.getCurrentData(env.path("a/b")) != null);
        c.create().forPath(env.path("a/b/c"), bytes("2"));
        c.setData().forPath(env.path("a"), bytes("3"));
        eventually("follows", () -> cache.getCurrentData(env.path("a/b/c")) != null && "3".equals(text(cache.getCurrentData(env.path("a")).getData())));
        c.delete().deletingChildrenIfNeeded().forPath(env.path("a/b"));
        eventually("shrinks", () -> cache.getCurrentChildren(env.path("a")).isEmpty());
    }

    private static void persistentWatcher(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        AtomicInteger events = new AtomicInteger();
        PersistentWatcher w = env.keep(new PersistentWatcher(c, env.root, true));
        CountDownLatch reset = new CountDownLatch(1);
        w.getListenable().addListener(e -> events.incrementAndGet());
        w.getResetListenable().addListener(reset::countDown);
        w.start();
        that(reset.await(40, TimeUnit.SECONDS), "armed");
        for (int i = 0; i < 5; i++) {
            c.create().forPath(env.path("n" + i));
        }
        eventually("all events", () -> events.get() == 5);
    }
}
