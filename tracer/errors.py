"""The base of all exceptions: what is wrong, what to do, a slug, an exit status."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """svc-trace's own exit statuses, all outside pytest's range (0-5).

    Without an error of svc-trace, `run` ends with the traced command's own status.
    """

    USAGE = 64  # sysexits.h EX_USAGE: a wrong option or argument
    BAD_INPUT = 65  # EX_DATAERR: a trace file or report that cannot be read
    CANNOT_TRACE = 69  # EX_UNAVAILABLE: privilege, kernel or library is missing
    CANNOT_WRITE = 73  # EX_CANTCREAT: an output file cannot be written
    BAD_CONFIG = 78  # EX_CONFIG: a configuration that cannot be used
    INCOMPLETE = 80  # --strict, --fail-on loss: a run lost something, or no pytest reported; --expect: runs are missing
    BLIND_SPOTS = 81  # --fail-on: tests use services that no rule claims for them
    CONTRACT_BROKEN = 82  # --fail-on: tests break a contract
    OVER_ASSUMED = 83  # --fail-on: rules claim services that tests do not use
    UNKNOWN_ENDPOINT = 84  # --fail-on: tests use unknown endpoints
    NOTHING_SELECTED = 85  # select: no test is in the selection
    DIFFERENT = 86  # diff --exit-code: the reports differ
    NOT_EXECUTABLE = 126  # the command cannot be executed; a shell's status for this
    NOT_FOUND = 127  # the command was not found; a shell's status for this


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
        self.message = message
        self.hint = hint
        self.slug = slug
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message} [{self.slug}]\n  {self.hint}"


def cannot_trace(message: str, hint: str, slug: str) -> SvcTraceError:
    """The error of a backend that cannot run on this machine."""
    return SvcTraceError(message, hint=hint, slug=slug, exit_code=ExitStatus.CANNOT_TRACE)
