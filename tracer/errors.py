"""The base of all exceptions: what is wrong, what to do, a slug, an exit status."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class ExitStatus(IntEnum):
    """svc-trace's own exit statuses, all outside pytest's range (0-5).

    Without an error of svc-trace, `run` ends with the traced command's own status.
    """

    USAGE = 64  # sysexits.h EX_USAGE: a wrong option or argument
    BAD_INPUT = 65  # EX_DATAERR: a trace file or report that cannot be read
    CANNOT_TRACE = 69  # EX_UNAVAILABLE: privilege, kernel or library is missing
    INTERNAL = 70  # EX_SOFTWARE: a fault of svc-trace, with its traceback
    SYSTEM = 71  # EX_OSERR: the system refused a file, a process or memory
    CANNOT_WRITE = 73  # EX_CANTCREAT: an output file cannot be written
    BAD_CONFIG = 78  # EX_CONFIG: a configuration that cannot be used
    INCOMPLETE = 80  # --strict, --fail-on loss: a run lost something, or no pytest reported; --expect: runs are missing
    BLIND_SPOTS = 81  # --fail-on: tests use services that no rule claims for them
    CONTRACT_BROKEN = 82  # --fail-on: tests break a contract
    OVER_ASSUMED = 83  # --fail-on: rules claim services that tests do not use
    UNKNOWN_ENDPOINT = 84  # --fail-on: tests use unknown endpoints
    NOTHING_SELECTED = 85  # select: no test is in the selection
    DIFFERENT = 86  # diff --exit-code: the reports differ
    TIER_BROKEN = 87  # verify --tier: tests of the tier need other services
    REFUSED = 88  # --fail-on: tests tried to use services that were refused to them
    NOT_EXECUTABLE = 126  # the command cannot be executed; a shell's status for this
    NOT_FOUND = 127  # the command was not found; a shell's status for this


_LONGEST: Final = 2000  # characters of a message: it may quote a hostile file


def printable(text: str, longest: int | None = None) -> str:
    """Text with escapes for what a terminal would obey and no page can show: controls, lone surrogates.

    If it is longer than `longest`, only its beginning.
    """
    if longest is not None and len(text) > longest:
        text = f"{text[:longest]}…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def counted(count: int, unit: str) -> str:
    """A number and its unit: `1 test`, `2,329 tests`, `2 processes`."""
    return f"{count:,} {unit}{'' if count == 1 else 'es' if unit.endswith('s') else 's'}"


class SvcTraceError(Exception):
    """An error that a user can fix. It is printed as two lines: what is wrong, what to do.

    Attributes:
        message: what is wrong, one line.
        hint: what to do about it, one line: an imperative with a full stop.
        slug: a stable name, explained in docs/messages.md.
        exit_code: the exit status svc-trace ends with.
    """

    def __init__(self, message: str, *, hint: str, slug: str, exit_code: ExitStatus = ExitStatus.BAD_INPUT) -> None:
        super().__init__(message)
        self.message = printable(message, _LONGEST)
        self.hint = printable(hint, _LONGEST)
        self.slug = slug
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message} [{self.slug}]\n  {self.hint}"


def cannot_trace(message: str, hint: str, slug: str) -> SvcTraceError:
    """The error of a backend that cannot run on this machine."""
    return SvcTraceError(message, hint=hint, slug=slug, exit_code=ExitStatus.CANNOT_TRACE)


_SPACE: Final = "Free space and inodes on the disk, or set TMPDIR to a directory on another one."
_FILES: Final = "Raise the limit of open files: ulimit -n 1024."
_ACCESS: Final = "Check that it exists, and that the command's user may use it."
_REMEDIES: Final[Mapping[int, str]] = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "Raise the limit of file sizes: ulimit -f unlimited.",
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.EAGAIN: "Raise the limit of processes and threads: ulimit -u, or pids.max of the cgroup.",
    errno.ENOMEM: "Free memory, or raise the limit of memory: ulimit -v, or memory.max of the cgroup.",
    errno.EIO: "Check the disk: the kernel's log (dmesg) may say more.",
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP), _ACCESS),
}
"""errno → what to do. An OSError with another errno is a fault of svc-trace."""


def system_error(error: OSError) -> SvcTraceError | None:
    """The error for a resource that the system refused; None if this is not to be expected on a sound machine."""
    remedy = _REMEDIES.get(error.errno or 0)
    if remedy is None:
        return None
    reason = error.strerror or str(error)
    what = error.filename or ("cannot start another process or thread" if error.errno == errno.EAGAIN else None)
    return SvcTraceError(
        f"{what}: {reason}" if what else reason,
        hint=remedy,
        slug="system-error",
        exit_code=ExitStatus.SYSTEM,
    )
