"""`python -m tracer` is `svc-trace`.

The installed command starts Python isolated (launcher/svc-trace.c). A Python that was started otherwise starts again
so, before it imports anything else: a module in the current directory or on PYTHONPATH may have the name of one of
ours. The first start has imported such modules already (sitecustomize), so as root use `svc-trace` or `python -I`.
"""

from __future__ import annotations

import gc
import os
import sys

if __name__ == "__main__":
    if not sys.flags.isolated:
        os.execv(sys.executable, [sys.executable, "-I", *sys.orig_argv[1:]])
    if os.geteuid() == 0:  # the installation's owner could not remove root's files
        sys.dont_write_bytecode = True
    gc.set_threshold(50_000)  # what imports make stays: to search it for cycles frees nothing
    from tracer.commands import main

    sys.exit(main())
