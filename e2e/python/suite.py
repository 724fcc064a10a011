"""The kazoo suite: python suite.py --connect host:port,host:port --root /where/to/work [--only substring] [--parallel n]"""

import os
import sys

import basics  # noqa: F401 registers its checks
import checks
import recipes  # noqa: F401 registers its checks

if __name__ == "__main__":
    code = checks.main()
    sys.stdout.flush()
    # Threads of clients that a failed check left behind do not keep the suite from ending.
    os._exit(code)
