package gopherwood;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;

/** A watcher that keeps what it sees, in order. */
final class Events implements Watcher {
    private final BlockingQueue<WatchedEvent> seen = new LinkedBlockingQueue<>();
    private final BlockingQueue<Event.KeeperState> states = new LinkedBlockingQueue<>();

    @Override
    public void process(WatchedEvent event) {
        if (event.getType() == Event.EventType.None) {
            states.add(event.getState());
        } else {
            seen.add(event);
        }
    }

    /** The next znode event must be this one. */
    void expect(Event.EventType type, String path) throws InterruptedException {
        WatchedEvent e = seen.poll(30, TimeUnit.SECONDS);
        Suite.that(e != null, "no event, want " + type + " " + path);
        Suite.equal(e.getType() + " " + e.getPath(), type + " " + path, "event");
        Suite.equal(e.getState(), Event.KeeperState.SyncConnected, "state of the event " + type + " " + path);
    }

    /** The next two events of this path must be these, in any order. */
    void expectBoth(Event.EventType a, Event.EventType b, String path) throws InterruptedException {
        Set<String> got = new HashSet<>();
        for (int i = 0; i < 2; i++) {
            WatchedEvent e = seen.poll(30, TimeUnit.SECONDS);
            Suite.that(e != null, "no event, want " + a + " and " + b + " " + path);
            got.add(e.getType() + " " + e.getPath());
        }
        Suite.equal(got, Set.of(a + " " + path, b + " " + path), "events");
    }

    /** Session states seen must hold this one next, others before it are dropped. */
    void expectState(Event.KeeperState want) throws InterruptedException {
        List<Event.KeeperState> before = new ArrayList<>();
        while (true) {
            Event.KeeperState s = states.poll(40, TimeUnit.SECONDS);
            Suite.that(s != null, "no session state " + want + ", saw " + before);
            if (s == want) {
                return;
            }
            before.add(s);
        }
    }

    boolean sawState(Event.KeeperState s) {
        return states.contains(s);
    }

    int count() {
        return seen.size();
    }

    /** No znode event is left over. Call after something that any such event would have come before. */
    void expectNone() {
        Suite.that(seen.isEmpty(), "events nobody waits for: " + seen);
    }
}
