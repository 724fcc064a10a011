package gopherwood;

import static gopherwood.Suite.that;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.ExponentialBackoffRetry;

/** Curator clients for checks. */
final class Curators {
    private Curators() {}

    /** How long a recipe may take to get what nobody else holds; a limit, not a measurement. */
    static final long WAIT_SECONDS = 40;

    /** A started, connected client of any server. */
    static CuratorFramework client(Env env) throws Exception {
        return client(env, env.options.connect(), Env.TIMEOUT_MS);
    }

    static CuratorFramework client(Env env, String connect, int timeoutMs) throws Exception {
        CuratorFramework c = env.keep(CuratorFrameworkFactory.builder()
            .connectString(connect)
            .sessionTimeoutMs(timeoutMs)
            .connectionTimeoutMs(15_000)
            .retryPolicy(new ExponentialBackoffRetry(50, 10, 1000))
            .build());
        c.start();
        that(c.blockUntilConnected((int) WAIT_SECONDS, TimeUnit.SECONDS), "Curator did not connect");
        return c;
    }

    /** A pool for the parties of a recipe, ended with the check. */
    static final class Pool implements AutoCloseable {
        private final ExecutorService threads = Executors.newCachedThreadPool(r -> {
            Thread t = new Thread(r, "party");
            t.setDaemon(true);
            return t;
        });

        <T> Future<T> go(Callable<T> c) {
            return threads.submit(c);
        }

        @Override
        public void close() {
            threads.shutdownNow();
        }
    }

    static <T> T get(Future<T> f) throws Exception {
        return f.get(WAIT_SECONDS, TimeUnit.SECONDS);
    }
}
