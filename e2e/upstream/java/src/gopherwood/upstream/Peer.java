package gopherwood.upstream;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.zookeeper.client.FourLetterWordMain;
import org.apache.zookeeper.server.quorum.MultipleAddresses;
import org.apache.zookeeper.server.quorum.QuorumPeer;

/**
 * One server of an ensemble, for tests that hold their servers as QuorumPeers: its thread never runs, a Gopherwood process does. It
 * knows what the process tells by the four-letter word srvr; everything else of a QuorumPeer stays as it was constructed.
 */
public final class Peer extends QuorumPeer {
    private static final int WORD_TIMEOUT_MS = 2000;

    private final Map<Long, QuorumServer> servers;
    private final File dir;
    private final int port;
    private Server server;
    private volatile QuorumServer told; // where the ensemble says it is, after a reconfig

    /** A server that {@link #start} will start, with the ensemble's addresses as they are then. Times are in ticks, the tick in ms. */
    public Peer(Map<Long, QuorumServer> servers, File dir, int port, long id, int tickTime, int initLimit, int syncLimit) throws IOException {
        super(servers, dir, dir, port, 3, id, tickTime, initLimit, syncLimit, syncLimit);
        this.servers = servers;
        this.dir = new File(dir, "gopherwood");
        this.port = port;
    }

    @Override
    public synchronized void start() {
        try {
            File data = new File(dir, "data");
            if (!data.isDirectory() && !data.mkdirs()) {
                throw new IOException("cannot make " + data);
            }
            java.nio.file.Files.writeString(new File(data, "myid").toPath(), getMyId() + "\n");
            server = Server.start(Server.writeConfig(dir, settings(data), lines()));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private Map<String, String> settings(File data) {
        Map<String, String> s = new TreeMap<>();
        s.put("dataDir", data.getPath());
        s.put("clientPort", Integer.toString(port));
        s.put("tickTime", Integer.toString(getTickTime()));
        s.put("initLimit", Integer.toString(getInitLimit()));
        s.put("syncLimit", Integer.toString(getSyncLimit()));
        s.put("maxClientCnxns", "0");
        s.put("admin.enableServer", "false");
        if (areLocalSessionsEnabled()) {
            s.put("localSessionsEnabled", "true");
            s.put("localSessionsUpgradingEnabled", Boolean.toString(isLocalSessionsUpgradingEnabled()));
        }
        if (getLearnerType() == LearnerType.OBSERVER) {
            s.put("peerType", "observer");
        }
        return s;
    }

    private List<String> lines() {
        List<String> lines = new ArrayList<>();
        servers.forEach((id, s) -> lines.add("server." + id + "=" + s.toString().replace("0.0.0.0:", "127.0.0.1:")));
        return lines;
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
    public ServerState getPeerState() {
        return state(getClientPort());
    }

    @Override
    public int getClientPort() {
        QuorumServer s = told;
        return s != null && s.clientAddr != null ? s.clientAddr.getPort() : super.getClientPort();
    }

    @Override
    public MultipleAddresses getQuorumAddress() {
        QuorumServer s = told;
        return s != null ? s.addr : super.getQuorumAddress();
    }

    @Override
    public MultipleAddresses getElectionAddress() {
        QuorumServer s = told;
        return s != null ? s.electionAddr : super.getElectionAddress();
    }

    /** What a server on a port says that it is: LOOKING when it says nothing. */
    public static ServerState state(int port) {
        switch (mode(port)) {
            case "leader":
                return ServerState.LEADING;
            case "follower":
                return ServerState.FOLLOWING;
            case "observer":
                return ServerState.OBSERVING;
            default:
                return ServerState.LOOKING;
        }
    }

    /** Tells whether a server on a port serves clients. */
    public static boolean serves(int port) {
        return !mode(port).isEmpty();
    }

    private static String mode(int port) {
        try {
            for (String line : FourLetterWordMain.send4LetterWord("127.0.0.1", port, "srvr", false, WORD_TIMEOUT_MS).split("\n")) {
                if (line.startsWith("Mode: ")) {
                    return line.substring("Mode: ".length()).trim();
                }
            }
        } catch (Exception e) {
            // down, or still starting
        }
        return "";
    }

    /** Sets the fields leader, follower and observer to something or nothing, for tests that look there what a server is. */
    public Peer look() {
        ServerState state = getPeerState();
        leader = state == ServerState.LEADING ? Roles.leader() : null;
        follower = state == ServerState.FOLLOWING ? Roles.follower() : null;
        observer = state == ServerState.OBSERVING ? Roles.observer() : null;
        return this;
    }

    /** Takes this server's line of the ensemble's membership, as a server on some port tells it by the word conf; false: nothing is there. */
    public boolean locate(int somePort) {
        try {
            String key = "server." + getMyId() + "=";
            for (String line : FourLetterWordMain.send4LetterWord("127.0.0.1", somePort, "conf", false, WORD_TIMEOUT_MS).split("\n")) {
                if (line.startsWith(key)) {
                    told = new QuorumServer(getMyId(), line.substring(key.length()).trim());
                    return true;
                }
            }
        } catch (Exception e) {
            // down, or still starting
        }
        return false;
    }
}
