"""The frame of the kazoo suite: named checks, each with a folder of its own and clients that are closed when it ends.

Every check prints one line, "PASS name ms", "FAIL name: why" or "SKIP name: why", and the last line counts them; the Go tests in
e2e start the suite and relay the lines as subtests.
"""

import argparse
import concurrent.futures
import logging
import re
import socket
import threading
import time
import traceback

from kazoo.client import KazooClient
from kazoo.retry import KazooRetry

# Session timeout of ordinary clients in seconds: long, so that a slow machine expires nobody by accident.
TIMEOUT = 9.0
# How long a check waits for what must come; a limit, not a measurement.
LIMIT = 40.0

_checks = []
_print_lock = threading.Lock()


class Skip(Exception):
    """Raised by a check that does not apply to this service."""


def check(name):
    """Registers a check; it fails by raising."""

    def register(body):
        _checks.append((name, body))
        return body

    return register


def equal(got, want, what):
    if got != want:
        raise AssertionError("%s: got %r, want %r" % (what, got, want))


def that(ok, what):
    if not ok:
        raise AssertionError(what)


def raises(kind, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind:
        return
    raise AssertionError("no %s from %s%r" % (kind.__name__, call.__name__, args))


def eventually(what, condition):
    end = time.monotonic() + LIMIT
    while not condition():
        that(time.monotonic() < end, "never: " + what)
        time.sleep(0.02)


class Env:
    """What one check works with."""

    def __init__(self, servers, root, name):
        self.servers = servers
        self.root = root + "/" + re.sub("[^A-Za-z0-9]+", "-", name)
        self._open = []
        self._threads = concurrent.futures.ThreadPoolExecutor(16)
        self.client().ensure_path(self.root)

    def path(self, name):
        return self.root + "/" + name

    def server(self, i):
        return self.servers[i % len(self.servers)]

    def client(self, hosts=None, timeout=TIMEOUT, **kwargs):
        """A connected client, of any server unless hosts are named."""
        c = KazooClient(
            hosts=hosts or ",".join(self.servers),
            timeout=timeout,
            connection_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=1),
            command_retry=KazooRetry(max_tries=20, delay=0.05, max_delay=1),
            **kwargs
        )
        self._open.append(c)
        c.start(timeout=LIMIT)
        return c

    def clients(self, n):
        """Clients of different servers, each up to date with what was written before."""
        all = [self.client(self.server(i)) for i in range(n)]
        for c in all:
            c.sync(self.root)
        return all

    def proxy(self, server):
        p = Proxy(server)
        self._open.append(p)
        return p

    def go(self, call, *args):
        """Runs a party of a recipe in its own thread."""
        return self._threads.submit(call, *args)

    def close(self):
        for c in reversed(self._open):
            try:
                c.stop()
                c.close()
            except Exception:  # the check has had its say
                pass
        self._threads.shutdown(wait=False)


class Proxy:
    """A TCP proxy on loopback that can be cut."""

    def __init__(self, target):
        self.target = target
        self._cut = False
        self._sockets = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return "127.0.0.1:%d" % self._listener.getsockname()[1]

    def cut(self):
        """Ends all connections and every new one until mend()."""
        self._cut = True
        self.drop()

    def mend(self, target=None):
        self.target = target or self.target
        self._cut = False

    def drop(self):
        """Ends the present connections only."""
        with self._lock:
            for s in self._sockets:
                end(s)
            self._sockets = []

    def stop(self):
        self.cut()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._cut:
                end(client)
                continue
            host, port = self.target.rsplit(":", 1)
            try:
                server = socket.create_connection((host, int(port)))
            except OSError:
                end(client)
                continue
            with self._lock:
                self._sockets += [client, server]
            threading.Thread(target=pump, args=(client, server), daemon=True).start()
            threading.Thread(target=pump, args=(server, client), daemon=True).start()
            if self._cut:
                self.drop()


def pump(source, sink):
    try:
        while True:
            b = source.recv(65536)
            if not b:
                break
            sink.sendall(b)
    except OSError:
        pass
    end(source)
    end(sink)


def end(s):
    """Ends a connection for both sides, also for a thread that reads from it."""
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    s.close()


def _run_one(name, body, servers, root):
    start = time.monotonic()
    env = None
    verdict, line = "FAIL", ""
    try:
        env = Env(servers, root, name)
        body(env)
        verdict, line = "PASS", "PASS %s %d" % (name, (time.monotonic() - start) * 1000)
    except Skip as e:
        verdict, line = "SKIP", "SKIP %s: %s" % (name, e)
    except BaseException as e:
        lines = ["FAIL %s: %s" % (name, repr(e).replace("\n", " "))]
        lines += ["    " + l for l in traceback.format_exc().rstrip().split("\n")]
        line = "\n".join(lines)
    finally:
        if env:
            env.close()
    with _print_lock:
        print(line, flush=True)
    return verdict


def main():
    logging.basicConfig(level=logging.CRITICAL)
    p = argparse.ArgumentParser()
    p.add_argument("--connect", default="127.0.0.1:2181")
    p.add_argument("--root", default="/e2e-kazoo")
    p.add_argument("--only", default="")
    p.add_argument("--parallel", type=int, default=4)
    o = p.parse_args()
    servers = o.connect.split(",")
    with concurrent.futures.ThreadPoolExecutor(o.parallel) as pool:
        runs = [pool.submit(_run_one, n, b, servers, o.root) for n, b in _checks if o.only in n]
        verdicts = [r.result() for r in runs]
    print("%d passed, %d failed, %d skipped" % tuple(verdicts.count(v) for v in ("PASS", "FAIL", "SKIP")), flush=True)
    return 1 if "FAIL" in verdicts else 0
