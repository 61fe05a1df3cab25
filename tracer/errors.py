"""The one exception base: what is wrong, what to do, a slug, an exit status."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """svc-trace's own exit statuses; all lie outside pytest's range (0-5).

    The command's own status is passed on untouched when the tool did its job.
    """

    USAGE = 64  # sysexits.h EX_USAGE: a wrong option or argument
    BAD_INPUT = 65  # EX_DATAERR: a trace file or report that cannot be read
    CANNOT_TRACE = 69  # EX_UNAVAILABLE: privilege, kernel or library is missing
    CANNOT_WRITE = 73  # EX_CANTCREAT: an output file cannot be written
    BAD_CONFIG = 78  # EX_CONFIG: a configuration that cannot be used
    INCOMPLETE = 80  # --strict, --fail-on loss: a run lost something, or no hook reported; --expect: runs are missing
    BLIND_SPOTS = 81  # --fail-on: tests use services that no static rule claims for them
    CONTRACT_BROKEN = 82  # --fail-on: tests break a contract
    OVER_ASSUMED = 83  # --fail-on: static rules claim services that tests do not use
    UNKNOWN_ENDPOINT = 84  # --fail-on: tests use endpoints that no rule names
    NOTHING_SELECTED = 85  # select: no test is in the selection
    DIFFERENT = 86  # diff --exit-code: the reports differ
    NOT_EXECUTABLE = 126  # the command cannot be executed, as a shell says it
    NOT_FOUND = 127  # the command was not found, as a shell says it


class SvcTraceError(Exception):
    """An error a user can act on. Printed as two lines: what is wrong, what to do.

    Attributes:
        message: what is wrong, one line.
        hint: what to do about it, one line.
        slug: a stable name, explained in docs/messages.md.
        exit_code: the exit status svc-trace ends with.
    """

    def __init__(self, message: str, *, hint: str, slug: str, exit_code: ExitStatus) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.slug = slug
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message} [{self.slug}]\n  {self.hint}"


def cannot_trace(message: str, hint: str, slug: str) -> SvcTraceError:
    """The error of a backend that this machine cannot run."""
    return SvcTraceError(message, hint=hint, slug=slug, exit_code=ExitStatus.CANNOT_TRACE)
