package gopherwood;

import java.util.ArrayList;
import java.util.List;
import org.apache.zookeeper.AsyncCallback;
import org.apache.zookeeper.KeeperException.Code;

/** Counts the answers of asynchronous calls, all of which should succeed. */
final class Pending {
    private int ok;
    private final List<String> bad = new ArrayList<>();

    AsyncCallback.StringCallback string() {
        return (rc, path, ctx, name) -> done(rc, path);
    }

    AsyncCallback.VoidCallback voids() {
        return (rc, path, ctx) -> done(rc, path);
    }

    AsyncCallback.StatCallback stat() {
        return (rc, path, ctx, stat) -> done(rc, path);
    }

    synchronized void done(int rc, String path) {
        if (rc == Code.OK.intValue()) {
            ok++;
        } else {
            bad.add(Code.get(rc) + " " + path);
        }
        notifyAll();
    }

    synchronized void await(int n) throws InterruptedException {
        long end = System.currentTimeMillis() + 60_000;
        while (ok + bad.size() < n && System.currentTimeMillis() < end) {
            wait(1000);
        }
        Suite.equal(bad, List.of(), "failed calls");
        Suite.equal(ok, n, "answered calls");
    }
}
