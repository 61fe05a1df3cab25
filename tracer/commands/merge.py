"""`svc-trace merge`: one report of several, such as those of a CI job's shards."""

from __future__ import annotations

from pathlib import Path

import click

from tracer.classify.services.config import load_config
from tracer.commands.inputs import read_reports, with_verdicts
from tracer.commands.options import INPUT, OUTPUT, verified_option
from tracer.commands.output import Publish, summary_options
from tracer.errors import ExitStatus, SvcTraceError
from tracer.reports.text import counted


@click.command("merge")
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=OUTPUT,
    required=True,
    help="Where to write the merged report, or the file of --format html, junit or ctrf; packed if it ends in .gz.",
)
@click.option(
    "--config",
    type=INPUT,
    metavar="PATH",
    help="Apply the assumptions, tiers and contracts of this configuration. Default: those of the reports.",
)
@click.option(
    "--expect", type=click.IntRange(min=1), metavar="N", help="Fail with status 80 if there are fewer than N runs."
)
@click.option("--strict", is_flag=True, help="Fail with status 80 if a run was not complete.")
@verified_option
@summary_options
def command(
    reports: tuple[str, ...],
    output: Path,
    config: Path | None,
    expect: int | None,
    strict: bool,
    verified: tuple[str, ...],
    publish: Publish,
) -> int:
    """Merge REPORTs by union: those of several shards, or of several runs of the same tests.

    A REPORT is a path or a quoted pattern (`'reports/**/svc-trace.json'`), plain or gzip. It may be a merged report.
    The order of the reports does not matter, and a report that is given twice counts once.
    """
    merged = read_reports(reports, None if config is None else load_config(config, Path.cwd()).rules, merged=True)
    merged = with_verdicts(merged, verified)
    publish(merged, config, output)
    if expect is not None and len(merged.runs) < expect:
        raise SvcTraceError(
            f"the report has {counted(len(merged.runs), 'run')}, not {expect}",
            hint="Look for the jobs whose reports are missing. The merged report lacks what their tests use.",
            slug="missing-runs",
            exit_code=ExitStatus.INCOMPLETE,
        )
    if strict and not merged.run.complete:
        raise SvcTraceError(
            "not every run was complete: events, boundaries or tests are missing",
            hint="Read `runs` in the merged report, which says which runs and why. Run their tests again.",
            slug="incomplete",
            exit_code=ExitStatus.INCOMPLETE,
        )
    return 0
