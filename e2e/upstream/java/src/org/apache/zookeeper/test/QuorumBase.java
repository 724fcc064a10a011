package org.apache.zookeeper.test;

import static org.junit.jupiter.api.Assertions.assertTrue;

import gopherwood.upstream.Peer;
import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.apache.zookeeper.PortAssignment;
import org.apache.zookeeper.TestableZooKeeper;
import org.apache.zookeeper.server.quorum.QuorumPeer;
import org.apache.zookeeper.server.quorum.QuorumPeer.LearnerType;
import org.apache.zookeeper.server.quorum.QuorumPeer.QuorumServer;
import org.apache.zookeeper.server.quorum.QuorumPeer.ServerState;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/**
 * Stands in for the class of this name in ZooKeeper's tests, the base of those that want five servers, with the same members: the
 * servers are Gopherwoods. An ensemble with an oracle is one without.
 */
public class QuorumBase extends ClientBase {
    protected static final String LOCALADDR = "127.0.0.1";
    private static final int SERVERS = 5;
    private static final int TICK_MS = 2000;
    private static final int LIMIT_TICKS = 3;

    File s1dir, s2dir, s3dir, s4dir, s5dir;
    QuorumPeer s1, s2, s3, s4, s5;
    protected int port1, port2, port3, port4, port5;
    protected int portLE1, portLE2, portLE3, portLE4, portLE5;
    protected int portClient1, portClient2, portClient3, portClient4, portClient5;
    protected boolean localSessionsEnabled;
    protected boolean localSessionsUpgradingEnabled;
    Map<Long, QuorumServer> peers;

    @BeforeEach
    @Override
    public void setUp() throws Exception {
        setUp(false, true);
    }

    protected void setUp(boolean withObservers, boolean withOracle) throws Exception {
        setupTestEnv();
        setUpAll();
        assignPorts();
        s1dir = createTmpDir();
        s2dir = createTmpDir();
        s3dir = createTmpDir();
        s4dir = createTmpDir();
        s5dir = createTmpDir();
        startServers(withObservers, withOracle);
    }

    private void assignPorts() {
        port1 = PortAssignment.unique();
        port2 = PortAssignment.unique();
        port3 = PortAssignment.unique();
        port4 = PortAssignment.unique();
        port5 = PortAssignment.unique();
        portLE1 = PortAssignment.unique();
        portLE2 = PortAssignment.unique();
        portLE3 = PortAssignment.unique();
        portLE4 = PortAssignment.unique();
        portLE5 = PortAssignment.unique();
        portClient1 = PortAssignment.unique();
        portClient2 = PortAssignment.unique();
        portClient3 = PortAssignment.unique();
        portClient4 = PortAssignment.unique();
        portClient5 = PortAssignment.unique();
        StringBuilder all = new StringBuilder();
        for (int port : clientPorts()) {
            all.append(all.length() == 0 ? "" : ",").append(LOCALADDR).append(':').append(port);
        }
        hostPort = all.toString();
    }

    private int[] clientPorts() {
        return new int[] {portClient1, portClient2, portClient3, portClient4, portClient5};
    }

    private File[] dirs() {
        return new File[] {s1dir, s2dir, s3dir, s4dir, s5dir};
    }

    private Map<Long, QuorumServer> addresses(int firstObserver) {
        int[] quorum = {port1, port2, port3, port4, port5};
        int[] election = {portLE1, portLE2, portLE3, portLE4, portLE5};
        Map<Long, QuorumServer> all = new TreeMap<>();
        for (int i = 0; i < SERVERS; i++) {
            all.put(i + 1L, new QuorumServer(i + 1, new InetSocketAddress(LOCALADDR, quorum[i]), new InetSocketAddress(LOCALADDR, election[i]),
                    new InetSocketAddress(LOCALADDR, clientPorts()[i]), i + 1 >= firstObserver ? LearnerType.OBSERVER : LearnerType.PARTICIPANT));
        }
        return all;
    }

    void startServers() throws Exception {
        startServers(false, true);
    }

    void startServers(boolean withObservers, boolean withOracle) throws Exception {
        peers = addresses(withObservers ? SERVERS - 1 : SERVERS + 1);
        setupServers();
        if (withObservers) {
            s4.setLearnerType(LearnerType.OBSERVER);
            s5.setLearnerType(LearnerType.OBSERVER);
        }
        for (QuorumPeer p : getPeerList()) {
            p.enableLocalSessions(localSessionsEnabled);
            p.enableLocalSessionsUpgrading(localSessionsUpgradingEnabled);
        }
        for (QuorumPeer p : getPeerList()) {
            p.start();
        }
        for (String server : hostPort.split(",")) {
            assertTrue(waitForServerUp(server, CONNECTION_TIMEOUT), server + " is not up");
        }
    }

    public void setupServers() throws IOException {
        for (int i = 1; i <= SERVERS; i++) {
            setupServer(i);
        }
    }

    public void setupServer(int i) throws IOException {
        if (peers == null) {
            peers = addresses(SERVERS + 1);
        }
        QuorumPeer p = new Peer(peers, dirs()[i - 1], clientPorts()[i - 1], i, TICK_MS, LIMIT_TICKS, LIMIT_TICKS);
        switch (i) {
            case 1:
                s1 = p;
                break;
            case 2:
                s2 = p;
                break;
            case 3:
                s3 = p;
                break;
            case 4:
                s4 = p;
                break;
            default:
                s5 = p;
        }
    }

    public ArrayList<QuorumPeer> getPeerList() {
        return new ArrayList<>(Arrays.asList(s1, s2, s3, s4, s5));
    }

    public int getLeaderIndex() {
        for (int i = 0; i < SERVERS; i++) {
            if (getPeerList().get(i).getPeerState() == ServerState.LEADING) {
                return i;
            }
        }
        return -1;
    }

    public QuorumPeer getLeaderQuorumPeer() {
        int i = getLeaderIndex();
        return i < 0 ? null : getPeerList().get(i);
    }

    public int getLeaderClientPort() {
        int i = getLeaderIndex();
        return i < 0 ? -1 : clientPorts()[i];
    }

    public File getLeaderDataDir() {
        int i = getLeaderIndex();
        return i < 0 ? null : dirs()[i];
    }

    public QuorumPeer getFirstObserver() {
        return getPeerList().stream().filter(p -> p.getLearnerType() == LearnerType.OBSERVER).findFirst().orElse(null);
    }

    public int getFirstObserverClientPort() {
        QuorumPeer p = getFirstObserver();
        return p == null ? -1 : p.getClientPort();
    }

    public String getPeersMatching(ServerState state) {
        StringBuilder all = new StringBuilder();
        for (QuorumPeer p : getPeerList()) {
            if (p.getPeerState() == state) {
                all.append(LOCALADDR).append(':').append(p.getClientPort()).append(',');
            }
        }
        return all.toString();
    }

    public QuorumPeer getPeerByClientPort(int port) {
        return getPeerList().stream().filter(p -> p.getClientPort() == port).findFirst().orElse(null);
    }

    @AfterEach
    @Override
    public void tearDown() throws Exception {
        shutdownServers();
        for (String server : hostPort.split(",")) {
            assertTrue(waitForServerDown(server, CONNECTION_TIMEOUT), server + " is not down");
        }
    }

    public void shutdownServers() {
        for (QuorumPeer p : getPeerList()) {
            shutdown(p);
        }
    }

    public static void shutdown(QuorumPeer p) {
        if (p != null) {
            p.shutdown();
        }
    }

    @Override
    protected TestableZooKeeper createClient() throws IOException, InterruptedException {
        return createClient(hostPort);
    }

    @Override
    protected TestableZooKeeper createClient(String servers) throws IOException, InterruptedException {
        return createClient(new CountdownWatcher(), servers);
    }

    protected TestableZooKeeper createClient(CountdownWatcher watcher, ServerState state) throws IOException, InterruptedException {
        return createClient(watcher, getPeersMatching(state));
    }
}
