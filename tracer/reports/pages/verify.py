"""The verdicts of a trial: which tests need the refused services, and through what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tracer.classify.model import TestVerdict, Verdict, Verification
from tracer.reports import verify_json
from tracer.reports.blocks import Block, Heading, Headline, Line, Names, Notice, ReportPath, Styled, Table, Text, groups
from tracer.reports.text import counted, duration, joined, percent
from tracer.reports.verdict_text import any_of, named, reason_text, through_text

_LISTED: Final = 10
"""How many tests of a group the page lists; the JSON has all."""
_SLOWER_S: Final = 0.5
_SLOWER_TIMES: Final = 2
"""A test is slower if it takes so many seconds more, and so many times as long."""


@dataclass(frozen=True, slots=True)
class VerifyDocument:
    """The verdicts of a trial."""

    verification: Verification
    output: Path | None = None  # where the JSON was written

    def page(self) -> Iterator[Block]:
        """The numbers, the tests that need the services, slower tests, surprises."""
        one = self.verification
        yield _headline(one)
        if not one.complete:
            yield Notice(
                "a run is not complete: attempts to use the services may be missing",
                "Read the warnings in the reports of the runs, and run again.",
            )
        if one.tests:
            yield _verdicts(one)
        yield from _through(one)
        yield from _needs(one)
        yield from _undecided(one)
        yield from _slower(one)
        yield from _surprises(one)
        if self.output is not None:
            yield ReportPath(str(self.output))

    def json(self) -> Iterator[bytes]:
        """Everything. docs/verify.md explains the fields."""
        return verify_json.render(self.verification)


def _headline(one: Verification) -> Headline:
    refused = f"refused: {joined(map(named, one.without))}; " if len(one.without) > 1 else ""
    runs = f"{counted(one.runs_with, 'run')} with, {counted(one.runs_without, 'run')} without"
    needs = len(_of(one, "needs"))
    text = f"{needs:,} of {counted(len(one.tests), 'test')} {'needs' if needs == 1 else 'need'} {any_of(one.without)}"
    return Headline(Styled(text, "strong"), (refused + runs,))


def _verdicts(one: Verification) -> Table:
    """Each verdict, its number of tests, and what it means."""
    services, total = any_of(one.without), len(one.tests)
    meanings: dict[Verdict, Text] = {
        "needs": f"pass with {services}, but not without",
        "tolerates": f"use {services}, and also pass without",
        "unaffected": f"do not use {services}, and pass",
        "undecided": "see below",
    }
    counts = Counter(test.verdict for test in one.tests.values())
    rows = tuple(
        (Styled(verdict, "strong"), f"{counts[verdict]:,}", percent(counts[verdict], total), meaning)
        for verdict, meaning in meanings.items()
        if counts[verdict]
    )
    return Table(("Verdict", "Tests", "%", "These tests"), rows, "lrrl")


def _through(one: Verification) -> Iterator[Block]:
    """Through what tests were refused, unless it is always the test itself."""
    needs, tolerates = (Counter(map(through_text, _of(one, verdict).values())) for verdict in ("needs", "tolerates"))
    through = (needs + tolerates).most_common()
    if any(test.through for test in one.tests.values()):
        rows = tuple((text, f"{needs[text]:,}", f"{tolerates[text]:,}") for text, _ in through[:_LISTED])
        yield Table(("Refused through", "Need", "Tolerate"), rows)
        yield from _more(through)


def _needs(one: Verification) -> Iterator[Block]:
    if tests := _of(one, "needs"):
        yield Heading(f"Need {any_of(one.without)}: {counted(len(tests), 'test')}")
        through = Counter(map(through_text, tests.values())).most_common()
        shown = {text for text, _ in through[:_LISTED]}
        titled = ((through_text(test), nodeid) for nodeid, test in tests.items())
        yield from groups((one for one in titled if one[0] in shown), _LISTED)
        yield from _more(through)


def _more(through: Sequence[tuple[str, int]]) -> Iterator[Block]:
    """How many fixtures and imports are not listed."""
    if others := through[_LISTED:]:
        yield Line(f"and through {len(others):,} more ({counted(sum(tests for _, tests in others), 'test')})")


def _undecided(one: Verification) -> Iterator[Block]:
    if tests := _of(one, "undecided"):
        yield Heading(f"Undecided: {counted(len(tests), 'test')}")
        yield from groups(((reason_text(test.reason), nodeid) for nodeid, test in tests.items()), _LISTED)


def _slower(one: Verification) -> Iterator[Block]:
    """The tests that pass without the services, but take longer: a client waits, or tries again."""
    times = {
        nodeid: (test.duration_with_s, test.duration_without_s)
        for nodeid, test in _of(one, "tolerates").items()
        if test.duration_with_s is not None and test.duration_without_s is not None
    }
    slower = {
        nodeid: (before, after)
        for nodeid, (before, after) in times.items()
        if after - before >= _SLOWER_S and after >= _SLOWER_TIMES * before
    }
    if slower:
        whole = sum(after - before for before, after in slower.values())
        title = f"Slower without {any_of(one.without)}: {counted(len(slower), 'test')}, {duration(whole)} in all"
        yield Heading(Styled(title, "warning"))
        ranked = sorted(slower.items(), key=lambda item: item[1][0] - item[1][1])
        names = ((nodeid, f"{duration(before)} -> {duration(after)}") for nodeid, (before, after) in ranked)
        yield Names(tuple(names), _LISTED)


def _surprises(one: Verification) -> Iterator[Block]:
    if surprises := tuple(nodeid for nodeid, test in one.tests.items() if test.is_surprise):
        tests = counted(len(surprises), "test")
        yield Heading(Styled(f"Surprises: {tests} failed without {any_of(one.without)}, but did not use it", "bad"))
        yield Line("Either svc-trace missed a use: please report it. Or the tests depend on others: run them alone.")
        yield Names(surprises, _LISTED)


def _of(one: Verification, verdict: Verdict) -> dict[str, TestVerdict]:
    return {nodeid: test for nodeid, test in one.tests.items() if test.verdict == verdict}
