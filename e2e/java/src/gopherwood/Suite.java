package gopherwood;

import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;

/** A list of named checks, run some at a time, each with its own {@link Env} and a time limit. */
final class Suite {
    /** How long one check may take before it counts as failed. */
    static final long LIMIT_SECONDS = 90;

    /** One check: it fails by throwing. */
    interface Body {
        void run(Env env) throws Exception;
    }

    /** Thrown by a check that does not apply to this service (for example: one server only). */
    static final class Skip extends RuntimeException {
        Skip(String why) {
            super(why);
        }
    }

    private record Check(String name, Body body) {}

    private final List<Check> checks = new ArrayList<>();
    private final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    private final AtomicInteger passed = new AtomicInteger();
    private final AtomicInteger failed = new AtomicInteger();
    private final AtomicInteger skipped = new AtomicInteger();

    void check(String name, Body body) {
        checks.add(new Check(name, body));
    }

    /** Runs all checks and returns the exit code. */
    int run(Options options) throws Exception {
        ExecutorService workers = Executors.newFixedThreadPool(options.parallel());
        List<Future<?>> running = new ArrayList<>();
        for (Check check : checks) {
            if (options.only() == null || check.name.contains(options.only())) {
                running.add(workers.submit(() -> runOne(check, options)));
            }
        }
        for (Future<?> f : running) {
            f.get();
        }
        workers.shutdown();
        out.printf("%d passed, %d failed, %d skipped%n", passed.get(), failed.get(), skipped.get());
        return failed.get() == 0 ? 0 : 1;
    }

    private void runOne(Check check, Options options) {
        long start = System.nanoTime();
        ExecutorService own = Executors.newSingleThreadExecutor(r -> {
            Thread t = new Thread(r, "check-" + check.name);
            t.setDaemon(true);
            return t;
        });
        try (Env env = new Env(options, check.name)) {
            Future<?> f = own.submit((Callable<Void>) () -> {
                env.open();
                check.body.run(env);
                return null;
            });
            f.get(LIMIT_SECONDS, TimeUnit.SECONDS);
            passed.incrementAndGet();
            out.printf("PASS %s %d%n", check.name, (System.nanoTime() - start) / 1_000_000);
        } catch (ExecutionException e) {
            report(check, e.getCause());
        } catch (TimeoutException e) {
            failed.incrementAndGet();
            out.printf("FAIL %s: no end after %d s%n", check.name, LIMIT_SECONDS);
        } catch (Exception e) {
            report(check, e);
        } finally {
            own.shutdownNow();
        }
    }

    private void report(Check check, Throwable why) {
        if (why instanceof Skip) {
            skipped.incrementAndGet();
            out.printf("SKIP %s: %s%n", check.name, why.getMessage());
            return;
        }
        failed.incrementAndGet();
        StringWriter trace = new StringWriter();
        why.printStackTrace(new PrintWriter(trace, true));
        // One line may not begin like another check's, and only our own frames tell where it was.
        List<String> frames = trace.toString().lines().filter(l -> !l.startsWith("\tat ") || l.contains("at gopherwood.")).toList();
        synchronized (out) {
            out.printf("FAIL %s: %s%n", check.name, why.toString().replace('\n', ' '));
            frames.stream().skip(1).forEach(l -> out.println("    " + l.strip()));
        }
    }

    // What checks say.

    static void that(boolean ok, String what) {
        if (!ok) {
            throw new AssertionError(what);
        }
    }

    static void equal(Object got, Object want, String what) {
        if (got == null ? want != null : !got.equals(want)) {
            throw new AssertionError(what + ": got " + got + ", want " + want);
        }
    }

    /** Waits until the condition holds; a limit, not a measurement. */
    static void eventually(String what, Callable<Boolean> condition) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(40);
        while (!condition.call()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("never: " + what);
            }
            Thread.sleep(20);
        }
    }

    /** Holds for as long as the pause lasts: for checks that something does NOT happen. */
    static void meanwhile(long ms, String what, BooleanSupplier condition) throws Exception {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(ms);
        while (System.nanoTime() < end) {
            that(condition.getAsBoolean(), what);
            Thread.sleep(20);
        }
    }
}
