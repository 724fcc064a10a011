"""Opens sessions and writes faster than a server allows: python throttle.py CONNECT CLIENTS WRITES BYTES prints one line for each kind of outcome, with its number.

All clients connect at the same time and then send all their writes without waiting. At the end one of them sends a request of so many bytes.
"""

import collections
import logging
import os
import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError

LIMIT = 60.0


def work(connect, number, writes, counts, lock):
    client = KazooClient(connect, timeout=30.0, connection_retry={"max_tries": -1, "delay": 0.05, "backoff": 1, "max_jitter": 0.5})
    outcomes = collections.Counter()
    try:
        client.start(timeout=LIMIT)
        outcomes["connected"] += 1
        pending = [client.create_async("/throttled/%d-%d" % (number, i), b"x") for i in range(writes)]
        for p in pending:
            try:
                p.get(timeout=LIMIT)
                outcomes["created"] += 1
            except KazooException as error:
                outcomes[type(error).__name__] += 1
    except (KazooException, KazooTimeoutError) as error:
        outcomes[type(error).__name__] += 1
    finally:
        client.stop()
        client.close()
        with lock:
            counts.update(outcomes)


def large(connect, size, counts):
    client = KazooClient(connect, timeout=30.0)
    try:
        client.start(timeout=LIMIT)
        client.create("/throttled/large", b"x" * size)
        counts["large"] += 1
    except (KazooException, KazooTimeoutError) as error:
        counts["large: " + type(error).__name__] += 1
    finally:
        client.stop()
        client.close()


def main():
    connect, clients, writes, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    first = KazooClient(connect, timeout=30.0)
    first.start(timeout=LIMIT)
    first.ensure_path("/throttled")
    counts, lock = collections.Counter(), threading.Lock()
    threads = [threading.Thread(target=work, args=(connect, n, writes, counts, lock)) for n in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    large(connect, size, counts)
    counts["children"] = len(first.get_children("/throttled"))
    first.stop()
    first.close()
    for outcome, n in sorted(counts.items()):
        print("%s %d" % (outcome, n), flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    main()
    os._exit(0)
