"""`svc-trace diff`: what changed between two reports."""

from __future__ import annotations

from pathlib import Path

import click

from tracer.classify.diff import compare
from tracer.commands.inputs import read_reports
from tracer.commands.output import format_option, output_option, publish_document
from tracer.commands.test_files import files_here
from tracer.commands.test_places import places_here
from tracer.errors import ExitStatus
from tracer.reports.formats import Format
from tracer.reports.pages.diff import DiffDocument


@click.command("diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@format_option(DiffDocument)
@output_option
@click.option("--exit-code", is_flag=True, help="End with status 86 if a test is new, gone or has other services.")
def command(old: str, new: str, form: Format, output: Path | None, exit_code: bool) -> int:
    """Show the tests that are new or gone in NEW, and those that use other services than in OLD.

    Tests that were skipped or did not run in NEW are no difference. OLD and NEW are reports, or quoted patterns of
    reports that are merged first. Counts, times, phases and ambient services are not compared.
    """
    then, now = read_reports([old]), read_reports([new])
    difference = compare(then, now, files_here(then, now))
    publish_document(DiffDocument(difference, places_here()), form, output)
    return ExitStatus.DIFFERENT if exit_code and difference else 0
