"""`svc-trace doctor`: what this machine can do, and what is missing for the rest."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import Final

import click
from rich.table import Table
from rich.text import Text

from tracer import __version__
from tracer.commands.options import format_option
from tracer.errors import ExitStatus
from tracer.record.capture.doctor.checks import Check
from tracer.record.capture.doctor.diagnosis import Diagnosis, Machine, diagnose
from tracer.reports.terminal import ReportConsole
from tracer.trace.json_codec import dump

SCHEMA: Final = "svc-trace-doctor/1"
_ANSWERS: Final = {True: ("yes", "green"), False: ("no", "bold red"), None: ("?", "yellow")}


@click.command("doctor")
@format_option("terminal", "json")
def command(form: str) -> int:
    """Check what this machine can do, backend by backend.

    Each backend is started for a trial. Ends with status 69 if none works.
    """
    machine = diagnose()
    if form == "json":
        sys.stdout.buffer.write(dump(_report(machine), indent=True))
    else:
        _print(machine, ReportConsole())
    return 0 if machine.auto else ExitStatus.CANNOT_TRACE


def _report(machine: Machine) -> dict[str, object]:
    system = os.uname()
    return {
        "schema": SCHEMA,
        "version": __version__,
        "kernel": system.release,
        "architecture": system.machine,
        "auto": machine.auto,
        "checks": _checks(machine.checks),
        "backends": [asdict(backend) | {"checks": _checks(backend.checks)} for backend in machine.backends],
    }


def _checks(checks: tuple[Check, ...]) -> list[dict[str, object]]:
    """Of what is there, nobody needs the remedy."""
    return [asdict(check) | ({"remedy": None} if check.answer else {}) for check in checks]


def _print(machine: Machine, console: ReportConsole) -> None:
    system = os.uname()
    console.print(f"svc-trace {__version__}, Linux {system.release}, {system.machine}", highlight=False)
    _print_checks("this machine", machine.checks, console)
    for backend in machine.backends:
        _print_checks(_headline(backend), backend.checks, console, remedies=not backend.works)
        if not backend.works and not any(check.answer is False for check in backend.checks):
            console.print(Text(f"  {backend.remedy}"), soft_wrap=True)
    console.print()
    if machine.auto:
        console.print(f"svc-trace takes {machine.auto}, unless --backend names another.", highlight=False)
    else:
        console.print("svc-trace cannot trace here.", highlight=False)


def _headline(backend: Diagnosis) -> Text:
    if backend.works:
        return Text.assemble((backend.name, "bold"), (" works", "green"))
    return Text.assemble((backend.name, "bold"), (" does not work", "bold red"), f": {backend.reason}")


def _print_checks(
    title: str | Text, checks: tuple[Check, ...], console: ReportConsole, *, remedies: bool = True
) -> None:
    """What a backend that works does without needs no remedy."""
    console.print()
    console.print(Text(title, "bold") if isinstance(title, str) else title, soft_wrap=True)
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        word, style = _ANSWERS[check.answer]
        detail = Text(check.detail)
        if remedies and check.answer is not True and check.remedy:
            detail.append(f"\n-> {check.remedy}", "dim")
        table.add_row("", Text(word, style), check.name, detail)
    console.print(table)
