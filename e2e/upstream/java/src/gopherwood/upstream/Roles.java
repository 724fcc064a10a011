package gopherwood.upstream;

import org.apache.zookeeper.server.quorum.Leader;
import org.mockito.Mockito;

/** Objects that are there and do nothing, where tests ask only whether there is one. */
final class Roles {
    private static Leader leader;

    private Roles() {
    }

    static synchronized Leader leader() {
        if (leader == null) {
            leader = Mockito.mock(Leader.class);
        }
        return leader;
    }
}
