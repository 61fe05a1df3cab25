"""The reading end of the FIFO."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

CAPACITY: Final = 1 << 20  # bytes; what /proc/sys/fs/pipe-max-size grants to everybody by default (pipe(7))
OFF: Final = ".off"  # the hook's own word: the file that it leaves next to the FIFO when it falls silent
READ_LIMIT: Final = 4 << 20  # bytes taken by one `read`, so that a flood cannot keep the recorder from its events


class Fifo:
    """A FIFO that only its maker's user can open, there from construction to `close`.

    It keeps a writing end of its own open: reads never see the end of the file when the last runner leaves. Nobody may
    block on it, neither in `read` nor in poll: to wake a waiting reader would cost each test more than all the rest.

    Raises:
        OSError: the path is taken, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path, 0o600)
        self._reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        with suppress(
            OSError
        ):  # the user's pipes may hold too much already; the kernel's default does, with more waits
            fcntl.fcntl(self._reading, fcntl.F_SETPIPE_SZ, CAPACITY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def read(self) -> bytes:
        """What has been written since the last call, at most READ_LIMIT bytes; empty if nothing was. Never waits."""
        parts = []
        left = READ_LIMIT
        while left:
            try:
                part = os.read(self._reading, min(left, CAPACITY))
            except BlockingIOError:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    @property
    def silenced(self) -> bool:
        """Whether any hook has fallen silent."""
        return self.path.with_name(self.path.name + OFF).exists()

    def close(self) -> None:
        """Remove it; a hook that still writes fills the pipe and falls silent. A second call does nothing."""
        if self._reading < 0:
            return
        os.close(self._reading)
        os.close(self._writing)
        self._reading = self._writing = -1
        self.path.unlink(missing_ok=True)
