"""What a command prints to stdout or writes to a file, and `--format`, which chooses how."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, Protocol

import click

from tracer.classify.model import Classification
from tracer.classify.service_names import NewNames
from tracer.commands.options import OUTPUT, map_option, tests_options
from tracer.commands.services import check_services
from tracer.reports import json_report
from tracer.reports.blocks import ReportPath
from tracer.reports.formats import FORMATS, Document, Format, formats_for
from tracer.reports.formats.terminal import ReportConsole, print_page
from tracer.reports.output import write_file, writing
from tracer.reports.pages.summary import SummaryDocument


class Publish(Protocol):
    """Writes a classification's JSON report and prints it, or writes the file of a format that is kept."""

    def __call__(
        self, classification: Classification, config: Path | None, output: Path | None, source: Path | None = None
    ) -> None:
        """Takes the paths of the configuration, of the file to write, and of the JSON report that was read."""


def format_option(document: type) -> Callable[[Any], Any]:
    """`--format NAME`, given as `form`: one of the formats that can print this type of document."""
    formats = formats_for(document)
    return click.option(
        "--format",
        "form",
        type=click.Choice([form.name for form in formats]),
        default=formats[0].name,
        show_default=True,
        callback=lambda _, __, name: FORMATS[name],
        help=f"The output's format: {', '.join(f'{form.name} ({form.help})' for form in formats)}.",
    )


output_option: Final = click.option(
    "-o", "--output", type=OUTPUT, help="Write to this file instead of stdout; compressed if it ends in .gz."
)


def publish_document(document: Document, form: Format, output: Path | None) -> None:
    """Print a document, or write it to a file and print the file's path.

    Raises:
        SvcTraceError: the file cannot be written.
    """
    if output is None:
        form.print(document, sys.stdout)
        return
    with writing(output) as file:
        text = TextIOWrapper(file, encoding="utf-8")
        form.print(document, text)
        text.detach()  # which flushes it; `writing` closes the file
    print_page([ReportPath(str(output))], ReportConsole())


def summary_options(function: Any) -> Any:  # noqa: ANN401 -- as click's own decorators
    """`--format`, `--directories`, `--tests`, `--service` and `--map`, given as `publish`.

    This function writes a classification's JSON report, if it has a path, and prints the summary. A format that is kept
    takes the path for itself.
    """
    depths = ", ".join(f"{form.name}: {form.depth}" for form in FORMATS.values() if form.depth is not None)
    directories_option = click.option(
        "--directories",
        type=click.IntRange(min=1),
        metavar="DEPTH",
        help=f"Show the services of each directory's tests, down to DEPTH levels. Default: not shown; {depths}.",
    )

    @wraps(function)
    def command(
        form: Format,
        directories: int | None,
        list_tests: tuple[str, ...] | None,
        names: NewNames,
        **others: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        if names and "map" not in form.options:
            able = " or ".join(one.name for one in FORMATS.values() if "map" in one.options)
            raise click.UsageError(f"--map works only with --format {able}.")
        for option, value in (("tests", list_tests), ("directories", directories)):
            if value is not None and option not in form.options:
                able = " or ".join(one.name for one in FORMATS.values() if option in one.options)
                raise click.UsageError(f"--{option} works only with --format {able}. The JSON report has this always.")

        def publish(
            classification: Classification, config: Path | None, output: Path | None, source: Path | None = None
        ) -> None:
            check_services((*(list_tests or ()), *names), config, classification)
            report = None if form.kept else output
            if report is not None:
                write_file(report, json_report.render(classification))
            document = SummaryDocument(classification, list_tests, directories or form.depth, report, source, names)
            publish_document(document, form, output if form.kept else None)

        return function(publish=publish, **others)

    return format_option(SummaryDocument)(directories_option(tests_options(map_option(command))))
