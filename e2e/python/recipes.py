"""kazoo's recipes, each with parties on different servers."""

import datetime
import threading
import time

from kazoo.exceptions import CancelledError, LockTimeout
from kazoo.recipe.barrier import DoubleBarrier
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo.recipe.watchers import PatientChildrenWatch

from checks import LIMIT, check, equal, eventually, raises, that


def excludes(env, make, rounds=4):
    """Several clients, one at a time inside."""
    inside, turns = [], []

    def party(client):
        lock = make(client)
        for _ in range(rounds):
            with lock:
                inside.append(1)
                equal(len(inside), 1, "holders")
                turns.append(1)
                inside.pop()

    for f in [env.go(party, c) for c in env.clients(4)]:
        f.result(LIMIT)
    equal(len(turns), 4 * rounds, "turns")


@check("lock/mutex")
def mutex(env):
    excludes(env, lambda c: c.Lock(env.path("lock"), "me"))


@check("lock/write-lock")
def write_lock(env):
    excludes(env, lambda c: c.WriteLock(env.path("lock"), "me"))


@check("lock/semaphore-of-one")
def semaphore_of_one(env):
    excludes(env, lambda c: c.Semaphore(env.path("s"), "me"))


@check("lock/timeout-and-contenders")
def lock_timeout(env):
    a, b = [c.Lock(env.path("lock"), n) for c, n in zip(env.clients(2), "ab")]
    that(a.acquire(), "a free lock")
    that(not b.acquire(blocking=False), "a held lock without waiting")
    raises(LockTimeout, b.acquire, timeout=0.3)
    waiting = env.go(b.acquire)
    eventually("the contender shows", lambda: a.contenders() == ["a", "b"])
    a.release()
    that(waiting.result(LIMIT), "the lock was handed over")
    b.release()


@check("lock/cancel")
def lock_cancel(env):
    a, b = [c.Lock(env.path("lock")) for c in env.clients(2)]
    a.acquire()
    waiting = env.go(b.acquire)
    eventually("it waits", lambda: len(a.contenders()) == 2)
    b.cancel()
    raises(CancelledError, waiting.result, LIMIT)
    a.release()


@check("lock/of-lost-session")
def lock_of_lost_session(env):
    proxy = env.proxy(env.server(0))
    a = env.client(proxy.address, timeout=1.5).Lock(env.path("lock"), "a")
    b = env.client(env.server(1)).Lock(env.path("lock"), "b")
    a.acquire()
    waiting = env.go(b.acquire)
    eventually("it waits", lambda: len(b.contenders()) == 2)
    proxy.cut()
    that(waiting.result(LIMIT), "the lock of an expired session")


@check("lock/read-write")
def read_write(env):
    a, b = env.clients(2)
    ra, rb = a.ReadLock(env.path("l"), "ra"), b.ReadLock(env.path("l"), "rb")
    wa, wb = a.WriteLock(env.path("l"), "wa"), b.WriteLock(env.path("l"), "wb")
    that(ra.acquire(timeout=LIMIT) and rb.acquire(timeout=LIMIT), "two readers")
    that(not wb.acquire(blocking=False), "no writer beside readers")
    ra.release()
    that(not wb.acquire(blocking=False), "no writer beside one reader")
    rb.release()
    that(wb.acquire(timeout=LIMIT), "a writer alone")
    that(not ra.acquire(blocking=False), "no reader beside a writer")
    that(not wa.acquire(blocking=False), "no second writer")
    wb.release()
    that(ra.acquire(timeout=LIMIT), "a reader after the writer")
    ra.release()


@check("lock/semaphore")
def semaphore(env):
    a, b, c = [z.Semaphore(env.path("s"), n, max_leases=2) for z, n in zip(env.clients(3), "abc")]
    that(a.acquire() and b.acquire(), "two leases")
    that(not c.acquire(blocking=False), "the third of two")
    equal(sorted(c.lease_holders()), ["a", "b"], "holders")
    waiting = env.go(c.acquire)
    time.sleep(0.1)
    that(not waiting.done(), "it waits")
    a.release()
    that(waiting.result(LIMIT), "a lease that came back")
    b.release()
    c.release()


@check("lock/lease")
def lease(env):
    a, b = env.clients(2)
    hour = datetime.timedelta(hours=1)
    that(a.NonBlockingLease(env.path("lease"), hour, identifier="a"), "a free lease")
    b.sync(env.path("lease"))
    that(not b.NonBlockingLease(env.path("lease"), hour, identifier="b"), "a held lease")
    that(a.NonBlockingLease(env.path("lease"), hour, identifier="a"), "renewed")


@check("election")
def election(env):
    leaders, turns = [], []

    def lead(name):
        leaders.append(name)
        equal(len(leaders), 1, "leaders")
        time.sleep(0.02)
        turns.append(name)
        leaders.pop()

    runs = []
    for i, c in enumerate(env.clients(4)):
        e = c.Election(env.path("election"), "p%d" % i)
        runs.append(env.go(e.run, lead, i))
    for r in runs:
        r.result(LIMIT)
    equal(sorted(turns), [0, 1, 2, 3], "all led once")


@check("barrier/plain")
def barrier(env):
    clients = env.clients(3)
    clients[0].Barrier(env.path("b")).create()
    for c in clients:
        c.sync(env.root)
    waiting = [env.go(c.Barrier(env.path("b")).wait, LIMIT) for c in clients]
    time.sleep(0.2)
    that(not any(w.done() for w in waiting), "somebody passed a closed barrier")
    clients[0].Barrier(env.path("b")).remove()
    that(all(w.result(LIMIT) for w in waiting), "all passed")


@check("barrier/double")
def double_barrier(env):
    n = 4
    entered, left = [], []
    early = []

    def party(client):
        b = DoubleBarrier(client, env.path("b"), n)
        entered.append(1)
        b.enter()
        if len(entered) != n:
            early.append("passed when %d had entered" % len(entered))
        left.append(1)
        b.leave()
        if len(left) != n:
            early.append("left when %d wanted to leave" % len(left))

    for f in [env.go(party, c) for c in env.clients(n)]:
        f.result(LIMIT)
    equal(early, [], "too early")


@check("counter")
def counter(env):
    def party(client):
        c = client.Counter(env.path("c"))
        for _ in range(10):
            c += 2
            c -= 1

    for f in [env.go(party, c) for c in env.clients(4)]:
        f.result(LIMIT)
    zk = env.client()
    zk.sync(env.path("c"))
    equal(zk.Counter(env.path("c")).value, 40, "sum")
    f = zk.Counter(env.path("f"), default=0.5)
    f += 1.25
    equal(f.value, 1.75, "a float")


@check("queue/plain")
def queue(env):
    a, b = env.clients(2)
    q = a.Queue(env.path("q"))
    for i in range(20):
        q.put(b"%d" % i)
    q.put(b"first", priority=1)
    b.sync(env.path("q"))
    other = b.Queue(env.path("q"))
    equal(len(other), 21, "length")
    equal(other.get(), b"first", "by priority")
    equal([other.get() for _ in range(20)], [b"%d" % i for i in range(20)], "in order")
    equal(other.get(), None, "empty")


@check("queue/contended")
def queue_contended(env):
    q = env.client().Queue(env.path("q"))
    for i in range(60):
        q.put(b"%d" % i)

    def party(client):
        client.sync(env.path("q"))
        own, got = client.Queue(env.path("q")), []
        while True:
            item = own.get()
            if item is None:
                return got
            got.append(item)

    got = sum((f.result(LIMIT) for f in [env.go(party, c) for c in env.clients(3)]), [])
    equal(sorted(map(int, got)), list(range(60)), "each once")


@check("queue/locking")
def locking_queue(env):
    a, b = [c.LockingQueue(env.path("q")) for c in env.clients(2)]
    a.put_all([b"%d" % i for i in range(10)])
    a.put(b"urgent", priority=1)

    def party(q):
        got = []
        while True:
            item = q.get(timeout=1)
            if item is None:
                return got
            got.append(item)
            that(q.consume(), "consume")

    got = sum((f.result(LIMIT) for f in [env.go(party, q) for q in (a, b)]), [])
    equal(sorted(got), sorted([b"urgent"] + [b"%d" % i for i in range(10)]), "each once")
    a.put(b"again")
    equal(a.get(LIMIT), b"again", "got")
    a.release()
    equal(b.get(LIMIT), b"again", "released to the other")
    that(b.consume(), "consume")


@check("party/both")
def party(env):
    a, b = env.clients(2)
    for kind, path in (("Party", "p"), ("ShallowParty", "sp")):
        pa, pb = getattr(a, kind)(env.path(path), "a"), getattr(b, kind)(env.path(path), "b")
        pa.join()
        pb.join()
        eventually("both see both", lambda: set(pa) == set(pb) == {"a", "b"})
        equal(len(pa), 2, "length")
        pb.leave()
        eventually("one is left", lambda: set(pa) == {"a"})


@check("set-partitioner")
def partitioner(env):
    items = tuple("item%d" % i for i in range(7))
    parts = [
        c.SetPartitioner(env.path("set"), set=items, identifier="p%d" % i, time_boundary=0.2) for i, c in enumerate(env.clients(3))
    ]

    def settle():
        for p in parts:
            if p.release:
                p.release_set()
            elif p.allocating:
                p.wait_for_acquire(0.05)
        return all(p.acquired for p in parts)

    eventually("all have a part", lambda: settle() and sorted(sum((list(p) for p in parts), [])) == sorted(items))
    gone = parts.pop()
    gone.finish()
    eventually("the others take over", lambda: settle() and sorted(sum((list(p) for p in parts), [])) == sorted(items))
    for p in parts:
        p.finish()


@check("watch/data")
def data_watch(env):
    a, b = env.clients(2)
    seen = []

    @b.DataWatch(env.path("n"))
    def changed(data, stat, event):
        seen.append(data)

    eventually("called at once", lambda: seen == [None])
    a.create(env.path("n"), b"1")
    eventually("created", lambda: seen[-1] == b"1")
    a.set(env.path("n"), b"2")
    eventually("changed", lambda: seen[-1] == b"2")
    a.delete(env.path("n"))
    eventually("deleted", lambda: seen[-1] is None)


@check("watch/children")
def children_watch(env):
    a, b = env.clients(2)
    seen = []

    @b.ChildrenWatch(env.root)
    def changed(children):
        seen.append(sorted(children))
        return len(seen) < 100

    eventually("called at once", lambda: seen == [[]])
    for i in range(5):
        a.create(env.path("n%d" % i))
    eventually("all are seen", lambda: seen[-1] == ["n%d" % i for i in range(5)])
    a.delete(env.path("n0"))
    eventually("deletion is seen", lambda: len(seen[-1]) == 4)


@check("watch/over-reconnect")
def watch_over_reconnect(env):
    proxy = env.proxy(env.server(0))
    b = env.client(proxy.address)
    a = env.client()
    data, children = [], []
    a.create(env.path("n"), b"0")
    b.sync(env.root)
    b.DataWatch(env.path("n"), lambda d, s: data.append(d))
    b.ChildrenWatch(env.root, lambda c: children.append(sorted(c)))
    for i in range(3):
        proxy.cut()
        a.set(env.path("n"), b"cut%d" % i)
        a.create(env.path("m%d" % i))
        proxy.mend(env.server(i + 1))
        eventually("data after the cut", lambda: data[-1] == b"cut%d" % i)
        eventually("children after the cut", lambda: len(children[-1]) == 2 + i)


@check("watch/patient")
def patient(env):
    zk = env.client()
    result = PatientChildrenWatch(zk, env.root, time_boundary=0.3).start()
    for i in range(3):
        zk.create(env.path("n%d" % i))
    children, changed = result.get(timeout=LIMIT)
    equal(sorted(children), ["n0", "n1", "n2"], "children once quiet")
    zk.create(env.path("more"))
    changed.get(timeout=LIMIT)


@check("tree-cache")
def tree_cache(env):
    a, b = env.clients(2)
    a.create(env.path("x/y"), b"1", makepath=True)
    b.sync(env.root)
    cache = TreeCache(b, env.root)
    ready, events = threading.Event(), []

    def listener(event):
        if event.event_type == TreeEvent.INITIALIZED:
            ready.set()
        elif ready.is_set():
            events.append(event.event_type)

    cache.listen(listener)
    cache.start()
    that(ready.wait(LIMIT), "filled")
    equal(cache.get_data(env.path("x/y")).data, b"1", "data")
    a.set(env.path("x/y"), b"2")
    eventually("changed", lambda: cache.get_data(env.path("x/y")).data == b"2")
    a.create(env.path("x/z"))
    eventually("created", lambda: cache.get_children(env.path("x")) == {"y", "z"})
    a.delete(env.path("x"), recursive=True)
    eventually("deleted", lambda: cache.get_data(env.path("x")) is None)
    that(TreeEvent.NODE_UPDATED in events and TreeEvent.NODE_ADDED in events and TreeEvent.NODE_REMOVED in events, "events %r" % events)
    cache.close()
