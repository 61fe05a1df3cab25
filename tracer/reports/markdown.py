"""The Markdown report: the summary's tables, for a job's page in CI or a comment (GitHub Flavored Markdown).

Text of the run (node ids, endpoints, paths) is never taken for markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from tracer.classify.model import Classification, Directory, Variants
from tracer.reports.tables import (
    directory_table,
    headline,
    incompleteness,
    needs,
    notes,
    outcome_counts,
    service_counts,
)
from tracer.reports.wording import LISTED, counted, percent, printable, shares

_MARKUP: Final = re.compile(r"[\\`*\[\]<>|~&#]|(?<![^\W_])_|_(?![^\W_])")  # within a word an underscore is itself


def render(classification: Classification, *, directories: int) -> Iterator[str]:
    """The page in parts, each ending in a newline; `directories` is how many levels of folders it tells apart."""
    run, summary = classification.run, classification.summary
    tests, origin = headline(classification)
    yield f"**{tests}** {text(origin)}: **{'complete' if run.complete else 'NOT COMPLETE'}**\n"
    if outcomes := outcome_counts(classification):
        yield f"\n{', '.join(f'{number:,} {outcome}' for outcome, number in outcomes.items())}\n"
    if not run.complete:
        yield f"\n> {text(incompleteness(run))}\n"
    if classification.tests:
        yield from _shares("Service", service_counts(classification), summary.total_tests)
        yield from _shares("Tier", summary.tiers, summary.total_tests)
        yield from _directories(directory_table(classification, directories))
    if why := needs(classification):
        yield from table(("Service", "Needed"), [(text(service), text(told)) for service, told in why.items()], "ll")
    if noted := notes(classification):
        yield "\n"
        yield from (f"* {label}: {text(note)}\n" for label, note in noted.items())
    if held := classification.validation:
        rows = [
            (text(service), f"{one.confirmed:,}", f"{len(one.blind_spots):,}", f"{len(one.over_assumed):,}")
            for service, one in held.items()
        ]
        yield from table(("Assumptions", "Confirmed", "Blind spots", "Over-assumptions"), rows, "lrrr")
    if classification.variants.compared:
        yield from _variants(classification.variants)
    for warning in run.warnings:
        told = f"{warning.message} [{warning.slug}] {warning.hint}".rstrip()
        yield f"\n> **warning**: {text(told)}\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], alignment: str) -> Iterator[str]:
    """A table and the empty line before it; the cells are Markdown, `alignment` has an `l` or `r` for each column."""
    yield f"\n| {' | '.join(header)} |\n"
    yield f"| {' | '.join('---:' if side == 'r' else '---' for side in alignment)} |\n"
    yield from (f"| {' | '.join(row)} |\n" for row in rows)


def text(plain: str) -> str:
    """Plain text, on one line, as it has to be written outside of code."""
    return _MARKUP.sub(lambda markup: f"\\{markup[0]}", printable(plain))


def code(plain: str) -> str:
    """Plain text, on one line, as code; in a table too, where a bar needs its backslash even in code (GFM, 4.10)."""
    shown = printable(plain).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    padding = " " if shown[:1] in ("`", " ", "") or shown[-1:] in ("`", " ") else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def _shares(name: str, tests: Mapping[str, int], whole: int) -> Iterator[str]:
    rows = [(text(label), f"{number:,}", percent(number, whole)) for label, number in tests.items()]
    yield from table((name, "Tests", "%"), rows or [("none", "", "")], "lrr")


def _directories(directories: Mapping[str, Directory]) -> Iterator[str]:
    rows = [
        (code(path), f"{one.tests:,}", text(shares(one.services, one.tests)), text(shares(one.tiers, one.tests)))
        for path, one in directories.items()
    ]
    yield from table(("Directory", "Tests", "Services", "Tiers"), rows, "lrll")


def _variants(variants: Variants) -> Iterator[str]:
    differing = variants.differing
    yield f"\nVariants: {counted(variants.compared, 'test')} compared, {len(differing):,} with other services in some\n"
    rows = [
        (code(nodeid), text(", ".join(used)) or "none")
        for services in islice(differing.values(), LISTED)
        for nodeid, used in services.items()
    ]
    if rows:
        yield from table(("Variant", "Services"), rows, "ll")
    if len(differing) > LISTED:
        yield f"\nand {len(differing) - LISTED:,} more\n"
