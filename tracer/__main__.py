"""`python -m tracer` is `svc-trace`."""

from __future__ import annotations

import sys

from tracer.commands import main

if __name__ == "__main__":
    sys.exit(main())
