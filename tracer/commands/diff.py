"""`svc-trace diff`: what is different in a report."""

from __future__ import annotations

import sys

import click

from tracer.classify.diff import compare
from tracer.commands.inputs import read_reports
from tracer.commands.options import format_option
from tracer.commands.printer import show
from tracer.errors import ExitStatus
from tracer.reports import difference


@click.command("diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@format_option("terminal", "markdown", "json")
@click.option("--exit-code", is_flag=True, help="End with status 86 if a test is new, gone or has other services.")
def command(old: str, new: str, form: str, exit_code: bool) -> int:
    """Tell which tests are new or gone, and which use other services, in NEW than in OLD.

    Each is a report, or a quoted pattern for several that are merged first. Counts, times, phases and ambient services
    are not compared.
    """
    found = compare(read_reports([old]), read_reports([new]))
    if form == "json":
        sys.stdout.buffer.write(difference.render_json(found))
    else:
        show(difference.page(found), form)
    return ExitStatus.DIFFERENT if exit_code and found else 0
