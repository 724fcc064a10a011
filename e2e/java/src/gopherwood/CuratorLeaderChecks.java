package gopherwood;

import static gopherwood.Suite.equal;
import static gopherwood.Suite.eventually;
import static gopherwood.Suite.that;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderLatchListener;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;

/** Leader latch and leader selector. */
final class CuratorLeaderChecks {
    private CuratorLeaderChecks() {}

    static void add(Suite s) {
        s.check("leader/latch", CuratorLeaderChecks::latch);
        s.check("leader/latch-listener", CuratorLeaderChecks::latchListener);
        s.check("leader/latch-of-lost-session", CuratorLeaderChecks::latchOfLostSession);
        s.check("leader/selector", CuratorLeaderChecks::selector);
        s.check("leader/selector-requeue", CuratorLeaderChecks::selectorRequeue);
    }

    private static void latch(Env env) throws Exception {
        List<LeaderLatch> latches = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            LeaderLatch l = env.keep(new LeaderLatch(Curators.client(env, env.server(i), Env.TIMEOUT_MS), env.path("latch"), "p" + i));
            l.start();
            latches.add(l);
        }
        while (!latches.isEmpty()) {
            eventually("somebody leads", () -> latches.stream().anyMatch(LeaderLatch::hasLeadership));
            equal(latches.stream().filter(LeaderLatch::hasLeadership).count(), 1L, "leaders");
            LeaderLatch leader = latches.stream().filter(LeaderLatch::hasLeadership).findFirst().get();
            equal(leader.getLeader().getId(), leader.getId(), "the leader's name");
            eventually("all take part", () -> latches.get(0).getParticipants().size() == latches.size());
            latches.remove(leader);
            leader.close(LeaderLatch.CloseMode.NOTIFY_LEADER);
            that(!leader.hasLeadership(), "a closed latch does not lead");
        }
    }

    private static void latchListener(Env env) throws Exception {
        CountDownLatch leads = new CountDownLatch(1);
        CountDownLatch lost = new CountDownLatch(1);
        LeaderLatch l = env.keep(new LeaderLatch(Curators.client(env), env.path("latch")));
        l.addListener(new LeaderLatchListener() {
            @Override
            public void isLeader() {
                leads.countDown();
            }

            @Override
            public void notLeader() {
                lost.countDown();
            }
        });
        l.start();
        that(l.await(40, TimeUnit.SECONDS), "leadership");
        that(leads.await(40, TimeUnit.SECONDS), "told of leadership");
        l.close(LeaderLatch.CloseMode.NOTIFY_LEADER);
        that(lost.await(40, TimeUnit.SECONDS), "told of its end");
    }

    /** A leader whose connection is cut gives up, and another takes over when its session has expired. */
    private static void latchOfLostSession(Env env) throws Exception {
        Proxy proxy = env.proxy(env.server(0));
        CuratorFramework cut = env.keep(org.apache.curator.framework.CuratorFrameworkFactory.builder()
            .connectString(proxy.address()).ensembleTracker(false).sessionTimeoutMs(2000).connectionTimeoutMs(2000)
            .retryPolicy(new org.apache.curator.retry.RetryForever(100)).build());
        cut.start();
        LeaderLatch first = env.keep(new LeaderLatch(cut, env.path("latch"), "first"));
        first.start();
        that(first.await(40, TimeUnit.SECONDS), "the first leads");
        LeaderLatch second = env.keep(new LeaderLatch(Curators.client(env), env.path("latch"), "second"));
        second.start();
        eventually("both are there", () -> second.getParticipants().size() == 2);
        that(!second.hasLeadership(), "the second waits");
        proxy.cut();
        that(second.await(40, TimeUnit.SECONDS), "the second takes over");
        eventually("the first knows", () -> !first.hasLeadership());
        proxy.mend();
        eventually("the first is back in the queue", () -> second.getParticipants().size() == 2);
        that(second.hasLeadership(), "the second still leads");
    }

    private static void selector(Env env) throws Exception {
        int n = 4;
        AtomicInteger leaders = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        CountDownLatch turns = new CountDownLatch(n);
        for (int i = 0; i < n; i++) {
            LeaderSelector s = env.keep(new LeaderSelector(Curators.client(env, env.server(i), Env.TIMEOUT_MS), env.path("selector"), new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework c) throws Exception {
                    most.accumulateAndGet(leaders.incrementAndGet(), Math::max);
                    Thread.sleep(30);
                    leaders.decrementAndGet();
                    turns.countDown();
                }
            }));
            s.start();
        }
        that(turns.await(60, TimeUnit.SECONDS), "all had their turn");
        equal(most.get(), 1, "leaders at a time");
    }

    private static void selectorRequeue(Env env) throws Exception {
        Set<Integer> seen = ConcurrentHashMap.newKeySet();
        for (int i = 0; i < 2; i++) {
            int id = i;
            LeaderSelector s = env.keep(new LeaderSelector(Curators.client(env), env.path("selector"), new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework c) {
                    seen.add(id);
                }
            }));
            s.autoRequeue();
            s.start();
        }
        eventually("both lead", () -> seen.size() == 2);
        seen.clear();
        eventually("both lead again", () -> seen.size() == 2);
    }
}
