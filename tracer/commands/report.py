"""`svc-trace report`: make the reports again, without root, on any machine."""

from __future__ import annotations

from pathlib import Path

import click

from tracer.classify.findings import Finding
from tracer.commands.fail_on import check_findings
from tracer.commands.inputs import read_source, with_verdicts
from tracer.commands.options import INPUT, OUTPUT, config_option, fail_on_options, verified_option
from tracer.commands.output import Publish, summary_options


@click.command("report")
@click.argument("source", metavar="TRACE", type=INPUT)
@click.option(
    "-o",
    "--output",
    type=OUTPUT,
    help="Where to write the JSON report, or the file of --format html, junit or ctrf; packed if it ends in .gz.",
)
@config_option
@verified_option
@summary_options
@fail_on_options
def command(
    source: Path,
    output: Path | None,
    config: Path | None,
    verified: tuple[str, ...],
    publish: Publish,
    fail_on: tuple[str, ...],
    accepted: frozenset[Finding] | None,
) -> int:
    """Make the reports of TRACE again, possibly with another configuration.

    TRACE is a file that `svc-trace --trace` wrote, the PATH.partial of a run that was cut off, or a JSON report. It may
    be compressed with gzip.
    """
    read = read_source(source, config)
    classification = with_verdicts(read.classification, verified)
    publish(classification, config, output, source if read.is_report and config is None and source.is_file() else None)
    check_findings(classification, fail_on, accepted, read.searched)
    return 0
