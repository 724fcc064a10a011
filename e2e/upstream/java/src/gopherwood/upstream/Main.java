package gopherwood.upstream;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Pattern;
import org.apache.zookeeper.server.quorum.QuorumPeer;

/**
 * A Gopherwood on a test's own zoo.cfg, for tests that run ZooKeeper's main class in a thread. A second thread looks which server
 * leads, because these tests wait until a field of the QuorumPeer says so.
 */
public final class Main extends QuorumPeer {
    private static final long LOOK_MS = 200;

    private final File config;
    private final int port;
    private Server server;

    /** Reads the file; the server starts with {@link #start}. */
    public Main(File file) throws IOException {
        String text = Files.readString(file.toPath());
        Properties given = new Properties();
        given.load(new java.io.StringReader(text));
        StringBuilder all = new StringBuilder(text).append('\n');
        for (Map.Entry<String, String> p : Server.properties().entrySet()) {
            if (!given.containsKey(p.getKey())) {
                all.append(p.getKey()).append('=').append(p.getValue()).append('\n');
            }
        }
        port = clientPort(given);
        config = new File(file.getParentFile(), "gopherwood.cfg");
        Files.writeString(config.toPath(), given.containsKey("server.0") ? fromOne(all.toString(), given) : all.toString());
    }

    /** Numbers the servers from one: ZooKeeper's guide says so, its tests begin at zero, and Gopherwood holds them to the guide. */
    private static String fromOne(String text, Properties given) throws IOException {
        Path data = Path.of(given.getProperty("dataDir"));
        Path myid = data.resolve("myid");
        Path marker = data.resolve("myid.from-one"); // of an earlier start on the same folder
        if (!Files.exists(marker)) {
            Files.writeString(myid, (Integer.parseInt(Files.readString(myid).trim()) + 1) + "\n");
            Files.createFile(marker);
        }
        return Pattern.compile("(?m)^server\\.(\\d+)=").matcher(text)
                .replaceAll(m -> "server." + (Integer.parseInt(m.group(1)) + 1) + "=");
    }

    private static int clientPort(Properties given) {
        String port = given.getProperty("clientPort");
        if (port == null) {
            String own = null;
            try {
                own = given.getProperty("server." + Files.readString(new File(given.getProperty("dataDir"), "myid").toPath()).trim());
            } catch (IOException e) {
                // a server without a number
            }
            port = own == null ? "0" : own.substring(own.lastIndexOf(':') + 1);
        }
        return Integer.parseInt(port.trim());
    }

    @Override
    public synchronized void start() {
        try {
            server = Server.start(config);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Blocks until {@link #shutdown}, keeping the field leader. */
    public void runUntilShutdown() throws InterruptedException {
        while (isRunning()) {
            leader = getPeerState() == ServerState.LEADING ? Roles.leader() : null;
            Thread.sleep(LOOK_MS);
        }
        leader = null;
    }

    @Override
    public synchronized boolean isRunning() {
        return server != null && server.alive();
    }

    @Override
    public void shutdown() {
        Server s;
        synchronized (this) {
            s = server;
            server = null;
        }
        if (s != null) {
            s.kill();
        }
    }

    @Override
    public int getClientPort() {
        return port;
    }

    @Override
    public ServerState getPeerState() {
        return Peer.state(port);
    }
}
