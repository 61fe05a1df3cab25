"""`svc-trace report`: make the reports again, without root, on any machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from tracer.classify.classification import classify
from tracer.classify.model import Classification
from tracer.classify.services.config import load_config
from tracer.commands.options import OptionalValueCommand, config_option, printing_options
from tracer.commands.printer import Printer
from tracer.reports import json_report
from tracer.reports.output import write_file
from tracer.trace.file import is_trace, read_trace


@click.command("report", cls=OptionalValueCommand)
@click.argument("source", metavar="TRACE", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the JSON report here too.")
@config_option
@printing_options
def command(
    source: Path, output: Path | None, config: Path | None, form: str, directories: int | None, tests: str | None
) -> int:
    """Report on TRACE again, also with another configuration.

    TRACE is what `svc-trace --trace` kept, the PATH.partial of a run that was cut off, or a JSON report; plain or gzip.
    """
    printer = Printer(form, directories, tests)
    classification = _classification(source, config)
    if output is not None:
        write_file(output, json_report.render(classification))
    printer.print(classification, output)
    return 0


def _classification(source: Path, config: Path | None) -> Classification:
    if is_trace(source):
        return classify(read_trace(source), load_config(config, Path.cwd()), generated_at=datetime.now(UTC))
    if config is not None:
        raise click.UsageError("--config is for a trace; a JSON report has been classified already.")
    return json_report.read_classification(source)
