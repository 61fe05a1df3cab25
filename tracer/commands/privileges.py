"""The place where svc-trace gives up root, before a command reads or writes anything."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click

from tracer.errors import ExitStatus, SvcTraceError

if TYPE_CHECKING:
    from tracer.record.invoker import Invoker

NEED_ROOT: Final = frozenset({"run", "verify", "doctor", "--version"})
"""The commands that may load probes. They take root's ids for that alone (`Invoker.root`)."""


def give_up_root(command: str) -> Invoker:
    """Become the invoking user: for good, or in commands that need root, until they take it for a while.

    Raises:
        SvcTraceError: this user cannot read svc-trace's modules.
    """
    from tracer.record.invoker import Invoker

    invoker = Invoker.find()
    if command in NEED_ROOT:
        invoker.step_back()
    else:
        invoker.become()
    for file in (__file__, os.__file__):
        if not os.access(file, os.R_OK, effective_ids=True):
            raise SvcTraceError(
                f"user {invoker.uid} cannot read a file of svc-trace's installation: {file}",
                hint="Install it in a virtual environment of that user, or for all users below /usr/local or /opt.",
                slug="unreadable-installation",
                exit_code=ExitStatus.CANNOT_TRACE,
            )
    if invoker.unknown:
        click.echo(f"svc-trace: everything runs as root: the invoking user is unknown ({invoker.unknown})", err=True)
    return invoker
