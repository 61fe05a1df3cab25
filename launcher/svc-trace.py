#!python
"""The command `svc-trace` in the wheel without probes, for machines on which svc-trace only reads reports.

The other wheels have svc-trace.c in its place. An installer writes the first line anew.
"""

import sys

from tracer.commands import main

sys.exit(main())
