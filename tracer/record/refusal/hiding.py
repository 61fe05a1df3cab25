"""Unix sockets hidden from the command by mounts, on kernels without programs for them (before Linux 6.7).

In a mount namespace of the command's own, /dev/null is mounted over the socket's file: a connect gives ECONNREFUSED, as
for a socket whose server has ended. This hides the socket under all names that lead to it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import Final

from tracer.errors import SvcTraceError, cannot_trace
from tracer.record.invoker import Invoker
from tracer.record.refusal.mounting import bind, unshare_mounts

_OVER: Final = "/dev/null"


def hide(paths: Iterable[str], invoker: Invoker) -> None:
    """Hide sockets from this process and its descendants; what else is at these paths stays as it is.

    Paths are resolved with the invoking user's rights. Only what they lead to is mounted over, as root.

    Raises:
        OSError: this process may not have a mount namespace, or not mount.
    """
    with invoker.root():
        unshare_mounts()
    for path in paths:
        try:
            found = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # no server, or out of the user's reach
            continue
        try:
            if stat.S_ISSOCK(os.fstat(found).st_mode):
                with invoker.root():
                    bind(_OVER, f"/proc/self/fd/{found}")
        finally:
            os.close(found)


def cannot_hide(code: int) -> SvcTraceError:
    """The error of a command that could not hide sockets; `code` is the errno."""
    return cannot_trace(
        f"cannot hide unix sockets from the command: {os.strerror(code)}",
        "Run it as root outside of a container, or in one with --privileged; or use Linux 6.7 or later.",
        "cannot-hide",
    )
