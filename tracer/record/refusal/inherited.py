"""The sockets that the command inherits from what started svc-trace: the tree serves what they are bound to."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def inherited_sockets() -> Iterator[socket.socket]:
    """Each of this process's sockets that stays open at an exec. It is closed when the next one is taken."""
    for entry in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):  # the listing's own is closed
            number = int(entry.name)
            if os.get_inheritable(number) and stat.S_ISSOCK(os.fstat(number).st_mode):
                with socket.socket(fileno=os.dup(number)) as found:
                    yield found


def inherited_names() -> set[str]:
    """The names of unix sockets among them, an abstract one with `@` for its NUL."""
    names = set()
    for found in inherited_sockets():
        if found.family == socket.AF_UNIX and (name := found.getsockname()):
            names.add(name if isinstance(name, str) else os.fsdecode(name.replace(b"\0", b"@")))
    return names
