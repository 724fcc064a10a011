package org.apache.zookeeper.test;

import static org.junit.jupiter.api.Assertions.assertTrue;

import gopherwood.upstream.Peer;
import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.zookeeper.PortAssignment;
import org.apache.zookeeper.server.quorum.QuorumPeer;
import org.apache.zookeeper.server.quorum.QuorumPeer.LearnerType;
import org.apache.zookeeper.server.quorum.QuorumPeer.QuorumServer;
import org.apache.zookeeper.server.quorum.QuorumPeer.ServerState;

/** Stands in for the class of this name in ZooKeeper's tests, an ensemble of 2n+1 servers, with the same members: they are Gopherwoods. */
public class QuorumUtil {
    private static final int TICK_MS = 2000;
    private static final int INIT_TICKS = 3;

    public static class PeerStruct {
        public int id;
        public QuorumPeer peer;
        public File dataDir;
        public int clientPort;
    }

    public final int N;
    public final int ALL;
    public boolean disableJMXTest;

    private final Map<Integer, PeerStruct> peers = new TreeMap<>();
    private final Map<Long, QuorumServer> addresses = new TreeMap<>();
    private final int syncTicks;
    private boolean localSessions;
    private boolean formed;

    public QuorumUtil(int n) throws RuntimeException {
        this(n, 3);
    }

    public QuorumUtil(int n, int syncLimit) throws RuntimeException {
        N = n;
        ALL = 2 * n + 1;
        syncTicks = syncLimit;
        ClientBase.setupTestEnv();
        try {
            for (int i = 1; i <= ALL; i++) {
                PeerStruct p = new PeerStruct();
                p.id = i;
                p.dataDir = ClientBase.createTmpDir();
                p.clientPort = PortAssignment.unique();
                peers.put(i, p);
                addresses.put((long) i, new QuorumServer(i, address(PortAssignment.unique()), address(PortAssignment.unique()),
                        address(p.clientPort), LearnerType.PARTICIPANT));
            }
            for (int i = 1; i <= ALL; i++) {
                create(i);
            }
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static InetSocketAddress address(int port) {
        return new InetSocketAddress("127.0.0.1", port);
    }

    private void create(int id) throws IOException {
        PeerStruct p = peers.get(id);
        p.peer = new Peer(addresses, p.dataDir, p.clientPort, id, TICK_MS, INIT_TICKS, syncTicks);
        p.peer.enableLocalSessions(localSessions);
    }

    public PeerStruct getPeer(int id) {
        PeerStruct p = peers.get(id);
        if (p != null) {
            Peer peer = (Peer) p.peer;
            peers.values().stream().anyMatch(other -> peer.locate(other.peer.getClientPort())); // a reconfig may have moved it
            peer.look();
        }
        return p;
    }

    public void enableLocalSession(boolean enabled) {
        localSessions = enabled;
    }

    public void startAll() throws IOException {
        shutdownAll();
        startFirst(ALL);
    }

    public void startQuorum() throws IOException {
        shutdownAll();
        startFirst(N + 1);
    }

    /** Starts the first n servers. A new ensemble is formed by all of them, since Gopherwood's want to have seen each other once. */
    private void startFirst(int n) throws IOException {
        int starting = formed ? n : ALL;
        for (int i = 1; i <= starting; i++) {
            start(i);
        }
        for (int i = 1; i <= starting; i++) {
            waitUp(i);
        }
        formed = true;
        for (int i = n + 1; i <= starting; i++) {
            shutdown(i);
        }
    }

    private void waitUp(int id) {
        assertTrue(ClientBase.waitForServerUp(getConnectionStringForServer(id), ClientBase.CONNECTION_TIMEOUT), "server " + id + " is not up");
    }

    public void start(int id) throws IOException {
        create(id);
        peers.get(id).peer.start();
    }

    public void restart(int id) throws IOException {
        start(id);
        waitUp(id);
    }

    public void startThenShutdown(int id) throws IOException {
        restart(id);
        shutdown(id);
    }

    public void shutdownAll() {
        for (int i = 1; i <= ALL; i++) {
            shutdown(i);
        }
    }

    public void shutdown(int id) {
        peers.get(id).peer.shutdown();
        assertTrue(ClientBase.waitForServerDown(getConnectionStringForServer(id), ClientBase.CONNECTION_TIMEOUT), "server " + id + " is not down");
    }

    public String getConnString() {
        StringBuilder all = new StringBuilder();
        peers.keySet().forEach(id -> all.append(all.length() == 0 ? "" : ",").append(getConnectionStringForServer(id)));
        return all.toString();
    }

    public String getConnectString(QuorumPeer peer) {
        return "127.0.0.1:" + peer.getClientPort();
    }

    public String getConnectionStringForServer(int index) {
        return "127.0.0.1:" + peers.get(index).clientPort;
    }

    public boolean allPeersAreConnected() {
        return peers.values().stream().noneMatch(p -> p.peer.getPeerState() == ServerState.LOOKING);
    }

    public QuorumPeer getLeaderQuorumPeer() {
        return getPeer(getLeaderServer()).peer;
    }

    public List<QuorumPeer> getFollowerQuorumPeers() {
        List<QuorumPeer> followers = new ArrayList<>();
        peers.values().stream().filter(p -> p.peer.getPeerState() != ServerState.LEADING).forEach(p -> followers.add(p.peer));
        return followers;
    }

    public int getLeaderServer() {
        int leader = leader();
        assertTrue(leader > 0, "no server leads");
        return leader;
    }

    public boolean leaderExists() {
        return leader() > 0;
    }

    private int leader() {
        return peers.values().stream().filter(p -> p.peer.getPeerState() == ServerState.LEADING).mapToInt(p -> p.id).findFirst().orElse(0);
    }

    public void tearDown() throws Exception {
        shutdownAll();
    }
}
