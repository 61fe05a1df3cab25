"""A function in a process of its own, as if it were called in this one: its errors, and signals for it."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

import click

from tracer.errors import ExitStatus, SvcTraceError
from tracer.record.launch import FORWARDED
from tracer.record.run import SI_KERNEL

_ENDING: Final = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP})
"""Signals that end this process, too, as soon as the function has ended."""
_TURN_S: Final = 0.05
"""How often to look for signals and for the child's end."""


def in_own_process(function: Callable[[], None]) -> None:
    """Call a function in a child of this process, which may give up root. Its stdout is this process's stderr.

    Raises:
        SvcTraceError: the function's.
        OSError: the function's, or no further process is allowed.
        click.exceptions.Exit: a signal ended the child, or is to end this process; or the function raised another
            error, whose traceback was printed.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED | {signal.SIGCHLD})
    try:
        failed, failing = os.pipe()
        sys.stdout.flush()
        if (pid := os.fork()) == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            _call(function, failing)
        os.close(failing)
        status, ended_by = _wait(pid)
        with os.fdopen(failed, "rb") as pipe:
            failure = pipe.read()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if failure:
        raise _error(failure)
    if ended_by is not None:
        raise click.exceptions.Exit(128 + ended_by)
    if status:
        raise click.exceptions.Exit(status)


def _call(function: Callable[[], None], failing: int) -> NoReturn:
    """Call the function and end this process. An error that a user can fix is written to a pipe, others to stderr."""
    status = int(ExitStatus.INTERNAL)
    try:
        os.dup2(2, 1)
        function()
        status = 0
    except (SvcTraceError, OSError) as error:
        os.write(failing, _failure(error))
    except BaseException as error:
        traceback.print_exception(error)
    finally:
        os._exit(status)


def _wait(pid: int) -> tuple[int, int | None]:
    """Wait for the end of a child, and pass signals on to it. Returns its status, and the signal to end with.

    Signals from the terminal reach the child without that.
    """
    ended_by = None
    while True:
        # Another thread may take SIGCHLD, and the first result may mean nothing (`Child.wait`): neither is relied on.
        signal.sigtimedwait({signal.SIGCHLD}, _TURN_S)
        if received := signal.sigtimedwait(FORWARDED, 0):
            if received.si_signo in _ENDING:
                ended_by = received.si_signo
            if received.si_code != SI_KERNEL:
                os.kill(pid, received.si_signo)
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            return (code if code >= 0 else 128 - code), ended_by


def _failure(error: SvcTraceError | OSError) -> bytes:
    """An error as JSON: the process that reads it can take root again, and trusts no other form."""
    notes = getattr(error, "__notes__", [])
    if isinstance(error, SvcTraceError):
        fields = {"message": error.message, "hint": error.hint, "slug": error.slug, "exit_code": int(error.exit_code)}
    else:
        name = None if error.filename is None else str(error.filename)
        fields = {"errno": error.errno, "strerror": error.strerror, "filename": name}
    return json.dumps(fields | {"notes": notes}).encode()


def _error(failure: bytes) -> Exception:
    fields = json.loads(failure)
    notes = fields.pop("notes")
    error: Exception
    if "errno" in fields:
        error = OSError(fields["errno"], fields["strerror"], fields["filename"])
    else:
        exit_code = ExitStatus(fields.pop("exit_code"))
        error = SvcTraceError(fields.pop("message"), **fields, exit_code=exit_code)
    for note in notes:
        error.add_note(note)
    return error
