"""`svc-trace run`: trace a command, then report.

What is imported before the command begins delays it, so only what has to be known by then is: the configuration.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracer.commands.options import OptionalValueCommand, by_service, config_option, fail_on_options, tests_option
from tracer.errors import ExitStatus, SvcTraceError

if TYPE_CHECKING:
    from tracer.classify.findings import Finding
    from tracer.classify.model import Classification
    from tracer.classify.services.config import Config


@dataclass(frozen=True, slots=True)
class Settings:
    """The parameters of `svc-trace run`."""

    command: tuple[str, ...]
    output: Path
    trace: Path | None
    config: Path | None
    backend: str
    strict: bool
    tests: str | None
    quiet: bool
    fail_on: tuple[str, ...]
    baseline: Path | None

    def say(self, line: str) -> None:
        """Tell the user something before the command begins."""
        if not self.quiet:
            click.echo(f"svc-trace: {line}", err=True)


@click.command("run", cls=OptionalValueCommand, context_settings={"allow_interspersed_args": False})
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("svc-trace.json"),
    show_default=True,
    help="Where the JSON report goes.",
)
@click.option(
    "--trace",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the trace file here, for `svc-trace report`.",
)
@config_option
@click.option(
    "--backend",
    type=click.Choice(["auto", "libbpf", "bcc", "strace"]),
    default="auto",
    show_default=True,
    help="What records the socket events; auto takes the first that this machine can run.",
)
@click.option("--strict", is_flag=True, help="Fail with status 80 when anything was lost.")
@tests_option
@fail_on_options
@click.option("-q", "--quiet", is_flag=True, help="Print no summary.")
@click.argument("command", metavar="CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(
    command: tuple[str, ...],
    output: Path,
    trace: Path | None,
    config: Path | None,
    backend: str,
    strict: bool,
    tests: str | None,
    fail_on: tuple[str, ...],
    baseline: Path | None,
    quiet: bool,
) -> int:
    """Trace CMD and tell which services its tests use.

    CMD's output and exit status are passed on untouched; the summary goes to stderr. Options for svc-trace stand before
    CMD.
    """
    return run(Settings(command, output, trace, config, backend, strict, tests, quiet, fail_on, baseline))


def run(settings: Settings) -> int:
    """Trace, classify, report; returns the command's exit status.

    Raises:
        SvcTraceError: a bad configuration or a machine that cannot trace, before the command begins; a report that
            cannot be written, or what `strict` and `fail_on` don't accept, after it.
    """
    from tracer.record.capture.backends import StartingBackend

    starting = StartingBackend(settings.backend, settings.say)  # goes on while the rest is imported

    from tracer.classify.services.config import load_config
    from tracer.record.run import RunOptions, record

    config = load_config(settings.config, Path.cwd())
    known = _accepted(settings.baseline)
    with record(RunOptions(settings.command, settings.output, settings.trace), starting) as recorded:
        classification = _report(recorded.trace, config, settings)
    _judge(classification, settings, known)
    return recorded.exit_status


def _accepted(baseline: Path | None) -> frozenset[Finding]:
    """What a baseline accepts. One that cannot be read is told before the command begins."""
    if baseline is None:
        return frozenset()
    from tracer.commands.fail_on import accepted

    return accepted(baseline)


def _judge(classification: Classification, settings: Settings, known: frozenset[Finding]) -> None:
    """Raise what `--strict` and `--fail-on` ask for."""
    from tracer.classify.findings import is_whole
    from tracer.commands.fail_on import check

    if settings.strict and not is_whole(classification.run):
        raise SvcTraceError(
            "the run is not complete: events or boundaries were lost, or no pytest reported",
            hint="Read the report's warnings; if events were lost, run it again with fewer workers at a time.",
            slug="incomplete",
            exit_code=ExitStatus.INCOMPLETE,
        )
    check(classification, settings.fail_on, known)


def _report(trace: Path, config: Config, settings: Settings) -> Classification:
    """Classify a trace, write and print the reports."""
    from tracer.classify.classification import classify
    from tracer.reports import json_report, terminal
    from tracer.reports.output import write_file
    from tracer.trace.file import read_trace

    classification = classify(read_trace(trace), config, generated_at=datetime.now(UTC))
    written = None
    try:
        write_file(settings.output, json_report.render(classification))
        written = settings.output
    finally:  # a long run's summary is worth printing even if its report cannot be written
        if not settings.quiet:
            console = terminal.ReportConsole(stderr=True)
            with suppress(OSError):  # nobody reads it, or the disk is full; the command's status stands all the same
                terminal.render(classification, console, by_service=by_service(settings.tests), report=written)
    return classification
