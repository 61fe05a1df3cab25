"""`svc-trace validate`: hold static rules and contracts against what was observed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tracer.classify.detailed_checks import check_in_detail
from tracer.classify.findings import compare_with_baseline, find
from tracer.classify.model import Classification
from tracer.classify.services.config import load_config
from tracer.commands.fail_on import accepted, check
from tracer.commands.inputs import merge_reports, read_reports
from tracer.commands.options import FAIL_ON, config_option, fail_on_options, format_option
from tracer.commands.printer import show
from tracer.reports import baseline as baseline_file
from tracer.reports import validation_json
from tracer.reports.output import write_file
from tracer.reports.validation_page import Validated, page


@click.command("validate")
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True)
@config_option
@format_option("terminal", "markdown", "json")
@fail_on_options
@click.option(
    "--write-baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Accept the findings, those of the kinds in --fail-on or all: write them to FILE.",
)
def command(
    reports: tuple[str, ...],
    config: Path | None,
    form: str,
    fail_on: tuple[str, ...],
    baseline: Path | None,
    write_baseline: Path | None,
) -> int:
    """Hold static rules and contracts against what was observed.

    REPORT is a JSON report, plain or gzip, or a glob; several are merged. The rules are those of the
    configuration here, and without one those that the report was made with.
    """
    known = accepted(baseline)
    classification, source = _judged(reports, config)
    found = find(classification)
    kinds = fail_on or tuple(FAIL_ON)
    validated = Validated(
        classification,
        check_in_detail(classification, known),
        compare_with_baseline(found, known, FAIL_ON),
        source,
        baseline is not None,
    )
    if form == "json":
        sys.stdout.buffer.writelines(validation_json.render(validated))
    else:
        show(page(validated), form)
    if write_baseline is not None:
        write_file(write_baseline, baseline_file.render([finding for finding in found if finding.kind in kinds]))
        known = frozenset(found)
    check(classification, fail_on, known)
    return 0


def _judged(reports: tuple[str, ...], config: Path | None) -> tuple[Classification, str | None]:
    """The reports merged, by the rules of the configuration or else by their own; and the configuration's file."""
    chosen = load_config(config, Path.cwd())
    if chosen.source is None:
        return read_reports(reports), None
    classification = merge_reports(reports, chosen.rules)
    return classification, _nearby(Path(chosen.source))


def _nearby(file: Path) -> str:
    """A file's name from the working directory, if it is in there."""
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)
