"""Tries kazoo's SASL logins: python sasl.py CONNECT NAME:PASSWORD... prints a line for each with what it may do with /bob.

A login without a password is no login at all. The line is "NAME: " and the node's data, or the name of the error.
"""

import logging
import os
import sys

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError

LIMIT = 20.0


def attempt(connect, user, password):
    options = {"mechanism": "DIGEST-MD5", "username": user, "password": password} if password else None
    client = KazooClient(connect, timeout=9.0, sasl_options=options)
    try:
        client.start(timeout=LIMIT)
        if user == "bob" and not client.exists("/bob"):
            client.create("/bob", b"bob's", acl=None)
        return client.get("/bob")[0].decode()
    except (KazooException, KazooTimeoutError) as error:
        return type(error).__name__
    finally:
        client.stop()
        client.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    for login in sys.argv[2:]:
        user, _, password = login.partition(":")
        print("%s: %s" % (user, attempt(sys.argv[1], user, password)), flush=True)
    os._exit(0)
