"""`svc-trace run`: trace a command, then report.

Everything that is imported before the command begins delays it: that is only the configuration.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracer.commands.options import (
    OUTPUT,
    backend_option,
    complete_files,
    config_option,
    enter_option,
    fail_on_options,
    sudo_option,
    tests_options,
)
from tracer.commands.status import Status, obeys_escapes
from tracer.errors import ExitStatus, SvcTraceError, counted

if TYPE_CHECKING:
    from tracer.classify.findings import Finding
    from tracer.classify.model import Classification
    from tracer.classify.services.config import Config
    from tracer.commands.configurations import Found
    from tracer.commands.live import Live
    from tracer.record.invoker import Invoker
    from tracer.record.refusal.targets import Refusal


def _names(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Names that are separated by commas; an empty text has none."""
    return None if value is None else tuple(name.strip() for name in value.split(",")) if value else ()


@click.command("run", context_settings={"allow_interspersed_args": False})
@click.option(
    "-o",
    "--output",
    type=OUTPUT,
    default="svc-trace.json",
    show_default=True,
    help="Where to write the JSON report; compressed if it ends in .gz.",
)
@click.option("--trace", type=OUTPUT, help="Keep the trace file here, for `svc-trace report`.")
@config_option
@backend_option
@sudo_option
@enter_option
@click.option("--strict", is_flag=True, help="Fail with status 80 when anything was lost.")
@click.option(
    "--only",
    metavar="SERVICES",
    callback=_names,
    help="Refuse all other configured services to CMD, as if they were stopped; separated by commas, '' for none.",
)
@click.option(
    "--against",
    metavar="REPORT",
    multiple=True,
    help="With --only: refuse services also where the runs of this report met them; may be repeated.",
)
@tests_options
@fail_on_options
@click.option("--live", is_flag=True, help="Show the services so far in the last line of the terminal.")
@click.option("-q", "--quiet", is_flag=True, help="Print no summary.")
@click.argument(
    "command", metavar="CMD...", nargs=-1, required=True, type=click.UNPROCESSED, shell_complete=complete_files
)
@click.pass_obj
def command(
    invoker: Invoker,
    command: tuple[str, ...],
    output: Path,
    trace: Path | None,
    config: Path | None,
    backend: str,
    enter: tuple[str, ...],
    strict: bool,
    only: tuple[str, ...] | None,
    against: tuple[str, ...],
    list_tests: tuple[str, ...] | None,
    live: bool,
    quiet: bool,
    fail_on: tuple[str, ...],
    accepted: frozenset[Finding] | None,
) -> int:
    """Trace CMD and report which services its tests use.

    CMD's output and exit status are passed on unchanged; the summary goes to stderr. Options for svc-trace stand before
    CMD.
    """
    _check_usage(config, only, against, list_tests, fail_on)
    if enter:
        _check_entering(backend, only)
    from tracer.record.capture.backends import StartingBackend

    def say(line: str) -> None:
        if not quiet:
            with suppress(OSError):  # stderr is full
                click.echo(f"svc-trace: {line}", err=True)

    with invoker.root():
        # Goes on while the rest is imported.
        starting = StartingBackend(backend, say, _line_as_root, attaches=bool(enter))

        from tracer.classify.services.config import read_preset
        from tracer.commands.configurations import find_configuration
        from tracer.record.run import RunOptions, record

        read_preset("default")  # it is a part of every configuration
        loaded = starting.result()
    with closing(loaded):
        found = find_configuration(config)
        _check_rules(found, fail_on)
        refusal = None if only is None else _others(only, found.config, against, say)
        watcher = _live(found.config, say) if live else None
        options = RunOptions(command, output, trace, refusal, watcher=watcher, enter=enter)
        with record(options, loaded, invoker, say) as recorded, Status(quiet=quiet) as status:
            found, classification = _classified(recorded.trace, found, status, entered=bool(enter))
            _report(classification, output, list_tests, status, quiet=quiet)

    from tracer.commands.fail_on import check_findings

    if strict:
        _check_whole(classification)
    check_findings(classification, fail_on, accepted, found.searched)
    return recorded.exit_status


def _check_usage(
    config: Path | None,
    only: tuple[str, ...] | None,
    against: tuple[str, ...],
    list_tests: tuple[str, ...] | None,
    fail_on: tuple[str, ...],
) -> None:
    """Check that the options fit together, and that the configuration has the services that they name."""
    if against and only is None:
        raise click.UsageError("--against needs --only.")
    if "refused" in fail_on and only is None:
        raise click.UsageError("--fail-on refused needs --only: without it, nothing is refused.")
    if list_tests or only:
        from tracer.commands.services import check_services

        check_services((*(list_tests or ()), *(only or ())), config)


def _check_rules(found: Found, fail_on: tuple[str, ...]) -> None:
    """Check that the rules have what `--fail-on` checks, if their file is known before the run."""
    if fail_on and found.config.source is not None:
        from tracer.commands.fail_on import check_rules

        check_rules(found.config.rules, fail_on, found.searched)


def _check_entering(backend: str, only: tuple[str, ...] | None) -> None:
    """Check that the other options fit to --enter."""
    if only is not None:
        raise click.UsageError("--only cannot be used with --enter.")
    if backend == "strace":
        raise click.UsageError("--enter needs libbpf or bcc. With strace, start svc-trace within the container.")


def _line_as_root() -> str | None:
    from tracer.commands.elevation import line_as_root

    return line_as_root()


def _check_whole(classification: Classification) -> None:
    """Check that nothing is missing in a run.

    Raises:
        SvcTraceError: incomplete.
    """
    from tracer.classify.findings import is_whole

    if not is_whole(classification.run):
        raise SvcTraceError(
            "the run is not complete: events, boundaries or tests are missing, or no pytest reported",
            hint="Read the report's warnings. If events were lost, run it again with fewer workers at a time.",
            slug="incomplete",
            exit_code=ExitStatus.INCOMPLETE,
        )


def _others(
    only: tuple[str, ...], configuration: Config, against: tuple[str, ...], say: Callable[[str], None]
) -> Refusal:
    """All services but these, as far as it is known where they are."""
    from tracer.commands.refusals import other_services, plan_refusal

    reports = []
    if against:
        from tracer.commands.inputs import read_reports

        reports = [read_reports([one]) for one in against]
    planned = plan_refusal(other_services(only, configuration), configuration, reports)
    for line in planned.lines():
        say(line)
    return planned.refusal


def _live(configuration: Config, say: Callable[[str], None]) -> Live | None:
    """The line below the command's output; None: stderr's terminal has none."""
    if obeys_escapes():
        from tracer.commands.live import Live

        with suppress(OSError):
            return Live(configuration)
    say("--live shows nothing: stderr is not a terminal that it can use")
    return None


def _classified(path: Path, found: Found, status: Status, *, entered: bool) -> tuple[Found, Classification]:
    """The configuration, also searched in pytest's rootdirs, and the classification of a trace by it."""
    from datetime import UTC, datetime

    from tracer.classify.classification import classify
    from tracer.commands.configurations import with_rootdirs
    from tracer.trace.file import read_trace

    status.say("reading the trace")
    trace = read_trace(path)
    if not entered:  # rootdirs in a container are no directories of this machine
        found = with_rootdirs(found, trace)
    status.say(f"classifying {counted(len(trace.attempts), 'test')}")
    return found, classify(trace, found.config, generated_at=datetime.now(UTC), take_flows=True)


def _report(
    classification: Classification, output: Path, list_tests: tuple[str, ...] | None, status: Status, *, quiet: bool
) -> None:
    """Write the report and print the summary, even if the report cannot be written: a long run is worth it."""
    from tracer.reports import json_report
    from tracer.reports.output import write_file

    written = None
    status.say("writing the report")
    try:
        write_file(output, json_report.render(classification))
        written = output
    finally:
        if not quiet:
            from tracer.reports.formats import terminal
            from tracer.reports.pages.refused import refused_sentence
            from tracer.reports.pages.summary import SummaryDocument

            status.clear()
            with suppress(OSError):  # stderr is closed, or the disk is full; the command's status is passed on anyway
                terminal.print_document(SummaryDocument(classification, list_tests, report=written), sys.stderr)
                if sentence := refused_sentence(classification.refused):
                    click.echo(f"svc-trace: {sentence}", err=True)
