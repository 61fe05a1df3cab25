"""The summary of a classification: the page at the end of a run, and what `report` and `merge` print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Final

from msgspec.structs import replace

from tracer.classify.combinations import combination_of
from tracer.classify.directories import count_by_directory
from tracer.classify.model import (
    ALL_UNKNOWN,
    Classification,
    Combination,
    Directory,
    Outcome,
    RunInfo,
    Variants,
    Why,
    is_unknown,
)
from tracer.classify.run_needs import RunNeeds
from tracer.classify.service_names import NewNames
from tracer.classify.tiers import chosen_tiers
from tracer.reports import blocks, json_report
from tracer.reports.blocks import Styled
from tracer.reports.fixture_names import known_fixture
from tracer.reports.pages import services
from tracer.reports.pages.needs import verdict_table
from tracer.reports.pages.notes import notes
from tracer.reports.pages.refused import refused_blocks
from tracer.reports.text import LISTED, counted, duration, percent, shares

_OUTCOMES: Final[Mapping[Outcome, str]] = {  # in the order in which they are listed → style
    "passed": "good",
    "failed": "bad",
    "error": "bad",
    "interrupted": "bad",
    "crashed": "bad",
    "skipped": "warning",
    "xfailed": "warning",
    "xpassed": "warning",
    "not run": "warning",
}
_COMBINATIONS_LISTED: Final = 8
_PARTS_LISTED: Final = 3
"""How many parts of the tests are listed as users of a service."""
_NEARLY_ALL: Final = 0.9


@dataclass(frozen=True, slots=True)
class SummaryDocument:
    """A classification, and how much of it the page shows."""

    classification: Classification
    list_tests: tuple[str, ...] | None = None  # list the tests of these services; empty: of each; None: of no service
    depth: int | None = None  # show what the tests of each directory use, down to so many levels
    report: Path | None = None  # where the JSON report was written
    source: Path | None = None  # the JSON report that was read
    names: NewNames = field(default_factory=dict)  # other names of services, for the format `sentry`

    def page(self) -> Iterator[blocks.Block]:
        """The lists of tests, and the summary."""
        one, total = self.classification, self.classification.summary.total_tests
        if self.list_tests is not None:
            yield from services.page(one, self.list_tests)
        yield headline(one)
        yield from refused_blocks(one)
        if one.tests:
            by_service = _shares("Service", service_counts(one), total)
            if chosen_tiers(one.rules.tiers):
                yield blocks.Tables((by_service, _shares("Tier", one.summary.tiers, total)))
            else:
                yield by_service
                yield from _combinations(one.summary.combinations, self.report or self.source)
            if self.depth is not None:
                yield _directories(one, self.depth)
        if one.tests and one.verified:
            yield verdict_table(one)
        if used_by := users(one):
            rows = tuple((Styled(service, "strong"), parts) for service, parts in used_by.items())
            yield blocks.Table(("Service", "How its tests use it"), rows, "ll")
        if noted := notes(one):
            yield blocks.Table((), tuple((Styled(label, "strong"), note) for label, note in noted.items()), "ll")
        if one.validation:
            yield _assumptions(one)
        if one.variants.compared:
            yield from _variants(one.variants)
        for warning in one.run.warnings:
            yield blocks.Notice(f"{warning.message} [{warning.slug}]", warning.hint)
        if self.report is not None:
            yield blocks.ReportPath(str(self.report))

    def json(self) -> Iterator[bytes]:
        """The JSON report."""
        return json_report.render(self.classification)


def headline(classification: Classification) -> blocks.Headline:
    """How many tests, of which runs, how they ended; and if something was lost, what to do."""
    run, total, runs = classification.run, classification.summary.total_tests, len(classification.runs)
    of_runs = f" of {counted(runs, 'run')}" if runs > 1 else ""
    tests = Styled(counted(total, "test") if total else "no tests", "strong")
    origin = f"{of_runs} in {duration(run.duration_s)}, traced by {run.backend}: "
    status = Styled("complete", "strong good") if run.complete else Styled(_incomplete(run), "strong bad")
    counts = Counter(test.outcome for test in classification.tests.values())
    outcomes: list[str | Styled] = []
    for outcome, style in _OUTCOMES.items():
        if outcome in counts:
            outcomes += [", "] * bool(outcomes) + [Styled(f"{counts[outcome]:,} {outcome}", style)]
    details: list[blocks.Text] = [tuple(outcomes)] if outcomes else []
    if not run.complete:
        details.append(Styled(_loss(run), "strong bad"))
    if run.lacks_causes:
        details.append(f"It is unknown which thread woke which: {run.lacks_causes}. Older rules decide.")
    return blocks.Headline((tests, origin, status), tuple(details))


def _incomplete(run: RunInfo) -> str:
    if run.missing_tests == 0:
        return "NOT COMPLETE"
    missing = "tests" if run.missing_tests is None else counted(run.missing_tests, "test")
    return f"NOT COMPLETE, {missing} missing"


def _loss(run: RunInfo) -> str:
    """Why a run is not complete, and what to do."""
    if run.lost_events:
        return (
            f"{counted(run.lost_events, 'event')} lost: tests may use more services than this report shows. "
            "Run it again with fewer workers at a time."
        )
    if run.exit_status is None:
        return "The trace was cut off: what came later is missing. Run it again."
    if run.missing_tests != 0:
        return "Some tests did not run, or ran where they were not traced. Read the warnings below."
    return "Some of the hook's messages were lost. Read the warnings below."


def service_counts(classification: Classification) -> dict[str, int]:
    """Service → tests, most first; all unknown endpoints together, and last."""
    services = {name: tests for name, tests in classification.summary.services.items() if not is_unknown(name)}
    unknown = sum(any(map(is_unknown, test.services)) for test in classification.tests.values())
    return services | ({ALL_UNKNOWN: unknown} if unknown else {})


def _shares(title: str, tests: Mapping[str, int], whole: int) -> blocks.Table:
    rows = tuple((name, f"{number:,}", percent(number, whole)) for name, number in tests.items())
    return blocks.Table((title, "Tests", "%"), rows or ((Styled("none", "dim"), "", ""),))


def _combinations(combinations: Sequence[Combination], report: Path | None) -> Iterator[blocks.Block]:
    """The largest combinations of services, each with the command that prints its tests."""
    select = f"svc-trace select {quote(str(report)) if report else 'REPORT'} --exactly"
    rows = tuple(
        (" + ".join(one.services) or "none", f"{one.tests:,}", f"{select} {quote(','.join(one.services))}")
        for one in combinations[:_COMBINATIONS_LISTED]
    )
    yield blocks.Commands(("Combination", "Tests", "To print its tests"), rows, "lrl")
    if others := combinations[_COMBINATIONS_LISTED:]:
        tests = counted(sum(one.tests for one in others), "test")
        yield blocks.Line(f"and {counted(len(others), 'more combination')} ({tests})")


def _directories(classification: Classification, depth: int) -> blocks.Records:
    """The directories down to so many levels, each test in exactly one. All unknown endpoints are one service."""
    tiers = chosen_tiers(classification.rules.tiers)
    tests = classification.tests
    if any(map(is_unknown, classification.summary.services)):
        tests = {nodeid: replace(test, services=combination_of(test.services)) for nodeid, test in tests.items()}

    def record(path: str, one: Directory) -> tuple[str, int, *tuple[str, ...]]:
        used = shares(one.services, one.tests) or "none"
        return (path, one.tests, used, shares(one.tiers, one.tests)) if tiers else (path, one.tests, used)

    directories = count_by_directory(tests, tiers, RunNeeds(classification.run_needs).of_directory, depth=depth)
    records = tuple(record(path, one) for path, one in directories.items())
    return blocks.Records(("Directory", "Tests", "Services", *(("Tiers",) if tiers else ())), records)


def users(classification: Classification) -> dict[str, str]:
    """Service → how its tests use it, and their directory: `98 of 99 only through fixture flush (teardown), 1 itself`.

    A service that every test uses itself, in all directories, is left out.
    """
    texts: dict[str, str] = {}
    for service, why in classification.why.items():
        home = tuple(_home(classification, service))
        if not is_unknown(service) and (why.only_through or home):
            texts[service] = "; ".join((", ".join(_parts(why)), *home))
    return texts


def _parts(why: Why) -> Iterator[str]:
    only: Counter[str] = Counter()
    for source, tests in why.only_through.items():
        only[f"only through {known_fixture(source)}"] += tests
    itself = why.tests - only.total()
    parts = only + Counter({"itself" if itself == 1 else "themselves": itself})
    first = Counter(dict(parts.most_common(_PARTS_LISTED)))
    first += Counter({"only through other fixtures or hooks": why.tests - first.total()})
    for number, (part, tests) in enumerate(first.items()):
        yield f"{f'{tests:,}' if number else _share(tests, why.tests)} {part}"


def _share(part: int, whole: int) -> str:
    """`11 of 12`, `all 12`, `1`."""
    if part != whole:
        return f"{part:,} of {whole:,}"
    return f"all {whole:,}" if whole > 1 else f"{whole:,}"


def _home(classification: Classification, service: str) -> Iterator[str]:
    """The innermost directory with nearly all tests that use a service, unless it has nearly all tests."""
    summary = classification.summary
    whole = summary.services.get(service, 0)
    homes = {
        path: one
        for path, one in summary.directories.items()
        if one.services.get(service, 0) >= _NEARLY_ALL * whole and one.tests < _NEARLY_ALL * summary.total_tests
    }
    if homes:
        path = max(homes, key=lambda path: path.count("/"))
        using = homes[path].services[service]
        yield f"{'all' if using == whole > 1 else f'{using:,}'} {'is' if using == 1 else 'are'} in {path}"


def _assumptions(classification: Classification) -> blocks.Table:
    rows = tuple(
        (
            service,
            f"{check.confirmed:,}",
            Styled(f"{len(check.blind_spots):,}", "strong bad" if check.blind_spots else ""),
            Styled(f"{len(check.over_assumed):,}", "warning" if check.over_assumed else ""),
        )
        for service, check in classification.validation.items()
    )
    return blocks.Table(("Assumptions", "Confirmed", "Blind spots", "Over-assumptions"), rows)


def _variants(variants: Variants) -> Iterator[blocks.Block]:
    """The tests whose variants use different services."""
    differing = variants.differing
    yield blocks.Heading(
        f"Variants: {counted(variants.compared, 'test')} compared, {len(differing):,} use different services"
    )
    for name, used_by in islice(differing.items(), LISTED):
        yield from blocks.group(name, ((nodeid, ", ".join(used) or "none") for nodeid, used in used_by.items()))
    if len(differing) > LISTED:
        yield blocks.Line(f"and {counted(len(differing) - LISTED, 'more test')}")
