"""Reads a file that another may control: no FIFO or device, not more than expected, and without waiting for data."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def handle_of(path: str | Path, flags: int = 0, directory: int | None = None) -> Iterator[int]:
    """A descriptor that only stands for a file, so that nothing happens to the file itself (O_PATH, open(2)).

    Args:
        path: the file; relative to `directory`, if that is given.
        flags: such as O_NOFOLLOW.
        directory: the descriptor of a directory.

    Raises:
        OSError: there is no such file.
    """
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC | flags, dir_fd=directory)
    try:
        yield handle
    finally:
        os.close(handle)


def read_regular(handle: int, limit: int) -> bytes:
    """The first `limit` bytes of a regular file.

    A file that says it is empty is not read: some files of procfs, which do so, wait for data.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    size = min(about.st_size, limit)
    if size == 0:
        return b""
    descriptor = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)
