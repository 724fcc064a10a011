package org.apache.zookeeper.server.quorum;

import gopherwood.upstream.Main;
import java.io.File;
import java.io.IOException;
import javax.security.sasl.SaslException;
import org.apache.zookeeper.server.admin.AdminServer.AdminServerException;
import org.apache.zookeeper.server.quorum.QuorumPeerConfig.ConfigException;

/** Stands in for ZooKeeper's main class, with the same members: told to run a configuration file, it runs a Gopherwood on it. */
public class QuorumPeerMain {
    protected QuorumPeer quorumPeer;

    protected void initializeAndRun(String[] args) throws ConfigException, IOException, AdminServerException {
        Main main = new Main(new File(args[0]));
        quorumPeer = main;
        main.start();
        try {
            main.runUntilShutdown();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    public void runFromConfig(QuorumPeerConfig config) throws IOException, AdminServerException {
        throw new UnsupportedOperationException("a Gopherwood runs on a file");
    }

    protected QuorumPeer getQuorumPeer() throws SaslException {
        throw new UnsupportedOperationException("a Gopherwood has no QuorumPeer");
    }

    public void close() {
        if (quorumPeer != null) {
            quorumPeer.shutdown();
            quorumPeer = null;
        }
    }
}
