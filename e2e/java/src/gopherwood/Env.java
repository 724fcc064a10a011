package gopherwood;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;

/** What one check works with: a folder of its own and connections that are closed when it ends. */
final class Env implements AutoCloseable {
    /** Session timeout of ordinary clients, in ms: long, so that a slow machine expires nobody by accident. */
    static final int TIMEOUT_MS = 20_000;

    final Options options;
    /** This check's folder; it exists when the check starts. */
    final String root;

    private final Deque<AutoCloseable> open = new ArrayDeque<>();

    Env(Options options, String name) {
        this.options = options;
        this.root = options.root() + "/" + name.replaceAll("[^A-Za-z0-9]+", "-");
    }

    /** Makes the check's folder. */
    void open() throws Exception {
        ZooKeeper zk = client();
        StringBuilder path = new StringBuilder();
        for (String element : root.substring(1).split("/")) {
            path.append('/').append(element);
            try {
                zk.create(path.toString(), new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            } catch (KeeperException.NodeExistsException e) {
                // Another check was first.
            }
        }
    }

    String path(String name) {
        return root + "/" + name;
    }

    List<String> servers() {
        return options.servers();
    }

    /** Two different servers where there are several, else the same twice. */
    String server(int i) {
        return servers().get(i % servers().size());
    }

    /** A connected client of any server. */
    ZooKeeper client() throws Exception {
        return client(options.connect(), TIMEOUT_MS, e -> {});
    }

    /** A connected client. */
    ZooKeeper client(String connect, int timeoutMs, Watcher watcher) throws Exception {
        Connected connected = new Connected(watcher);
        ZooKeeper zk = keep(new ZooKeeper(connect, timeoutMs, connected));
        connected.await();
        return zk;
    }

    /** A proxy in front of a server. */
    Proxy proxy(String server) throws Exception {
        return keep(new Proxy(server));
    }

    <T extends AutoCloseable> T keep(T c) {
        synchronized (open) {
            open.push(c);
        }
        return c;
    }

    @Override
    public void close() {
        while (true) {
            AutoCloseable c;
            synchronized (open) {
                c = open.poll();
            }
            if (c == null) {
                return;
            }
            try {
                c.close();
            } catch (Exception e) {
                // Some recipes mind being closed twice, and the check has had its say.
            }
        }
    }
}
