package gopherwood;

import static gopherwood.NodeChecks.bytes;
import static gopherwood.NodeChecks.text;
import static gopherwood.Suite.equal;
import static gopherwood.Suite.eventually;
import static gopherwood.Suite.that;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.atomic.PromotedToLock;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.recipes.shared.SharedValue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;

/** Shared counts and values, atomic numbers. */
final class CuratorCounterChecks {
    private CuratorCounterChecks() {}

    static void add(Suite s) {
        s.check("counter/shared-count", CuratorCounterChecks::sharedCount);
        s.check("counter/shared-value", CuratorCounterChecks::sharedValue);
        s.check("counter/atomic-long", CuratorCounterChecks::atomicLong);
        s.check("counter/atomic-long-contended", CuratorCounterChecks::contended);
        s.check("counter/atomic-integer", CuratorCounterChecks::atomicInteger);
    }

    private static void sharedCount(Env env) throws Exception {
        SharedCount a = env.keep(new SharedCount(Curators.client(env, env.server(0), Env.TIMEOUT_MS), env.path("c"), 7));
        a.start();
        equal(a.getCount(), 7, "seed");
        SharedCount b = env.keep(new SharedCount(Curators.client(env, env.server(1), Env.TIMEOUT_MS), env.path("c"), 99));
        AtomicInteger heard = new AtomicInteger();
        b.addListener(new SharedCountListener() {
            @Override
            public void countHasChanged(SharedCountReader reader, int count) {
                heard.set(count);
            }

            @Override
            public void stateChanged(CuratorFramework c, ConnectionState s) {}
        });
        b.start();
        a.setCount(8);
        eventually("the other hears", () -> heard.get() == 8 && b.getCount() == 8);
        that(b.trySetCount(b.getVersionedValue(), 9), "set with the right version");
        eventually("the first sees", () -> a.getCount() == 9);
        var old = a.getVersionedValue();
        a.setCount(10);
        that(!a.trySetCount(old, 11), "set with an old version");
    }

    private static void sharedValue(Env env) throws Exception {
        SharedValue v = env.keep(new SharedValue(Curators.client(env), env.path("v"), bytes("seed")));
        v.start();
        equal(text(v.getValue()), "seed", "seed");
        v.setValue(bytes("new"));
        equal(text(v.getValue()), "new", "value");
    }

    private static void atomicLong(Env env) throws Exception {
        DistributedAtomicLong n = new DistributedAtomicLong(Curators.client(env), env.path("n"), new RetryNTimes(10, 10));
        that(n.initialize(5L), "initialize");
        that(!n.initialize(6L), "initialize again");
        equal(n.get().postValue(), 5L, "get");
        equal(n.increment().postValue(), 6L, "increment");
        equal(n.add(10L).postValue(), 16L, "add");
        equal(n.subtract(1L).postValue(), 15L, "subtract");
        equal(n.decrement().preValue(), 15L, "decrement");
        that(!n.compareAndSet(3L, 4L).succeeded(), "compare with the wrong value");
        that(n.compareAndSet(14L, 4L).succeeded(), "compare with the right value");
        equal(n.trySet(77L).postValue(), 77L, "set");
        n.forceSet(1L);
        equal(n.get().postValue(), 1L, "forced");
    }

    private static void contended(Env env) throws Exception {
        Curators.Pool pool = env.keep(new Curators.Pool());
        List<Future<Integer>> parties = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            CuratorFramework c = Curators.client(env, env.server(i), Env.TIMEOUT_MS);
            PromotedToLock promoted = PromotedToLock.builder().lockPath(env.path("lock")).retryPolicy(new RetryNTimes(20, 10)).build();
            DistributedAtomicLong n = new DistributedAtomicLong(c, env.path("n"), new RetryNTimes(3, 2), promoted);
            parties.add(pool.go(() -> {
                int done = 0;
                for (int k = 0; k < 15; k++) {
                    AtomicValue<Long> v = n.increment();
                    done += v.succeeded() ? 1 : 0;
                }
                return done;
            }));
        }
        long total = 0;
        for (Future<Integer> f : parties) {
            total += Curators.get(f);
        }
        CuratorFramework c = Curators.client(env);
        c.sync().forPath(env.path("n"));
        equal(new DistributedAtomicLong(c, env.path("n"), new RetryNTimes(3, 10)).get().postValue(), total, "sum of what succeeded");
        equal(total, 60L, "increments that succeeded");
    }

    private static void atomicInteger(Env env) throws Exception {
        DistributedAtomicInteger n = new DistributedAtomicInteger(Curators.client(env), env.path("n"), new RetryNTimes(10, 10));
        equal(n.increment().postValue(), 1, "increment");
        equal(n.add(-3).postValue(), -2, "add");
    }
}
