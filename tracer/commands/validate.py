"""`svc-trace validate`: compare rules and contracts with what was observed."""

from __future__ import annotations

from pathlib import Path

import click

from tracer.classify.detailed_checks import check_in_detail
from tracer.classify.findings import Finding, compare_with_baseline, find
from tracer.classify.model import Classification
from tracer.classify.services.config import load_config
from tracer.commands.fail_on import check_findings
from tracer.commands.inputs import merge_reports, read_reports
from tracer.commands.options import FAIL_ON, config_option, fail_on_options, output_option
from tracer.commands.output import format_option, print_document
from tracer.reports import baseline as baseline_file
from tracer.reports.output import write_file
from tracer.reports.pages.validate import ValidationDocument


@click.command("validate")
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True)
@config_option
@format_option(ValidationDocument)
@fail_on_options
@output_option(
    "--write-baseline",
    metavar="FILE",
    help="Accept the findings: write them to FILE. Only those of the kinds in --fail-on, if it is given.",
)
def command(
    reports: tuple[str, ...],
    config: Path | None,
    form: str,
    fail_on: tuple[str, ...],
    accepted: frozenset[Finding] | None,
    write_baseline: Path | None,
) -> int:
    """Compare rules and contracts with what was observed.

    REPORT is a JSON report, plain or gzip, or a quoted pattern; several are merged. The rules are those of the
    configuration (see --config). If there is no configuration, they are those in the report.
    """
    classification, rules_file = _checked(reports, config)
    findings = find(classification)
    document = ValidationDocument(
        classification,
        check_in_detail(classification, accepted or ()),
        compare_with_baseline(findings, accepted or (), FAIL_ON),
        rules_file,
        accepted is not None,
    )
    print_document(document, form)
    if write_baseline is not None:
        kinds = fail_on or tuple(FAIL_ON)
        write_file(write_baseline, baseline_file.render([finding for finding in findings if finding.kind in kinds]))
        accepted = findings
    check_findings(classification, fail_on, accepted)
    return 0


def _checked(reports: tuple[str, ...], config: Path | None) -> tuple[Classification, str | None]:
    """The merged reports, checked by the configuration's rules or else by their own; and the configuration's file."""
    chosen = load_config(config, Path.cwd())
    if chosen.source is None:
        return read_reports(reports), None
    file = Path(chosen.source)
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return merge_reports(reports, chosen.rules), str(shown)
