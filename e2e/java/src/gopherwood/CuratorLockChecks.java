package gopherwood;

import static gopherwood.Suite.equal;
import static gopherwood.Suite.eventually;
import static gopherwood.Suite.that;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.shared.SharedCount;

/** Mutex, read-write lock, semaphore, multi lock. */
final class CuratorLockChecks {
    private CuratorLockChecks() {}

    static void add(Suite s) {
        s.check("lock/mutex", env -> excludes(env, c -> new InterProcessMutex(c, env.path("lock"))));
        s.check("lock/semaphore-mutex", env -> excludes(env, c -> new InterProcessSemaphoreMutex(c, env.path("lock"))));
        s.check("lock/write-lock", env -> excludes(env, c -> new InterProcessReadWriteLock(c, env.path("lock")).writeLock()));
        s.check("lock/multi-lock", env -> excludes(env, c -> new InterProcessMultiLock(c, List.of(env.path("one"), env.path("two")))));
        s.check("lock/mutex-reentrant", CuratorLockChecks::reentrant);
        s.check("lock/mutex-timeout", CuratorLockChecks::timeout);
        s.check("lock/mutex-revoke", CuratorLockChecks::revoke);
        s.check("lock/mutex-of-lost-session", CuratorLockChecks::lostSession);
        s.check("lock/read-write", CuratorLockChecks::readWrite);
        s.check("lock/semaphore", CuratorLockChecks::semaphore);
        s.check("lock/semaphore-shared-count", CuratorLockChecks::semaphoreSharedCount);
    }

    interface Maker {
        InterProcessLock make(CuratorFramework c) throws Exception;
    }

    /** Several clients on different servers, one at a time inside. */
    private static void excludes(Env env, Maker maker) throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger turns = new AtomicInteger();
        Curators.Pool pool = env.keep(new Curators.Pool());
        List<Future<Void>> parties = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            InterProcessLock lock = maker.make(Curators.client(env, env.server(i), Env.TIMEOUT_MS));
            parties.add(pool.go(() -> {
                for (int round = 0; round < 5; round++) {
                    that(lock.acquire(Curators.WAIT_SECONDS, TimeUnit.SECONDS), "acquire");
                    equal(inside.incrementAndGet(), 1, "holders");
                    Thread.sleep(2);
                    turns.incrementAndGet();
                    inside.decrementAndGet();
                    lock.release();
                }
                return null;
            }));
        }
        for (Future<Void> f : parties) {
            Curators.get(f);
        }
        equal(turns.get(), 20, "turns");
    }

    private static void reentrant(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        InterProcessMutex m = new InterProcessMutex(c, env.path("lock"));
        m.acquire();
        m.acquire();
        equal(m.getParticipantNodes().size(), 1, "nodes of a lock taken twice");
        m.release();
        that(m.isOwnedByCurrentThread(), "still owned");
        m.release();
        that(!m.isAcquiredInThisProcess(), "free");
    }

    private static void timeout(Env env) throws Exception {
        InterProcessMutex a = new InterProcessMutex(Curators.client(env), env.path("lock"));
        InterProcessMutex b = new InterProcessMutex(Curators.client(env), env.path("lock"));
        a.acquire();
        that(!b.acquire(300, TimeUnit.MILLISECONDS), "a lock that is held");
        eventually("the waiter's node is gone", () -> b.getParticipantNodes().size() == 1);
        a.release();
        that(b.acquire(Curators.WAIT_SECONDS, TimeUnit.SECONDS), "a free lock");
        b.release();
    }

    private static void revoke(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        InterProcessMutex m = new InterProcessMutex(c, env.path("lock"));
        AtomicInteger asked = new AtomicInteger();
        m.makeRevocable(lock -> asked.incrementAndGet());
        m.acquire();
        Collection<String> nodes = m.getParticipantNodes();
        org.apache.curator.framework.recipes.locks.Revoker.attemptRevoke(Curators.client(env), nodes.iterator().next());
        eventually("the holder is asked to give up", () -> asked.get() > 0);
        m.release();
    }

    private static void lostSession(Env env) throws Exception {
        Proxy proxy = env.proxy(env.server(0));
        CuratorFramework c = env.keep(org.apache.curator.framework.CuratorFrameworkFactory.builder()
            .connectString(proxy.address()).ensembleTracker(false).sessionTimeoutMs(1500).connectionTimeoutMs(2000)
            .retryPolicy(new org.apache.curator.retry.RetryOneTime(100)).build());
        c.start();
        new InterProcessMutex(c, env.path("lock")).acquire();
        InterProcessMutex other = new InterProcessMutex(Curators.client(env), env.path("lock"));
        that(!other.acquire(200, TimeUnit.MILLISECONDS), "a lock that is held");
        proxy.cut();
        that(other.acquire(Curators.WAIT_SECONDS, TimeUnit.SECONDS), "the lock of a session that expired");
        other.release();
    }

    private static void readWrite(Env env) throws Exception {
        InterProcessReadWriteLock a = new InterProcessReadWriteLock(Curators.client(env, env.server(0), Env.TIMEOUT_MS), env.path("lock"));
        InterProcessReadWriteLock b = new InterProcessReadWriteLock(Curators.client(env, env.server(1), Env.TIMEOUT_MS), env.path("lock"));
        a.readLock().acquire();
        that(b.readLock().acquire(Curators.WAIT_SECONDS, TimeUnit.SECONDS), "two readers");
        that(!b.writeLock().acquire(200, TimeUnit.MILLISECONDS), "no writer beside a reader");
        b.readLock().release();
        that(!b.writeLock().acquire(200, TimeUnit.MILLISECONDS), "no writer beside another's reader");
        a.readLock().release();
        that(b.writeLock().acquire(Curators.WAIT_SECONDS, TimeUnit.SECONDS), "a writer alone");
        that(!a.readLock().acquire(200, TimeUnit.MILLISECONDS), "no reader beside a writer");
        that(b.readLock().acquire(Curators.WAIT_SECONDS, TimeUnit.SECONDS), "the writer may read");
        b.writeLock().release();
        that(a.readLock().acquire(Curators.WAIT_SECONDS, TimeUnit.SECONDS), "readers after the writer");
        a.readLock().release();
        b.readLock().release();
    }

    private static void semaphore(Env env) throws Exception {
        InterProcessSemaphoreV2 a = new InterProcessSemaphoreV2(Curators.client(env, env.server(0), Env.TIMEOUT_MS), env.path("s"), 3);
        InterProcessSemaphoreV2 b = new InterProcessSemaphoreV2(Curators.client(env, env.server(1), Env.TIMEOUT_MS), env.path("s"), 3);
        Collection<Lease> two = a.acquire(2);
        Lease third = b.acquire(Curators.WAIT_SECONDS, TimeUnit.SECONDS);
        that(third != null, "third lease");
        equal(b.acquire(200, TimeUnit.MILLISECONDS), null, "fourth lease of three");
        a.returnAll(two);
        Collection<Lease> again = b.acquire(2, Curators.WAIT_SECONDS, TimeUnit.SECONDS);
        that(again != null, "leases that came back");
        b.returnAll(again);
        b.returnLease(third);
        eventually("all are back", () -> a.getParticipantNodes().isEmpty());
    }

    private static void semaphoreSharedCount(Env env) throws Exception {
        CuratorFramework c = Curators.client(env);
        SharedCount count = env.keep(new SharedCount(c, env.path("count"), 1));
        count.start();
        InterProcessSemaphoreV2 s = new InterProcessSemaphoreV2(c, env.path("s"), count);
        that(s.acquire(Curators.WAIT_SECONDS, TimeUnit.SECONDS) != null, "one lease");
        equal(s.acquire(200, TimeUnit.MILLISECONDS), null, "second lease of one");
        count.setCount(2);
        that(s.acquire(Curators.WAIT_SECONDS, TimeUnit.SECONDS) != null, "second lease of two");
    }
}
