"""`--sudo`: the same command as root, through a program such as sudo."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

import click

from tracer.commands.options import ARGUMENTS
from tracer.errors import cannot_trace, printable
from tracer.record.installation import own_command
from tracer.record.invoker import STARTED_BY

PROGRAMS: Final = ("sudo", "doas", "run0")
"""The programs that make a user root, in the order in which they are tried."""
VARIABLE: Final = "SVC_TRACE_SUDO"
"""The variable that names another program, with its options."""


def start_as_root(arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by `sudo /…/svc-trace ARGUMENTS` in this directory.

    `environment` is the user's. The program may remove variables from it: svc-trace finds them again (`Invoker.find`).

    Raises:
        SvcTraceError: no-sudo.
    """
    program = sudo_program()
    if program is None:
        named = os.environ.get(VARIABLE)
        wrong = f"{VARIABLE} is {named!r}, which is no program" if named else f"there is no {', no '.join(PROGRAMS)}"
        raise cannot_trace(
            f"cannot become root: {wrong}",
            f"Install sudo, set {VARIABLE} to a program that works like it, or start svc-trace as root.",
            "no-sudo",
        )
    if Path(program[0]).name == "run0":  # the manager of the system starts the command: it is no child of this process
        program.append(f"--setenv={STARTED_BY}={os.getpid()}")
    os.execve(program[0], [*program, *own_command(), *arguments], environment)


def sudo_program() -> list[str] | None:
    """The first of PROGRAMS in PATH, or what VARIABLE names: its path, and its options. None: there is none."""
    if named := os.environ.get(VARIABLE):
        try:
            program, *options = shlex.split(named)
        except ValueError:  # nothing but spaces, or an open quotation
            return None
        path = shutil.which(program)
        return [path, *options] if path else None
    return next(([path] for path in map(shutil.which, PROGRAMS) if path), None)


def line_as_root() -> str | None:
    """What to type for this `svc-trace run` as root; None without a program that makes the user root."""
    if sudo_program() is None:
        return None
    _, *arguments = click.get_current_context().meta[ARGUMENTS]
    typed = shutil.which("svc-trace")
    command = own_command()
    if typed and os.path.realpath(typed) == command[0]:
        command = ("svc-trace",)
    return printable(shlex.join([*command, "--sudo", *arguments]))
