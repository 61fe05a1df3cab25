"""`svc-trace validate`: compare rules and contracts with what was observed."""

from __future__ import annotations

from pathlib import Path

import click

from tracer.classify.detailed_checks import check_in_detail
from tracer.classify.findings import Finding, compare_with_baseline, find
from tracer.classify.presence import Presences
from tracer.commands.configurations import find_configuration
from tracer.commands.fail_on import check_findings, check_rules
from tracer.commands.inputs import read_reports, with_verdicts
from tracer.commands.options import FAIL_ON, OUTPUT, config_option, fail_on_options, verified_option
from tracer.commands.output import format_option, output_option, publish_document
from tracer.commands.test_files import files_here
from tracer.commands.test_places import places_here
from tracer.reports import baseline as baseline_file
from tracer.reports.formats import Format
from tracer.reports.output import write_file
from tracer.reports.pages.validate import ValidationDocument
from tracer.reports.text import counted


@click.command("validate")
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True)
@config_option
@format_option(ValidationDocument)
@output_option
@verified_option
@fail_on_options
@click.option(
    "--write-baseline",
    type=OUTPUT,
    help="Accept the findings: write them to FILE. Only those of the kinds in --fail-on, if it is given.",
)
def command(
    reports: tuple[str, ...],
    config: Path | None,
    form: Format,
    output: Path | None,
    verified: tuple[str, ...],
    fail_on: tuple[str, ...],
    accepted: frozenset[Finding] | None,
    write_baseline: Path | None,
) -> int:
    """Compare rules and contracts with what was observed.

    REPORT is a JSON report, plain or gzip, or a quoted pattern; several are merged. The rules are those of the
    configuration (see --config). If there is no configuration, they are those in the report.
    """
    configuration, searched = find_configuration(config)
    if configuration.source is None:
        classification, rules_file = read_reports(reports), None
    else:
        classification, file = read_reports(reports, configuration.rules), Path(configuration.source)
        rules_file = str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)
    classification = with_verdicts(classification, verified)
    findings = find(classification)
    document = ValidationDocument(
        classification,
        check_in_detail(classification, accepted or ()),
        compare_with_baseline(findings, accepted or (), FAIL_ON, Presences(classification, files_here(classification))),
        rules_file,
        accepted is not None,
        fail_on,
        places_here(),
    )
    publish_document(document, form, output)
    if write_baseline is not None:
        kinds = fail_on or tuple(FAIL_ON)
        check_rules(classification.rules, fail_on, searched)
        written = [finding for finding in findings if finding.kind in kinds and finding.kind != "loss"]
        write_file(write_baseline, baseline_file.render(written))
        click.echo(f"svc-trace: wrote {counted(len(written), 'finding')} to {write_baseline}", err=True)
        accepted = findings
    check_findings(classification, fail_on, accepted, searched)
    return 0
