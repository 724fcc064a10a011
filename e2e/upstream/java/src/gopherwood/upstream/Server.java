package gopherwood.upstream;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.server.quorum.QuorumPeerConfig;

/**
 * One Gopherwood process. A shell stands between it and this JVM and kills it when its own input ends: so a server ends with the
 * JVM, however that ends. Its methods may be called by any thread.
 *
 * <p>Two system properties say what to run: {@code gopherwood.binary} is the program and {@code gopherwood.logs} the folder of the
 * servers' logs, one file per start.
 */
public final class Server {
    private static final AtomicInteger STARTS = new AtomicInteger();
    private static final String KEEPER =
            "exec 3<&0; \"$@\" </dev/null & p=$!; { read -r _ <&3; kill -9 $p 2>/dev/null; } & wait $p";
    private static final long END_SECONDS = 20;

    /** Properties that a server reads and whose names don't begin with zookeeper. */
    private static final Set<String> PLAIN = Set.of("jute.maxbuffer", "readonlymode.enabled", "java.security.auth.login.config");
    /** How those begin that only the tests or their clients read. */
    private static final List<String> CLIENTS = List.of("zookeeper.serverCnxnFactory", "zookeeper.junit.", "zookeeper.clientCnxn",
            "zookeeper.client.secure", "zookeeper.sasl.client", "zookeeper.admin.rate", "zookeeper.request.timeout", "zookeeper.preAllocSize");

    private final Process keeper;

    private Server(Process keeper) {
        this.keeper = keeper;
    }

    /** Starts a server on a zoo.cfg, in that file's folder; does not wait until it serves. */
    public static Server start(File config) throws IOException {
        String name = "server-" + ProcessHandle.current().pid() + "-" + STARTS.incrementAndGet() + ".log";
        File log = new File(System.getProperty("gopherwood.logs"), name);
        Process p = new ProcessBuilder("sh", "-c", KEEPER, "keeper", System.getProperty("gopherwood.binary"), "serve", "--config", config.getPath())
                .directory(config.getAbsoluteFile().getParentFile())
                .redirectErrorStream(true)
                .redirectOutput(log)
                .start();
        Starts.note();
        return new Server(p);
    }

    /** Ends the process as kill -9 does and waits for its end. What was acknowledged is on disk. */
    public void kill() {
        try {
            try {
                keeper.getOutputStream().close();
            } catch (IOException e) {
                // it has ended before
            }
            if (!keeper.waitFor(END_SECONDS, TimeUnit.SECONDS)) {
                throw new IllegalStateException("a server does not end");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Tells whether the process runs; one that refuses its configuration soon does not. */
    public boolean alive() {
        return keeper.isAlive();
    }

    /** Blocks until the process has ended. */
    public void join() throws InterruptedException {
        keeper.waitFor();
    }

    /**
     * Writes a zoo.cfg: the given settings and the system properties that ZooKeeper's server would read, under the names that they
     * have in the file. The given ones win.
     */
    public static File writeConfig(File dir, Map<String, String> settings, List<String> lines) throws IOException {
        Map<String, String> all = properties();
        all.putAll(settings);
        StringBuilder text = new StringBuilder();
        all.forEach((k, v) -> text.append(k).append('=').append(v).append('\n'));
        lines.forEach(l -> text.append(l).append('\n'));
        File config = new File(dir, "gopherwood.cfg");
        Files.write(config.toPath(), text.toString().getBytes(StandardCharsets.UTF_8));
        return config;
    }

    /** The system properties that mean something to a server. ZooKeeper turns a line {@code a=b} into the property {@code zookeeper.a}. */
    public static Map<String, String> properties() {
        Map<String, String> all = new TreeMap<>();
        for (String name : System.getProperties().stringPropertyNames()) {
            String value = System.getProperty(name);
            if (value.isEmpty()) {
                continue;
            }
            if (PLAIN.contains(name) || name.startsWith("znode.container.")) {
                all.put(name, value);
            } else if (name.startsWith("zookeeper.") && CLIENTS.stream().noneMatch(name::startsWith)) {
                all.put(name.substring("zookeeper.".length()), value);
            }
        }
        if (QuorumPeerConfig.isReconfigEnabled()) { // tests set it there, not by a property
            all.put("reconfigEnabled", "true");
        }
        return all;
    }
}
