package gopherwood;

import static gopherwood.Suite.equal;
import static gopherwood.Suite.that;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;

/** Barriers, plain and double. */
final class CuratorBarrierChecks {
    private CuratorBarrierChecks() {}

    static void add(Suite s) {
        s.check("barrier/plain", CuratorBarrierChecks::plain);
        s.check("barrier/double", CuratorBarrierChecks::twice);
        s.check("barrier/double-timeout", CuratorBarrierChecks::timeout);
    }

    private static void plain(Env env) throws Exception {
        DistributedBarrier barrier = new DistributedBarrier(Curators.client(env), env.path("b"));
        barrier.setBarrier();
        Curators.Pool pool = env.keep(new Curators.Pool());
        List<Future<Boolean>> parties = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            CuratorFramework c = Curators.client(env, env.server(i), Env.TIMEOUT_MS);
            c.sync().forPath(env.root);
            DistributedBarrier own = new DistributedBarrier(c, env.path("b"));
            parties.add(pool.go(() -> own.waitOnBarrier(Curators.WAIT_SECONDS, TimeUnit.SECONDS)));
        }
        Thread.sleep(200);
        that(parties.stream().noneMatch(Future::isDone), "somebody passed a closed barrier");
        barrier.removeBarrier();
        for (Future<Boolean> f : parties) {
            that(Curators.get(f), "passed");
        }
    }

    private static void twice(Env env) throws Exception {
        int n = 5;
        AtomicInteger entered = new AtomicInteger();
        AtomicInteger working = new AtomicInteger();
        Curators.Pool pool = env.keep(new Curators.Pool());
        List<Future<Void>> parties = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            DistributedDoubleBarrier b = new DistributedDoubleBarrier(Curators.client(env, env.server(i), Env.TIMEOUT_MS), env.path("b"), n);
            parties.add(pool.go(() -> {
                working.incrementAndGet();
                entered.incrementAndGet();
                that(b.enter(Curators.WAIT_SECONDS, TimeUnit.SECONDS), "enter");
                equal(entered.get(), n, "entered when the first passes");
                working.decrementAndGet();
                that(b.leave(Curators.WAIT_SECONDS, TimeUnit.SECONDS), "leave");
                equal(working.get(), 0, "still working when the first leaves");
                return null;
            }));
        }
        for (Future<Void> f : parties) {
            Curators.get(f);
        }
    }

    private static void timeout(Env env) throws Exception {
        DistributedDoubleBarrier b = new DistributedDoubleBarrier(Curators.client(env), env.path("b"), 2);
        that(!b.enter(300, TimeUnit.MILLISECONDS), "one of two does not pass");
    }
}
