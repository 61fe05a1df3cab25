"""`svc-trace doctor`: what this machine can do, and how to get what is missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import click
from msgspec.structs import asdict

from tracer import __version__
from tracer.commands.options import sudo_option
from tracer.commands.output import format_option
from tracer.errors import ExitStatus
from tracer.record.capture.checks import Check
from tracer.record.capture.doctor import Machine, diagnose
from tracer.record.invoker import Invoker
from tracer.reports.blocks import Block, Heading, Headline, Line, Styled, Table, Text
from tracer.reports.formats import Format
from tracer.trace.json_codec import dump

SCHEMA: Final = "svc-trace-doctor/1"
_ANSWERS: Final = {True: Styled("yes", "good"), False: Styled("no", "bad"), None: Styled("?", "warning")}


@dataclass(frozen=True, slots=True)
class DoctorDocument:
    """What a machine can do, backend by backend."""

    machine: Machine

    def page(self) -> Iterator[Block]:
        """The backend that `auto` takes, and the checks; with remedies where a backend does not work."""
        system, machine = os.uname(), self.machine
        chosen = f"The default backend here is {machine.auto}." if machine.auto else "No backend works here."
        yield Headline(f"version {__version__} on Linux {system.release}, {system.machine}", (chosen,))
        yield Heading("this machine")
        yield _table(machine.checks, remedies=True)
        for backend in machine.backends:
            works = Styled("works", "good") if backend.works else Styled("does not work", "bad")
            yield Heading((f"{backend.name} ", works, f": {backend.reason}" if backend.reason else ""))
            yield _table(backend.checks, remedies=not backend.works)
            if not backend.works and not any(check.answer is False for check in backend.checks):
                yield Line(backend.remedy or "")

    def json(self) -> Iterator[bytes]:
        """Everything. docs/commands.md explains the fields."""
        system, machine = os.uname(), self.machine
        yield dump(
            {
                "schema": SCHEMA,
                "version": __version__,
                "kernel": system.release,
                "architecture": system.machine,
                "auto": machine.auto,
                "checks": _checks_json(machine.checks),
                "backends": [asdict(one) | {"checks": _checks_json(one.checks)} for one in machine.backends],
            },
            indent=True,
        )


@click.command("doctor")
@format_option(DoctorDocument)
@sudo_option
@click.pass_obj
def command(invoker: Invoker, form: Format) -> int:
    """Check what this machine can do, backend by backend.

    Each backend is started for a trial. Ends with status 69 if none works.
    """
    with invoker.root():
        machine = diagnose()
    invoker.become()
    form.print(DoctorDocument(machine), sys.stdout)
    return 0 if machine.auto else ExitStatus.CANNOT_TRACE


def _table(checks: Iterable[Check], *, remedies: bool) -> Table:
    """The checks. A backend that works needs no remedy for what it lacks."""
    rows: list[tuple[Text, ...]] = []
    for check in checks:
        rows.append((_ANSWERS[check.answer], check.name, check.detail))
        if remedies and check.answer is not True and check.remedy:
            rows.append(("", "", Styled(f"-> {check.remedy}", "dim")))
    return Table((), tuple(rows), "lll")


def _checks_json(checks: Iterable[Check]) -> list[dict[str, object]]:
    """The checks; one with the answer yes needs no remedy."""
    return [check._asdict() | ({"remedy": None} if check.answer else {}) for check in checks]
