"""What a command prints to stdout of a classification, in the format that was asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from tracer.classify.model import Classification
from tracer.commands.options import by_service
from tracer.reports import json_report, markdown, sentry, terminal
from tracer.reports.page import Block, markdown_page, print_page

_DEPTH: Final = 2
"""Levels of folders that Markdown tells apart unless asked: `tests/unit`, `tests/integration`."""


@dataclass(frozen=True, slots=True)
class Printer:
    """The values of `options.printing_options`.

    Raises:
        click.UsageError: they don't go together.
    """

    form: str
    directories: int | None
    tests: str | None

    def __post_init__(self) -> None:
        if self.tests is not None and self.form != "terminal":
            raise click.UsageError("--tests is for --format terminal; the JSON report holds all tests.")
        if self.directories is not None and self.form in ("json", "sentry"):
            raise click.UsageError("--directories is for --format terminal and markdown; the JSON report holds all.")

    def print(self, classification: Classification, report: Path | None) -> None:
        """Print it; `report` is the JSON report's path, if one was written."""
        if self.form == "json":
            sys.stdout.buffer.writelines(json_report.render(classification))
        elif self.form == "sentry":
            sys.stdout.buffer.writelines(sentry.render(classification))
        elif self.form == "markdown":
            _write(markdown.render(classification, directories=self.directories or _DEPTH))
        else:
            terminal.render(
                classification,
                terminal.ReportConsole(),
                by_service=by_service(self.tests),
                directories=self.directories,
                report=report,
            )


def show(page: Iterable[Block], form: str) -> None:
    """Print a page as `markdown`, or else for the terminal."""
    if form == "markdown":
        _write(markdown_page(page))
    else:
        print_page(page, terminal.ReportConsole())


def _write(parts: Iterable[str]) -> None:
    """To stdout in UTF-8, whatever the locale; lone surrogates, which code may hold, as escapes."""
    sys.stdout.buffer.writelines(part.encode("utf-8", "backslashreplace") for part in parts)
