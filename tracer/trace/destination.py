"""Where svc-trace writes a file that a user names: safely also in a directory in which other users may write."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import DEFAULT_BUFFER_SIZE, BufferedWriter
from pathlib import Path
from typing import Final, cast

from tracer.trace.storage import cannot_write

PRIVATE: Final = 0o600
BUFFER: Final = 1 << 18  # bytes
_MAX_LINKS: Final = 40  # as the kernel (path_resolution(7))
_DESCRIPTOR: Final = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,9})")
_STREAMS: Final = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}


def own_descriptor(path: Path) -> int | None:
    """The descriptor of this process that such a path stands for: `-`, `/dev/stdout`, `/dev/fd/N`. None: a file."""
    match = _DESCRIPTOR.fullmatch(str(path))
    return int(match[1]) if match else _STREAMS.get(str(path))


def destination(path: Path) -> Path:
    """Where to put a file of this name. A link is followed if only this user can have made it and put it there.

    Raises:
        OSError: another user may have put something else there: a link, a FIFO, or a file that is to be replaced.
    """
    target, status, directory = _follow(path)
    if status is not None:
        _check_replaceable(status, directory)
    return target


def make_directory(path: Path) -> Path:
    """The directory of this name, which is created unless it exists. Links are followed as for a file.

    Raises:
        OSError: it cannot be created; something else is there; or another user may have put it there.
    """
    target, status, directory = _follow(path)
    if status is None:
        with suppress(FileExistsError):  # another process was faster
            target.mkdir()
        status = target.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    _check_owner(status, directory)
    return target


def _follow(path: Path) -> tuple[Path, os.stat_result | None, os.stat_result]:
    """Where the links of this name lead; the status of what is there, None for nothing; and that of its directory.

    Raises:
        OSError: another user may have made a link, or put it there.
    """
    for _ in range(_MAX_LINKS):
        directory = path.parent.stat()
        try:
            status = path.lstat()
        except FileNotFoundError:
            return path, None, directory
        if not stat.S_ISLNK(status.st_mode):
            return path, status, directory
        if not os.geteuid() == status.st_uid == directory.st_uid or directory.st_mode & stat.S_IWOTH:
            raise OSError(None, "it is a symbolic link that another user may have made")
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _check_replaceable(status: os.stat_result, directory: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        _check_owner(status, directory)
    elif stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    elif not stat.S_ISCHR(status.st_mode):  # only root makes devices
        raise OSError(None, "it is neither a regular file nor a character device")


def _check_owner(status: os.stat_result, directory: os.stat_result) -> None:
    if directory.st_mode & stat.S_ISVTX and status.st_uid != os.geteuid():
        raise OSError(None, f"it belongs to user {status.st_uid}, in a directory in which others may write")


def check_writable(path: Path) -> None:
    """Check now that a file can be written there later.

    Raises:
        SvcTraceError: it cannot be written.
    """
    try:
        descriptor = own_descriptor(path)
        if descriptor is not None:
            os.fstat(descriptor)
            return
        target = destination(path)
        if not os.access(target if target.is_char_device() else target.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise cannot_write(path, error) from error


def create(path: Path, mode: int, buffer: int = DEFAULT_BUFFER_SIZE) -> BufferedWriter:
    """Create a file, which must not exist, also not as a link.

    Raises:
        OSError: it exists, or it cannot be created.
    """
    return _open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), buffer)


def _open(descriptor: int, buffer: int) -> BufferedWriter:
    return cast(BufferedWriter, os.fdopen(descriptor, "wb", buffer))


def remove_leftover(path: Path) -> None:
    """Remove this user's regular file at this path, which an earlier run left.

    Raises:
        OSError: something else is there.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        raise OSError(None, f"another file is in the way: {path}")
    path.unlink()


def put_in_place(written: os.stat_result, created: Path, target: Path) -> None:
    """Rename a file from the path where it was created. `written`: the status of its descriptor.

    Raises:
        OSError: another file is there now, or it cannot be renamed.
    """
    if not os.path.samestat(written, created.lstat()):
        raise OSError(None, f"another file is at {created}")
    created.replace(target)


@contextmanager
def replacing(path: Path) -> Iterator[BufferedWriter]:
    """Write a file beside its place, and rename it at the end of the block; without an end, nothing is left.

    A character device and a descriptor of this process are written to directly.

    Raises:
        OSError: it cannot be written. An older file is unchanged then.
    """
    descriptor = own_descriptor(path)
    target = path if descriptor is not None else destination(path)
    if descriptor is not None or target.is_char_device():
        fd = os.open(target, os.O_WRONLY | os.O_NOFOLLOW | os.O_NOCTTY) if descriptor is None else os.dup(descriptor)
        with _open(fd, BUFFER) as file:
            yield file
        return
    partial = target.with_name(f".svc-trace-{os.urandom(8).hex()}.partial")
    with create(partial, 0o666, BUFFER) as file:
        try:
            yield file
            file.flush()
            put_in_place(os.fstat(file.fileno()), partial, target)
        except BaseException:  # also those raised in the block
            partial.unlink(missing_ok=True)
            raise
