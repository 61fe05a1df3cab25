"""The commands, one file each, and the place where all errors are printed."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, TextIO

import click

from tracer.errors import ExitStatus, SvcTraceError, system_error

_COMPLETE: Final = "_SVC_TRACE_COMPLETE"
"""click's variable for shell completion (docs/commands.md): the shell, and whether its script or words are printed."""
_BY_SIGNAL: Final = 128
"""A shell's exit status for a command that a signal ended is this plus the signal's number."""
_REFUSED_WRITES: Final = frozenset({errno.EBADF, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of write(2), which names no file. The errors of all other output files name the file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `svc-trace` with these arguments, or the process's own; returns the exit status.

    Errors that a user can fix are printed in two lines to stderr; all others keep their traceback. Notes of the error
    (`BaseException.add_note`) follow, one line each.
    """
    try:
        if "svc-trace-unblock" in sys._xoptions:  # launcher/svc-trace.c has blocked it until now
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        _replace_closed_streams()
        status = _invoke(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        cause = _explained(error) if isinstance(error, OSError) else error
        with suppress(OSError):  # stderr is full
            _print(cause, getattr(error, "__notes__", ()))
        status = _status(cause)
    try:
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)
    return status


def _replace_closed_streams() -> None:
    """Give the numbers of closed standard streams to /dev/null, so that no other file gets them.

    The command does not inherit it: for the command, these streams are closed. What is written to a closed stdout is an
    error, as in other programs; what is written to a closed stderr disappears.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)  # gets the lowest free number
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 -- a descriptor
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _invoke(arguments: list[str]) -> int:
    from tracer.cli import cli  # it loads no command; `cli` is above this package

    if instruction := os.environ.get(_COMPLETE):  # set by the shell's script
        from click.shell_completion import shell_complete

        from tracer.commands.privileges import give_up_root

        give_up_root("")  # click executes bash from PATH
        return shell_complete(cli, {}, "svc-trace", _COMPLETE, instruction)
    try:
        with cli.make_context("svc-trace", arguments) as context:
            status: int = cli.invoke(context) or 0
    except click.exceptions.Exit as ending:  # --help and --version
        return ending.exit_code
    return status


def _explained(error: OSError) -> Exception:
    """What an error of the system means for a user; the error itself if it is a fault of svc-trace."""
    if isinstance(error, BrokenPipeError):
        _discard(sys.stdout)
        return error
    if error.filename is None and error.errno in _REFUSED_WRITES:
        _discard(sys.stdout)
        return SvcTraceError(
            f"cannot write to stdout: {error.strerror}",
            hint="Check where stdout leads, and the free space there.",
            slug="cannot-write",
            exit_code=ExitStatus.CANNOT_WRITE,
        )
    try:
        os.getcwd()  # noqa: PTH109 -- pathlib would be slower to import here
    except OSError as gone:
        return SvcTraceError(
            f"the working directory cannot be used: {gone.strerror}",
            hint="Change to a directory that exists.",
            slug="no-working-directory",
            exit_code=ExitStatus.SYSTEM,
        )
    return system_error(error) or error


def _discard(stream: TextIO) -> None:
    """Discard what a stream still has to write: at exit, Python would try again, and change the exit status."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _print(error: BaseException, notes: Sequence[str]) -> None:
    if isinstance(error, click.UsageError):
        error.show()
    elif isinstance(error, SvcTraceError):
        click.echo(f"svc-trace: error: {error}", err=True)
    elif not isinstance(error, KeyboardInterrupt | click.Abort | BrokenPipeError):
        import traceback

        traceback.print_exception(error)
        return  # it prints the notes
    for note in notes:
        click.echo(f"svc-trace: {note}", err=True)


def _status(error: BaseException) -> int:
    match error:
        case SvcTraceError():
            return error.exit_code
        case click.UsageError():
            return ExitStatus.USAGE
        case KeyboardInterrupt() | click.Abort():
            return _BY_SIGNAL + signal.SIGINT
        case BrokenPipeError():
            return _BY_SIGNAL + signal.SIGPIPE
        case _:
            return ExitStatus.INTERNAL
