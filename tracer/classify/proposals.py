"""Proposals: entries for a service's rule that would catch its blind spots."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from msgspec import Struct

from tracer.classify.assumptions import Entry
from tracer.classify.checks import CUT_SHORT
from tracer.classify.model import TestResult
from tracer.trace.records import StaticFacts

_KINDS: Final = ("class", "marker", "fixture", "path")
"""The order of preference between entries that match the same tests. A fixture that used the service is before them."""
_PYTESTS_OWN: Final = re.compile(
    "filterwarnings|parametrize|skip|skipif|usefixtures|xfail"
    "|cache|capfd|capfdbinary|caplog|capsys|capsysbinary|capteesys|doctest_namespace|monkeypatch|pytestconfig"
    "|record_property|record_testsuite_property|record_xml_attribute|recwarn|request|subtests"
    "|tmp_path|tmp_path_factory|tmpdir|tmpdir_factory"
    r"|_(?:unittest|xunit)_\S*|_(?:django|dj)_\w*|_live_server_helper"
    "|_fail_for_invalid_template_variable|_template_string_if_invalid_marker"
)
"""pytest's own markers and fixtures (`pytest --markers`, `pytest --fixtures`), which do not indicate a service; and the
fixtures that pytest and pytest-django name for themselves, such as `_unittest_setUpClass_fixture_TestCart`.
"""


class Proposal(Struct, frozen=True):
    """An entry for a service's rule."""

    entry: Entry
    caught: tuple[str, ...]  # blind spots, sorted, that this entry catches, and no proposal before it
    over_assumed: tuple[str, ...]  # node ids, sorted: false positives of this entry that no entry claims yet


def propose(
    tests: Mapping[str, TestResult], facts: Sequence[StaticFacts], service: str, blind_spots: Sequence[str]
) -> tuple[Proposal, ...]:
    """Entries that together catch the blind spots of a service, the best first. All come from the tests' facts.

    Each entry is the one with the greatest difference between the blind spots that it catches and its false positives.
    If several are equal, it is the most specific one: with fewer false positives, with fewer tests, nearer to the test.
    No entry has more false positives than blind spots, so some blind spots may be left. Nor is an entry mostly wrong:
    of all tests that it matches, also those that other entries claim, at least as many use the service as do not.
    """
    return _Search(tests, facts, service, blind_spots).proposals()


class _Search:
    """A greedy cover. Tests with the same facts count together, because the same entries match them."""

    def __init__(
        self, tests: Mapping[str, TestResult], facts: Sequence[StaticFacts], service: str, blind_spots: Sequence[str]
    ) -> None:
        self._blind: dict[int, list[str]] = {}  # facts → blind spots
        self._wrong: dict[int, list[str]] = {}  # facts → tests for which a claim would be a false positive
        for nodeid in blind_spots:
            number = tests[nodeid].facts
            if number is not None:
                self._blind.setdefault(number, []).append(nodeid)
        self._through = {
            one.fixture for nodeid in blind_spots for one in tests[nodeid].evidence if one.service == service
        }
        self._position: dict[Entry, int] = {}  # of the candidates: the entries that match a blind spot
        for number in self._blind:
            for position, entry in enumerate(_matching_entries(facts[number])):
                self._position[entry] = min(position, self._position.get(entry, position))
        self._entries = [self._position.keys() & _matching_entries(known) for known in facts]  # candidates, by facts
        self._matching: dict[Entry, list[int]] = {entry: [] for entry in self._position}
        for number, matching in enumerate(self._entries):
            for entry in matching:
                self._matching[entry].append(number)
        for nodeid, test in tests.items():
            if test.facts is not None and _would_be_wrong(test, service):
                self._wrong.setdefault(test.facts, []).append(nodeid)
        self._drop_mostly_wrong(tests, service)
        self._caught = {entry: self._count(self._blind, numbers) for entry, numbers in self._matching.items()}
        self._false_positives = {entry: self._count(self._wrong, numbers) for entry, numbers in self._matching.items()}

    def _drop_mostly_wrong(self, tests: Mapping[str, TestResult], service: str) -> None:
        """Leave only candidates for which a later check would not propose to drop them."""
        balance: Counter[int] = Counter()  # facts → tests that use the service, minus those that do not
        for test in tests.values():
            if test.facts is not None:
                balance[test.facts] += (service in test.services) - is_unused(test, service)
        wrong = {entry for entry, numbers in self._matching.items() if sum(balance[number] for number in numbers) < 0}
        for entry in wrong:
            del self._matching[entry]
        self._entries = [entries - wrong for entries in self._entries]

    def proposals(self) -> tuple[Proposal, ...]:
        waiting = [(self._rank(entry), entry) for entry in self._matching]
        heapify(waiting)
        proposals = []
        while waiting:
            rank, entry = heappop(waiting)
            if rank != self._rank(entry) or self._caught[entry] < max(1, self._false_positives[entry]):
                continue  # its rank has changed, and it waits with the new one; or it catches too little
            caught, wrong = [], []
            changed: set[Entry] = set()
            for number in self._matching[entry]:
                blind, over_assumed = self._blind.pop(number, []), self._wrong.pop(number, [])
                for other in self._entries[number] if blind or over_assumed else ():
                    self._caught[other] -= len(blind)
                    self._false_positives[other] -= len(over_assumed)
                    changed.add(other)
                caught += blind
                wrong += over_assumed
            for other in changed:
                heappush(waiting, (self._rank(other), other))
            proposals.append(Proposal(entry, tuple(sorted(caught)), tuple(sorted(wrong))))
        return tuple(proposals)

    def _count(self, nodeids: Mapping[int, list[str]], numbers: Iterable[int]) -> int:
        return sum(len(nodeids[number]) for number in numbers if number in nodeids)

    def _rank(self, entry: Entry) -> tuple[int, int, int, int, int]:
        caught, wrong = self._caught[entry], self._false_positives[entry]
        kind = -1 if entry.kind == "fixture" and entry.value in self._through else _KINDS.index(entry.kind)
        return wrong - caught, wrong, len(self._matching[entry]), kind, self._position[entry]


def _matching_entries(facts: StaticFacts) -> list[Entry]:
    """All entries that match a test's facts, those of a kind from near to far: its file, its directory, the parent."""
    return [
        *(Entry("class", name) for name in facts.bases),
        *(Entry("marker", name) for name in facts.markers if not _PYTESTS_OWN.fullmatch(name)),
        *(Entry("fixture", name) for name in facts.fixtures if not _PYTESTS_OWN.fullmatch(name)),
        *(Entry("path", pattern) for pattern in _patterns(facts.path)),
    ]


def _patterns(path: str) -> Iterator[str]:
    parts = [glob.escape(part) for part in path.split("/")]
    yield "/".join(parts)
    for length in range(len(parts) - 1, 0, -1):
        yield "/".join((*parts[:length], "**"))


def _would_be_wrong(test: TestResult, service: str) -> bool:
    return service not in test.assumed and is_unused(test, service)


def is_unused(test: TestResult, service: str) -> bool:
    """Whether a test ran to its end and did not use a service, so that a claim for it is a false positive."""
    return service not in test.services and service not in test.ambient and test.outcome not in CUT_SHORT
