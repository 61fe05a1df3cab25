"""The terminal report: the summary at the end of a run, and on request the tests of each service.

Decorated by ASCII alone, so that it reads the same on every terminal and in every CI log. Text of the run (node ids,
endpoints) is never taken for markup or control sequences.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracer.classify.model import Classification, Directory, Outcome, Summary, Variants
from tracer.reports.tables import (
    directory_table,
    headline,
    incompleteness,
    needs,
    notes,
    outcome_counts,
    service_counts,
)
from tracer.reports.usage import usages, used_services
from tracer.reports.wording import LISTED, counted, percent, printable, shares

_OUTCOME_STYLES: Final[Mapping[Outcome, str]] = {
    "passed": "green",
    "failed": "bold red",
    "error": "bold red",
    "interrupted": "bold red",
    "crashed": "bold red",
    "skipped": "yellow",
    "xfailed": "yellow",
    "xpassed": "yellow",
}


class ReportConsole(Console):
    """A console that leaves it to its user what to do when nobody reads on; rich's would end with status 1."""

    def on_broken_pipe(self) -> None:
        """Pass the error on."""
        raise BrokenPipeError


def render(
    classification: Classification,
    console: Console,
    *,
    by_service: bool | str = False,
    directories: int | None = None,
    report: Path | None = None,
) -> None:
    """Print the summary.

    Args:
        classification: what to tell.
        console: where; its width, colours and encoding are kept to.
        by_service: before the summary, list the tests of each service, or of the one named.
        directories: after the tables, tell what the tests of each folder use, down to so many levels.
        report: the JSON report's path, if one was written.
    """
    if by_service:
        wanted = used_services(classification) if by_service is True else [by_service]
        for service in wanted:
            _print_tests(classification, service, console)
    _print_headline(classification, console)
    if classification.tests:
        _print_tables(classification, console)
        if directories is not None:
            _print_directories(directory_table(classification, directories), console)
    _print_labelled(needs(classification), console)
    _print_labelled(notes(classification), console)
    if classification.validation:
        _print_validation(classification, console)
    if classification.variants.compared:
        _print_variants(classification.variants, console)
    for warning in classification.run.warnings:
        text = Text.assemble(("warning: ", "yellow"), shown(f"{warning.message} [{warning.slug}]", console))
        if warning.hint:
            text.append(f"\n  {shown(warning.hint, console)}")
        console.print(text, highlight=False)
    if report is not None:
        console.print(Text.assemble(("report: ", "dim"), shown(str(report), console)), soft_wrap=True)


def _print_headline(classification: Classification, console: Console) -> None:
    run = classification.run
    tests, origin = headline(classification)
    told = Text.assemble(
        ("svc-trace: ", "dim"),
        (tests, "bold"),
        f" {shown(origin, console)}: ",
        ("complete", "green") if run.complete else ("NOT COMPLETE", "bold red"),
    )
    outcomes = [
        Text(f"{number:,} {outcome}", _OUTCOME_STYLES[outcome])
        for outcome, number in outcome_counts(classification).items()
    ]
    console.print()
    console.print(told)
    if outcomes:
        console.print(Padding(Text(", ").join(outcomes), (0, 0, 0, 11), expand=False))
    if not run.complete:
        console.print(Padding(Text(incompleteness(run), "red"), (0, 0, 0, 11), expand=False))
    console.print()


def _print_tables(classification: Classification, console: Console) -> None:
    summary = classification.summary
    tables = [
        _table("Service", service_counts(classification), summary, console),
        _table("Tier", summary.tiers, summary, console),
    ]
    if sum(console.measure(table).maximum for table in tables) + 4 <= console.width:
        console.print(Columns(tables, padding=(0, 4)))
        console.print()
        return
    for table in tables:
        console.print(table)
        console.print()


def _table(title: str, tests: Mapping[str, int], summary: Summary, console: Console) -> Table:
    table = _plain_table(title, "Tests", "%")
    for name, count in tests.items():
        table.add_row(_shown_text(name, console), f"{count:,}", percent(count, summary.total_tests))
    if not tests:
        table.add_row(Text("none", "dim"))
    return table


def _print_directories(directories: Mapping[str, Directory], console: Console) -> None:
    """A folder has three lines: a table's columns would be too narrow for what there is to tell."""
    for path, directory in directories.items():
        headline = Text.assemble((shown(path, console), "bold"), f"  {counted(directory.tests, 'test')}")
        console.print(headline, soft_wrap=True)
        for counts in (directory.services, directory.tiers):
            told = shown(shares(counts, directory.tests) or "none", console)
            console.print(Padding(Text(told), (0, 0, 0, 2), expand=False))
    console.print()


def _print_labelled(texts: Mapping[str, str], console: Console) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for label, text in texts.items():
        grid.add_row(_shown_text(label, console), _shown_text(text, console))
    if grid.row_count:
        console.print(grid)
        console.print()


def _print_validation(classification: Classification, console: Console) -> None:
    table = _plain_table("Assumptions", "Confirmed", "Blind spots", "Over-assumptions")
    for service, held in classification.validation.items():
        blind, over = len(held.blind_spots), len(held.over_assumed)
        table.add_row(
            _shown_text(service, console),
            f"{held.confirmed:,}",
            Text(f"{blind:,}", "bold red" if blind else ""),
            Text(f"{over:,}", "yellow" if over else ""),
        )
    console.print(table)
    console.print()


def _print_variants(variants: Variants, console: Console) -> None:
    """The tests whose variants differ; node ids stand on unbroken lines, to be copied."""
    differing = variants.differing
    console.print(
        Text.assemble(
            ("Variants", "bold"),
            f"  {counted(variants.compared, 'test')} compared, ",
            (f"{len(differing):,} with other services in some variant", "yellow" if differing else ""),
        )
    )
    for name, services in islice(differing.items(), LISTED):
        console.print(Text(f"  {shown(name, console)}", "cyan"), soft_wrap=True)
        for nodeid, used in services.items():
            told = shown(", ".join(used), console) if used else "none"
            console.print(Text(f"    {shown(nodeid, console)}: {told}"), soft_wrap=True)
    if len(differing) > LISTED:
        console.print(f"  and {len(differing) - LISTED:,} more", highlight=False)
    console.print()


def _plain_table(name: str, *numbers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column(name, overflow="fold")
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table


def _print_tests(classification: Classification, service: str, console: Console) -> None:
    """One service's tests, by how they came to it; node ids stand alone on unbroken lines, to be copied."""
    groups = usages(classification, service)
    using = classification.summary.services.get(service, 0)
    others = sum(map(len, groups.values())) - using
    more = f", and {others:,} only with ambient or self-hosted evidence" if others else ""
    console.print()
    headline = Text.assemble((shown(service, console), "bold"), f": {counted(using, 'test')}{more}")
    console.print(headline, soft_wrap=True)
    for usage, nodeids in groups.items():
        console.print(Text(f"  {shown(usage, console)} ({len(nodeids):,})", "cyan"), soft_wrap=True)
        for nodeid in nodeids:
            console.print(Text(f"    {shown(nodeid, console)}"), soft_wrap=True)


def _shown_text(text: str, console: Console) -> Text:
    return Text(shown(text, console))


def shown(text: str, console: Console) -> str:
    """Text with what the terminal would obey or cannot show (controls, lone surrogates, foreign letters) as escapes."""
    text = printable(text)
    return text.encode(console.encoding, "backslashreplace").decode(console.encoding)
