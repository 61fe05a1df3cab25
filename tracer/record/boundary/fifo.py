"""The reading end of the FIFO."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

CAPACITY: Final = 1 << 20  # bytes: users without privileges have no more by default (pipe(7), pipe-max-size)
OFF: Final = ".off"  # suffix of the file that a hook creates next to the FIFO when it stops reporting
_BUSY: Final = CAPACITY // 16  # bytes
READ_LIMIT: Final = 4 << 20  # bytes returned by one `read`: a flood must not keep the recorder from its events


class Fifo:
    """A FIFO that only its creator's user can open. It exists from construction to `close`.

    It keeps a writing end of its own open, so reads do not reach the end of the file when the last runner closes it.
    The tracer never waits for it, neither in `read` nor in poll: to wake a waiting reader would cost each test more
    than the rest of the hook.

    Raises:
        OSError: the path exists, or cannot be created.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path, 0o600)
        self._open(path, os.O_NOFOLLOW)

    def _open(self, path: Path, flags: int = 0) -> None:
        self.path = path
        self.is_busy = False  # the last `read` found so much that the next one should follow soon
        self._reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
        self._writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
        with suppress(OSError):  # the user's pipes may be at their limit; the default capacity makes hooks wait more
            fcntl.fcntl(self._reading, fcntl.F_SETPIPE_SZ, CAPACITY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> bytes:
        """What was written since the last call, at most READ_LIMIT bytes; empty if nothing was. Never waits."""
        parts = []
        left = READ_LIMIT
        while left:
            try:
                part = os.read(self._reading, min(left, CAPACITY))
            except BlockingIOError:
                break
            parts.append(part)
            left -= len(part)
        self.is_busy = READ_LIMIT - left > _BUSY
        return b"".join(parts)

    @property
    def silenced(self) -> bool:
        """Whether any hook has stopped reporting."""
        return os.access(self.path.with_name(self.path.name + OFF), os.F_OK)

    def is_displaced(self) -> bool:
        """Whether the path no longer leads here: hooks that had not opened the FIFO before could not report."""
        try:
            return not os.path.samestat(self.path.lstat(), os.fstat(self._reading))
        except OSError:
            return True

    def close(self) -> None:
        """Remove it; a hook that still writes gets an error, and stops. A second call does nothing."""
        if self._reading < 0:
            return
        self._remove()
        os.close(self._reading)
        os.close(self._writing)
        self._reading = self._writing = -1

    def _remove(self) -> None:
        if not self.is_displaced():
            self.path.unlink()
