"""kazoo's plain calls: znodes, transactions, identities, sessions."""

import threading

from kazoo.client import KazooState
from kazoo.exceptions import (
    BadVersionError,
    InvalidACLError,
    NoAuthError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.security import ACL, CREATOR_ALL_ACL, OPEN_ACL_UNSAFE, make_acl, make_digest_acl

from checks import LIMIT, check, equal, eventually, raises, that


@check("node/life")
def life(env):
    zk = env.client()
    p = env.path("a")
    equal(zk.exists(p), None, "exists")
    equal(zk.create(p, b"one"), p, "create")
    data, stat = zk.get(p)
    equal((data, stat.version), (b"one", 0), "get")
    stat = zk.set(p, b"two", version=0)
    equal(stat.version, 1, "set")
    equal(zk.get(p), (b"two", stat), "get")
    raises(BadVersionError, zk.set, p, b"x", 0)
    raises(NodeExistsError, zk.create, p)
    zk.create(p + "/b")
    raises(NotEmptyError, zk.delete, p)
    equal(zk.get_children(p), ["b"], "children")
    equal(zk.get_children(p, include_data=True)[1].numChildren, 1, "children with stat")
    zk.delete(p, recursive=True)
    raises(NoNodeError, zk.get, p)
    raises(NoNodeError, zk.create, p + "/x")


@check("node/kinds")
def kinds(env):
    zk = env.client()
    equal(zk.create(env.path("s-"), sequence=True), env.path("s-0000000000"), "sequence")
    e = zk.create(env.path("e"), ephemeral=True)
    equal(zk.exists(e).ephemeralOwner, zk.client_id[0], "owner")
    raises(NoChildrenForEphemeralsError, zk.create, e + "/x")
    equal(zk.create(env.path("es-"), ephemeral=True, sequence=True), env.path("es-0000000002"), "ephemeral sequence")
    path, stat = zk.create(env.path("with/parents"), b"12", makepath=True, include_data=True)
    equal(path, env.path("with/parents"), "path")
    equal(stat, zk.exists(path), "stat of create2")


@check("node/unicode-and-chroot")
def unicode_and_chroot(env):
    zk = env.client(hosts=",".join(env.servers) + env.path("jail"))
    zk.ensure_path("/")
    zk.create("/зоо", "動物".encode())
    equal(zk.get_children("/"), ["зоо"], "children")
    equal(env.client().exists(env.path("jail/зоо")).dataLength, 6, "seen from outside")


@check("node/async-order")
def async_order(env):
    zk = env.client()
    p = zk.create(env.path("a"), b"0")
    order, done, n = [], threading.Event(), 500
    wrong = []

    def answered(i):
        def callback(result):
            order.append(i)
            if i % 2 == 1 and result.get()[0] != b"%d" % (i - 1):
                wrong.append((i, result.get()[0]))
            if i == n - 1:
                done.set()

        return callback

    for i in range(n):
        r = zk.set_async(p, b"%d" % i) if i % 2 == 0 else zk.get_async(p)
        r.rawlink(answered(i))
    that(done.wait(LIMIT), "all answered")
    equal(order, list(range(n)), "order of answers")
    equal(wrong, [], "reads that did not see the write before them")


@check("node/large")
def large(env):
    zk = env.client()
    data = bytes(range(256)) * 4000
    p = zk.create(env.path("a"), data)
    equal(zk.get(p)[0], data, "data")


@check("transaction/commit")
def commit(env):
    zk = env.client()
    zk.create(env.path("old"), b"0")
    t = zk.transaction()
    t.create(env.path("a"), b"1")
    t.create(env.path("s"), ephemeral=True, sequence=True)
    t.set_data(env.path("old"), b"2")
    t.check(env.path("old"), version=1)
    t.delete(env.path("old"))
    r = t.commit()
    equal(r[0], env.path("a"), "create")
    equal(r[1], env.path("s0000000002"), "sequence")
    equal(r[2].version, 1, "set_data")
    equal(r[3:], [True, True], "check and delete")
    equal(zk.exists(env.path("old")), None, "deleted")


@check("transaction/failure")
def failure(env):
    zk = env.client()
    with_error = zk.transaction()
    with_error.create(env.path("a"))
    with_error.check(env.path("none"), version=0)
    with_error.create(env.path("b"))
    r = with_error.commit()
    equal([type(e) for e in r], [RolledBackError, NoNodeError, RuntimeInconsistency], "results")
    equal(zk.get_children(env.root), [], "nothing was done")


@check("auth/digest")
def digest(env):
    owner = env.client(auth_data=[("digest", "anna:secret")])
    nobody = env.client()
    p = owner.create(env.path("a"), b"x", acl=[make_digest_acl("anna", "secret", all=True)])
    nobody.sync(p)
    raises(NoAuthError, nobody.get, p)
    raises(NoAuthError, nobody.set, p, b"y")
    raises(NoAuthError, nobody.create, p + "/b")
    nobody.add_auth("digest", "anna:secret")
    equal(nobody.get(p)[0], b"x", "after authenticating")
    owner.create(env.path("mine"), acl=CREATOR_ALL_ACL)
    acls, stat = owner.get_acls(env.path("mine"))
    that(acls[0].id.scheme == "digest" and acls[0].id.id.startswith("anna:"), "acl %r" % acls)
    raises(InvalidACLError, env.client().create, env.path("no"), acl=CREATOR_ALL_ACL)
    stat = owner.set_acls(env.path("mine"), OPEN_ACL_UNSAFE, version=stat.aversion)
    equal(stat.aversion, 1, "aversion")
    nobody.sync(env.path("mine"))
    equal(nobody.get_acls(env.path("mine"))[0], OPEN_ACL_UNSAFE, "open now")


@check("auth/ip")
def ip(env):
    zk = env.client()
    zk.create(env.path("ours"), acl=[make_acl("ip", "127.0.0.0/8", all=True)])
    zk.create(env.path("theirs"), acl=[make_acl("ip", "10.1.2.3", all=True)])
    zk.get(env.path("ours"))
    raises(NoAuthError, zk.get, env.path("theirs"))


@check("session/reconnect-with-id")
def reconnect(env):
    proxy = env.proxy(env.server(0))
    zk = env.client(proxy.address)
    states = []
    zk.add_listener(lambda s: states.append(s))
    session = zk.client_id
    e = zk.create(env.path("e"), ephemeral=True)
    for i in range(3):
        proxy.cut()
        eventually("suspended", lambda: KazooState.SUSPENDED in states)
        del states[:]
        proxy.mend(env.server(i + 1))
        eventually("connected", lambda: KazooState.CONNECTED in states)
        equal(zk.client_id, session, "session")
        equal(zk.exists(e).ephemeralOwner, session[0], "ephemeral")


@check("session/expiry")
def expiry(env):
    other = env.client()
    proxy = env.proxy(env.server(0))
    zk = env.client(proxy.address, timeout=1.5)
    lost = threading.Event()
    zk.add_listener(lambda s: lost.set() if s == KazooState.LOST else None)
    first = zk.client_id
    e = zk.create(env.path("e"), ephemeral=True)
    other.sync(env.root)
    gone = threading.Event()
    that(other.exists(e, watch=lambda ev: gone.set()), "ephemeral")
    proxy.cut()
    that(gone.wait(LIMIT), "the ephemeral goes with its session")
    proxy.mend()
    that(lost.wait(LIMIT), "the client learns that its session is lost")
    eventually("a new session", lambda: zk.connected and zk.client_id != first)


@check("session/server-version")
def server_version(env):
    zk = env.client()
    version = zk.server_version()
    that(version >= (3, 5), "version %r" % (version,))
    equal(zk.command(b"ruok"), "imok", "ruok")


@check("session/restart")
def restart(env):
    zk = env.client()
    e = zk.create(env.path("e"), ephemeral=True)
    zk.restart()
    equal(zk.exists(e), None, "stop() closed the session")


@check("watch/plain")
def plain_watches(env):
    zk = env.client()
    events = []
    zk.exists(env.path("a"), watch=lambda e: events.append((e.type, e.path)))
    zk.create(env.path("a"))
    eventually("created", lambda: events == [("CREATED", env.path("a"))])
    zk.get(env.path("a"), watch=lambda e: events.append((e.type, e.path)))
    zk.get_children(env.path("a"), watch=lambda e: events.append((e.type, e.path)))
    zk.set(env.path("a"), b"1")
    zk.create(env.path("a/b"))
    eventually("changed", lambda: events[1:] == [("CHANGED", env.path("a")), ("CHILD", env.path("a"))])
