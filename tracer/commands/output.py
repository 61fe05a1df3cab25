"""What a command prints to stdout, and `--format`, which chooses how."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from tracer.classify.model import Classification
from tracer.commands.options import listed_services, tests_options
from tracer.reports.formats import FORMATS, Document, formats_for
from tracer.reports.pages.summary import SummaryDocument


def format_option(document: type) -> Callable[[Any], Any]:
    """`--format FORM`, given as `form`: one of the formats that can print this type of document."""
    formats = formats_for(document)
    return click.option(
        "--format",
        "form",
        type=click.Choice([form.name for form in formats]),
        default=formats[0].name,
        show_default=True,
        help=f"The output's format: {'; '.join(f'{form.name}: {form.help}' for form in formats)}.",
    )


def summary_options(function: Any) -> Any:  # noqa: ANN401 -- as click's own decorators
    """`--format`, `--directories`, `--tests` and `--service`, given as `summary`."""
    depths = ", ".join(f"{form.name}: {form.depth}" for form in FORMATS.values() if form.depth is not None)
    directories = click.option(
        "--directories",
        type=click.IntRange(min=1),
        metavar="DEPTH",
        help=f"Show the services of each directory's tests, down to DEPTH levels. Default: not shown; {depths}.",
    )

    @wraps(function)
    def command(form: str, directories: int | None, tests: bool, services: tuple[str, ...], **others: Any) -> Any:  # noqa: ANN401
        return function(summary=SummaryOutput(form, directories, listed_services(tests, services)), **others)

    return format_option(SummaryDocument)(directories(tests_options(command)))


@dataclass(frozen=True, slots=True)
class SummaryOutput:
    """The values of `summary_options`.

    Raises:
        click.UsageError: the format cannot obey one of the options.
    """

    form: str
    directories: int | None
    list_tests: tuple[str, ...] | None  # of these services, empty: of each; None: no tests are listed

    def __post_init__(self) -> None:
        for option, value in (("tests", self.list_tests), ("directories", self.directories)):
            if value is not None and option not in FORMATS[self.form].options:
                able = " or ".join(form.name for form in FORMATS.values() if option in form.options)
                raise click.UsageError(
                    f"--{option} works only with --format {able}. The JSON report always has this part."
                )

    def print(self, classification: Classification, report: Path | None) -> None:
        """Print the summary; `report` is the JSON report's path, if one was written."""
        depth = self.directories or FORMATS[self.form].depth
        print_document(SummaryDocument(classification, self.list_tests, depth, report), self.form)


def print_document(document: Document, form: str) -> None:
    """Print a document to stdout."""
    FORMATS[form].print(document, sys.stdout)
