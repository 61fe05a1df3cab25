"""The terminal report: the summary at the end of a run, and on request the tests of each service.

Decorated by ASCII alone, so that it reads the same on every terminal and in every CI log. Text of the run (node ids,
endpoints) is never taken for markup or control sequences.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracer.classify.model import UNKNOWN, Classification, Outcome, RunInfo, Summary, Variants
from tracer.reports.usage import usages, used_services

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
_LISTED: Final = 5
"""How many names a line gives before it says how many more there are."""


class ReportConsole(Console):
    """A console that leaves it to its user what to do when nobody reads on; rich's would end with status 1."""

    def on_broken_pipe(self) -> None:
        """Pass the error on."""
        raise BrokenPipeError


def render(
    classification: Classification, console: Console, *, by_service: bool | str = False, report: Path | None = None
) -> None:
    """Print the summary.

    Args:
        classification: what to tell.
        console: where; its width, colours and encoding are kept to.
        by_service: before the summary, list the tests of each service, or of the one named.
        report: the JSON report's path, if one was written.
    """
    if by_service:
        wanted = used_services(classification) if by_service is True else [by_service]
        for service in wanted:
            _print_tests(classification, service, console)
    _print_headline(classification, console)
    if classification.tests:
        _print_tables(classification, console)
    _print_notes(classification, console)
    if classification.validation:
        _print_validation(classification, console)
    if classification.variants.compared:
        _print_variants(classification.variants, console)
    for warning in classification.run.warnings:
        text = Text.assemble(("warning: ", "yellow"), _shown(f"{warning['message']} [{warning['slug']}]", console))
        if hint := warning.get("hint"):
            text.append(f"\n  {_shown(hint, console)}")
        console.print(text, highlight=False)
    if report is not None:
        console.print(Text.assemble(("report: ", "dim"), _shown(str(report), console)), soft_wrap=True)


def percent(part: int, whole: int) -> str:
    """A share in two digits; what is not nothing is never shown as 0%, and what is not all never as 100%."""
    if part in (0, whole):
        return "100%" if part else "0%"
    share = 100 * part / whole
    if share < 0.1:
        return "<0.1%"
    if share > 99:
        return ">99%"
    return f"{share:.1f}%" if share < 9.95 else f"{share:.0f}%"


def duration(seconds: float) -> str:
    """A time in its two largest units."""
    if seconds < 59.5:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _print_headline(classification: Classification, console: Console) -> None:
    run = classification.run
    total = classification.summary.total_tests
    headline = Text.assemble(
        ("svc-trace: ", "dim"),
        (_counted(total, "test") if total else "no tests", "bold"),
        f" in {duration(run.duration_s)}, traced by {_shown(run.backend, console)}: ",
        ("complete", "green") if run.complete else ("NOT COMPLETE", "bold red"),
    )
    outcomes = Counter(test.outcome for test in classification.tests.values())
    told = [
        Text(f"{outcomes[outcome]:,} {outcome}", style)
        for outcome, style in _OUTCOME_STYLES.items()
        if outcome in outcomes
    ]
    console.print()
    console.print(headline)
    if told:
        console.print(Padding(Text(", ").join(told), (0, 0, 0, 11), expand=False))
    if not run.complete:
        console.print(Padding(Text(_incompleteness(run), "red"), (0, 0, 0, 11), expand=False))
    console.print()


def _incompleteness(run: RunInfo) -> str:
    if run.lost_events:
        return (
            f"{_counted(run.lost_events, 'event')} lost: tests may use more services than is told here. "
            "Run it again with fewer workers at a time."
        )
    if run.exit_status is None:
        return "The trace was cut off: what came later is missing. Run it again."
    return "Part of what the hook told was lost: see the warnings below."


def _print_tables(classification: Classification, console: Console) -> None:
    summary = classification.summary
    unknown = sum(any(map(_is_unknown, test.services)) for test in classification.tests.values())
    services = {service: tests for service, tests in summary.services.items() if not _is_unknown(service)}
    if unknown:
        services["(unknown)"] = unknown
    tables = [_table("Service", services, summary, console), _table("Tier", summary.tiers, summary, console)]
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


def _print_notes(classification: Classification, console: Console) -> None:
    tests = classification.tests.values()
    unknown = Counter(service for test in tests for service in test.services if _is_unknown(service))
    outside: Counter[str] = Counter()
    for evidence in classification.run_evidence:
        outside[evidence.service] += evidence.sends
    notes = {
        "Unknown endpoints": _named({name.removeprefix(UNKNOWN): n for name, n in unknown.most_common()}, "test"),
        "Self-hosted": _named(_counts(test.self_hosted for test in tests), "test"),
        "Only ambient": _named(_counts(test.ambient for test in tests), "test"),
        "Outside of tests": _named(dict(outside.most_common()), "send"),
    }
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for label, text in notes.items():
        if text:
            grid.add_row(label, _shown_text(text, console))
    if grid.row_count:
        console.print(grid)
        console.print()


def _counts(names: Iterable[tuple[str, ...]]) -> dict[str, int]:
    return dict(Counter(name for group in names for name in group).most_common())


def _named(counts: Mapping[str, int], unit: str) -> str:
    told = [f"{name} ({_counted(count, unit)})" for name, count in list(counts.items())[:_LISTED]]
    if len(counts) > _LISTED:
        told.append(f"and {len(counts) - _LISTED:,} more")
    return ", ".join(told)


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
            f"  {_counted(variants.compared, 'test')} compared, ",
            (f"{len(differing):,} with other services in some variant", "yellow" if differing else ""),
        )
    )
    for name, services in islice(differing.items(), _LISTED):
        console.print(Text(f"  {_shown(name, console)}", "cyan"), soft_wrap=True)
        for nodeid, used in services.items():
            told = _shown(", ".join(used), console) if used else "none"
            console.print(Text(f"    {_shown(nodeid, console)}: {told}"), soft_wrap=True)
    if len(differing) > _LISTED:
        console.print(f"  and {len(differing) - _LISTED:,} more", highlight=False)
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
    headline = Text.assemble((_shown(service, console), "bold"), f": {_counted(using, 'test')}{more}")
    console.print(headline, soft_wrap=True)
    for usage, nodeids in groups.items():
        console.print(Text(f"  {_shown(usage, console)} ({len(nodeids):,})", "cyan"), soft_wrap=True)
        for nodeid in nodeids:
            console.print(Text(f"    {_shown(nodeid, console)}"), soft_wrap=True)


def _is_unknown(service: str) -> bool:
    return service.startswith(UNKNOWN)


def _counted(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def _shown_text(text: str, console: Console) -> Text:
    return Text(_shown(text, console))


def _shown(text: str, console: Console) -> str:
    """Text with what the terminal would obey or cannot show (controls, lone surrogates, foreign letters) as escapes."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return text.encode(console.encoding, "backslashreplace").decode(console.encoding)
