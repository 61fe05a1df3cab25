"""`svc-trace report`: make the reports again, without root, on any machine."""

from __future__ import annotations

from pathlib import Path

import click

from tracer.commands.fail_on import accepted, check
from tracer.commands.inputs import read_source
from tracer.commands.options import OptionalValueCommand, config_option, fail_on_options, printing_options
from tracer.commands.printer import Printer
from tracer.reports import json_report
from tracer.reports.output import write_file
from tracer.trace.file import is_trace


@click.command("report", cls=OptionalValueCommand)
@click.argument("source", metavar="TRACE", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the JSON report here too.")
@config_option
@printing_options
@fail_on_options
def command(
    source: Path,
    output: Path | None,
    config: Path | None,
    form: str,
    directories: int | None,
    tests: str | None,
    fail_on: tuple[str, ...],
    baseline: Path | None,
) -> int:
    """Report on TRACE again, also with another configuration.

    TRACE is what `svc-trace --trace` kept, the PATH.partial of a run that was cut off, or a JSON report; plain or gzip.
    """
    printer = Printer(form, directories, tests)
    if config is not None and not is_trace(source):
        raise click.UsageError("--config is for a trace; a JSON report has been classified already.")
    known = accepted(baseline)
    classification = read_source(source, config)
    if output is not None:
        write_file(output, json_report.render(classification))
    printer.print(classification, output)
    check(classification, fail_on, known)
    return 0
