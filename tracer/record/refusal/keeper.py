"""A process of root's that removes the run's cgroup when the tracer ends, in whatever way.

The tracer itself cannot remove it: it has given up root by then, or was killed.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from tracer.record.refusal.cgroup import RunCgroup


class Keeper:
    """The process. It waits for the end of a pipe, and does nothing else until then."""

    def __init__(self, cgroup: RunCgroup) -> None:
        """Start it; needs root.

        Raises:
            OSError: no further process is allowed.
        """
        waiting, self._end = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(waiting)
            os.close(self._end)
            raise
        if self._pid == 0:
            _keep(cgroup, waiting)
        os.close(waiting)

    def finish(self) -> None:
        """Have it remove the cgroup, and wait until it has."""
        os.close(self._end)
        os.waitpid(self._pid, 0)


def _keep(cgroup: RunCgroup, waiting: int) -> None:
    """Never returns. No signal but SIGKILL ends it: those from a terminal reach it, too."""
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        os.setsid()
        os.chdir("/")
        _close_all_but({waiting, *cgroup.descriptors})
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        os.read(waiting, 1)
        cgroup.remove()
    finally:
        os._exit(0)


def _close_all_but(kept: set[int]) -> None:
    """Among the others are the tracer's ends of pipes, whose other ends wait for their end."""
    for descriptor in {int(entry.name) for entry in Path("/proc/self/fd").iterdir()} - kept:
        with suppress(OSError):  # the listing's own
            os.close(descriptor)
