package gopherwood;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;

/** A session watcher that lets one wait for the first connection and passes every event on. */
final class Connected implements Watcher {
    private final CountDownLatch latch = new CountDownLatch(1);
    private final Watcher next;

    Connected(Watcher next) {
        this.next = next;
    }

    @Override
    public void process(WatchedEvent event) {
        if (event.getState() == Event.KeeperState.SyncConnected) {
            latch.countDown();
        }
        next.process(event);
    }

    void await() throws InterruptedException {
        Suite.that(latch.await(40, TimeUnit.SECONDS), "no connection after 40 s");
    }
}
