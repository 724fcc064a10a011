package org.apache.curator.test;

import gopherwood.upstream.Peer;
import gopherwood.upstream.Server;
import java.io.File;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.zookeeper.server.ServerCnxnFactory;

/**
 * Stands in for the class of this name in Curator's test library, through which its TestingServer and TestingCluster run what they
 * start: that is a Gopherwood on the same settings.
 */
public class ZooKeeperServerEmbeddedAdapter implements ZooKeeperMainFace {
    private static final Duration START = Duration.ofMinutes(1);
    private static final long LOOK_MS = 20;

    private volatile Server server;
    private volatile int port;

    @Override
    public void start(QuorumPeerConfigBuilder builder) {
        try {
            Properties given = builder.buildProperties();
            Map<String, String> settings = new TreeMap<>();
            given.stringPropertyNames().forEach(name -> settings.put(name, given.getProperty(name)));
            File dir = new File(given.getProperty("dataDir"), "gopherwood");
            File data = new File(dir, "data");
            if (!data.isDirectory() && !data.mkdirs()) {
                throw new IOException("cannot make " + data);
            }
            Files.writeString(new File(data, "myid").toPath(), builder.getInstanceSpec().getServerId() + "\n");
            port = Integer.parseInt(given.getProperty("clientPort"));
            if (port == 0) {
                try (ServerSocket s = new ServerSocket(0)) {
                    port = s.getLocalPort();
                }
            }
            settings.put("dataDir", data.getPath());
            settings.put("clientPort", Integer.toString(port));
            settings.put("admin.enableServer", "false");
            server = Server.start(Server.writeConfig(dir, settings, List.of()));
            if (settings.keySet().stream().noneMatch(name -> name.startsWith("server."))) {
                waitUntilServing();
            }
        } catch (Exception e) {
            throw new FailedServerStartException(e);
        }
    }

    private void waitUntilServing() throws InterruptedException, IOException {
        for (Instant end = Instant.now().plus(START); !Peer.serves(port); Thread.sleep(LOOK_MS)) {
            if (Instant.now().isAfter(end)) {
                throw new IOException("nothing serves on port " + port);
            }
        }
    }

    @Override
    public int getClientPort() {
        return port;
    }

    public ServerCnxnFactory getServerCnxnFactory() {
        throw new UnsupportedOperationException("the connections are in another process");
    }

    @Override
    public void kill() {
        close();
    }

    @Override
    public void close() {
        Server s = server;
        server = null;
        if (s != null) {
            s.kill();
        }
    }
}
