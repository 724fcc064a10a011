package gopherwood.upstream;

import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.zookeeper.server.ServerCnxn;
import org.apache.zookeeper.server.ServerCnxnFactory;
import org.apache.zookeeper.server.ZooKeeperServer;

/**
 * Makes ZooKeeper's tests of one server run against Gopherwood: they start servers through a ServerCnxnFactory, and both of ZooKeeper's
 * own ones are replaced by this one. Told to start up a ZooKeeperServer, it takes that one's settings and folder and starts a
 * Gopherwood on the port instead. The ZooKeeperServer itself never runs: what it knows (its database, its statistics) stays empty.
 */
public class Connections extends ServerCnxnFactory {
    private static final long LOOK_MS = 20;

    private InetSocketAddress address;
    private int perHost;
    private int backlog;
    private Server server;

    @Override
    public void configure(InetSocketAddress addr, int maxcc, int backlog, boolean secure) throws IOException {
        this.address = addr.getPort() == 0 ? new InetSocketAddress(addr.getAddress(), freePort(addr)) : addr;
        this.perHost = maxcc;
        this.backlog = backlog;
        this.secure = secure;
        initMaxCnxns();
    }

    /** A port for a server that is to choose its own: Gopherwood's is fixed before it starts. */
    private static int freePort(InetSocketAddress addr) throws IOException {
        try (ServerSocket s = new ServerSocket()) {
            s.bind(addr);
            return s.getLocalPort();
        }
    }

    @Override
    public synchronized void startup(ZooKeeperServer zks, boolean startServer) throws IOException {
        setZooKeeperServer(zks);
        if (!startServer || server != null) {
            return;
        }
        // Beside the folder that ZooKeeper keeps its own files in, and so kept and deleted with it.
        File dir = new File(zks.getTxnLogFactory().getSnapDir().getParentFile(), "gopherwood");
        if (!dir.isDirectory() && !dir.mkdirs()) {
            throw new IOException("cannot make " + dir);
        }
        Map<String, String> settings = new TreeMap<>();
        settings.put("dataDir", new File(dir, "data").getPath());
        settings.put(secure ? "secureClientPort" : "clientPort", Integer.toString(address.getPort()));
        if (!address.getAddress().isAnyLocalAddress()) {
            settings.put(secure ? "secureClientPortAddress" : "clientPortAddress", address.getAddress().getHostAddress());
        }
        if (secure) {
            settings.put("clientPort", Integer.toString(freePort(new InetSocketAddress(0)))); // it has to have one
        }
        settings.put("tickTime", Integer.toString(zks.getTickTime()));
        settings.put("minSessionTimeout", Integer.toString(zks.getMinSessionTimeout()));
        settings.put("maxSessionTimeout", Integer.toString(zks.getMaxSessionTimeout()));
        settings.put("maxClientCnxns", Integer.toString(Math.max(0, perHost)));
        settings.put("admin.enableServer", "false");
        server = Server.start(Server.writeConfig(dir, settings, List.of()));
    }

    @Override
    public synchronized void shutdown() {
        if (server != null) {
            server.kill();
            server = null;
        }
    }

    @Override
    public int getLocalPort() {
        return address.getPort();
    }

    @Override
    public InetSocketAddress getLocalAddress() {
        return address;
    }

    @Override
    public Iterable<ServerCnxn> getConnections() {
        return cnxns;
    }

    @Override
    public void reconfigure(InetSocketAddress addr) {
        throw new UnsupportedOperationException("a running server keeps its port");
    }

    @Override
    public int getMaxClientCnxnsPerHost() {
        return perHost;
    }

    @Override
    public synchronized void setMaxClientCnxnsPerHost(int max) {
        perHost = max;
        if (server == null) {
            return;
        }
        shutdown();
        try {
            startup(getZooKeeperServer(), true);
            while (!Peer.serves(address.getPort())) {
                Thread.sleep(LOOK_MS);
            }
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public int getSocketListenBacklog() {
        return backlog;
    }

    @Override
    public void join() throws InterruptedException {
        Server s;
        synchronized (this) {
            s = server;
        }
        if (s != null) {
            s.join();
        }
    }

    @Override
    public void start() {
        // startup does it
    }

    @Override
    public void closeAll(ServerCnxn.DisconnectReason reason) {
        throw new UnsupportedOperationException("the connections are in another process");
    }

    @Override
    public void resetAllConnectionStats() {
        throw new UnsupportedOperationException("the connections are in another process");
    }

    @Override
    public Iterable<Map<String, Object>> getAllConnectionInfo(boolean brief) {
        return Collections.emptyList();
    }
}
