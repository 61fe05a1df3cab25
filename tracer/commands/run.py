"""`svc-trace run`: trace a command, then report.

Everything that is imported before the command begins delays it: that is only the configuration.
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tracer.commands.options import config_option, fail_on_options, listed_services, output_option, tests_options
from tracer.errors import ExitStatus, SvcTraceError

if TYPE_CHECKING:
    from tracer.classify.findings import Finding
    from tracer.classify.model import Classification
    from tracer.classify.services.config import Config


class Settings(NamedTuple):
    """The parameters of `svc-trace run`."""

    command: tuple[str, ...]
    output: Path
    trace: Path | None
    config: Path | None
    backend: str
    strict: bool
    list_tests: tuple[str, ...] | None  # of these services, empty: of each; None: no tests are listed
    quiet: bool
    fail_on: tuple[str, ...]
    accepted: frozenset[Finding] | None  # by the baseline; None: there is no baseline

    def say(self, line: str) -> None:
        """Print a line before the command begins."""
        if not self.quiet:
            click.echo(f"svc-trace: {line}", err=True)


@click.command("run", context_settings={"allow_interspersed_args": False})
@output_option(
    "-o", "--output", default=Path("svc-trace.json"), show_default=True, help="Where to write the JSON report."
)
@output_option("--trace", help="Keep the trace file here, for `svc-trace report`.")
@config_option
@click.option(
    "--backend",
    type=click.Choice(["auto", "libbpf", "bcc", "strace"]),
    default="auto",
    show_default=True,
    help="What records the socket events; auto takes the first that this machine can run.",
)
@click.option("--strict", is_flag=True, help="Fail with status 80 when anything was lost.")
@tests_options
@fail_on_options
@click.option("-q", "--quiet", is_flag=True, help="Print no summary.")
@click.argument("command", metavar="CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(tests: bool, services: tuple[str, ...], **others: Any) -> int:  # noqa: ANN401 -- Settings has their types
    """Trace CMD and report which services its tests use.

    CMD's output and exit status are passed on unchanged; the summary goes to stderr. Options for svc-trace stand before
    CMD.
    """
    return run(Settings(list_tests=listed_services(tests, services), **others))


def run(settings: Settings) -> int:
    """Trace, classify, report; returns the command's exit status.

    Raises:
        SvcTraceError: a bad configuration or a machine that cannot trace, before the command begins; a report that
            cannot be written, or what `strict` and `fail_on` don't accept, after it.
        click.UsageError: a service whose tests should be listed is not configured, before the command begins.
    """
    if settings.list_tests:
        from tracer.commands.services import check_services

        check_services(settings.list_tests, settings.config)
    from tracer.record.capture.backends import StartingBackend

    gc.disable()  # until the command begins (record/run.py): the imports that delay it leave no garbage
    starting = StartingBackend(settings.backend, settings.say)  # goes on while the rest is imported

    from tracer.classify.services.config import load_config
    from tracer.record.run import RunOptions, record

    config = load_config(settings.config, Path.cwd())
    with record(RunOptions(settings.command, settings.output, settings.trace), starting) as recorded:
        classification = _report(recorded.trace, config, settings)

    from tracer.classify.findings import is_whole
    from tracer.commands.fail_on import check_findings

    if settings.strict and not is_whole(classification.run):
        raise SvcTraceError(
            "the run is not complete: events or boundaries were lost, or no pytest reported",
            hint="Read the report's warnings. If events were lost, run it again with fewer workers at a time.",
            slug="incomplete",
            exit_code=ExitStatus.INCOMPLETE,
        )
    check_findings(classification, settings.fail_on, settings.accepted)
    return recorded.exit_status


def _report(trace: Path, config: Config, settings: Settings) -> Classification:
    """Classify a trace, write the report and print the summary."""
    from datetime import UTC, datetime

    from tracer.classify.classification import classify
    from tracer.reports import json_report
    from tracer.reports.output import write_file
    from tracer.trace.file import read_trace

    classification = classify(read_trace(trace), config, generated_at=datetime.now(UTC))
    written = None
    try:
        write_file(settings.output, json_report.render(classification))
        written = settings.output
    finally:  # a long run's summary is worth printing even if its report cannot be written
        if not settings.quiet:
            from tracer.reports.formats import terminal
            from tracer.reports.pages.summary import SummaryDocument

            document = SummaryDocument(classification, settings.list_tests, report=written)
            with suppress(OSError):  # stderr is closed, or the disk is full; the command's status is passed on anyway
                terminal.print_document(document, sys.stderr)
    return classification
