package gopherwood.upstream;

import org.apache.zookeeper.server.quorum.Follower;
import org.apache.zookeeper.server.quorum.Leader;
import org.apache.zookeeper.server.quorum.Observer;
import org.mockito.Mockito;

/** Objects that are there and do nothing, where tests ask only whether there is one. */
final class Roles {
    private static Leader leader;
    private static Follower follower;
    private static Observer observer;

    private Roles() {
    }

    static synchronized Leader leader() {
        if (leader == null) {
            leader = Mockito.mock(Leader.class);
        }
        return leader;
    }

    static synchronized Follower follower() {
        if (follower == null) {
            follower = Mockito.mock(Follower.class);
        }
        return follower;
    }

    static synchronized Observer observer() {
        if (observer == null) {
            observer = Mockito.mock(Observer.class);
        }
        return observer;
    }
}
