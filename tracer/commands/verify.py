"""`svc-trace verify`: which tests need services, from reports of runs with and without them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from tracer.classify.verdicts import compare_trials
from tracer.commands.inputs import read_reports
from tracer.commands.options import OUTPUT
from tracer.commands.output import format_option
from tracer.commands.services import check_services
from tracer.reports import verify_json
from tracer.reports.formats import Format
from tracer.reports.output import write_file
from tracer.reports.pages.verify import VerifyDocument


@click.command("verify")
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True)
@click.option(
    "--without",
    "services",
    metavar="SERVICES",
    required=True,
    help="The services that were stopped, separated by commas.",
)
@click.option(
    "--against",
    metavar="REPORT",
    multiple=True,
    required=True,
    help="The report of a run with the services; may be repeated.",
)
@click.option(
    "-o",
    "--output",
    type=OUTPUT,
    default="svc-trace-verify.json",
    show_default=True,
    help="Where to write the verdicts; compressed if it ends in .gz.",
)
@format_option(VerifyDocument)
def command(reports: tuple[str, ...], services: str, against: tuple[str, ...], output: Path, form: Format) -> int:
    """Give each test a verdict: whether it needs services, or only uses them.

    The REPORTs are those of runs in which these services were stopped. A REPORT is a path, or a quoted pattern of
    reports that are merged first, such as those of a run's shards. Several runs of a kind show which tests are flaky.
    """
    with_services = [read_reports([one]) for one in against]
    names = sorted({name.strip() for name in services.split(",")})
    check_services(names, None, with_services[0])
    verification = compare_trials(
        with_services,
        [read_reports([one]) for one in reports],
        names,
        command=with_services[0].run.command,
        generated_at=datetime.now(UTC),
    )
    write_file(output, verify_json.render(verification))
    form.print(VerifyDocument(verification, output), sys.stdout)
    return 0
