"""Proposals: entries of a rule that would have caught its blind spots."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Final

from tracer.classify.assumptions import Entry
from tracer.classify.checks import CUT_SHORT
from tracer.classify.model import TestResult
from tracer.trace.records import StaticFacts

_KINDS: Final = ("class", "marker", "fixture", "path")
"""Which entry is proposed of several that are about the same tests. A fixture that talks to the service goes first."""
_PYTESTS_OWN: Final = frozenset(
    {
        "filterwarnings",
        "parametrize",
        "skip",
        "skipif",
        "usefixtures",
        "xfail",
        "cache",
        "capfd",
        "capfdbinary",
        "caplog",
        "capsys",
        "capsysbinary",
        "capteesys",
        "doctest_namespace",
        "monkeypatch",
        "pytestconfig",
        "record_property",
        "record_testsuite_property",
        "record_xml_attribute",
        "recwarn",
        "request",
        "subtests",
        "tmp_path",
        "tmp_path_factory",
        "tmpdir",
        "tmpdir_factory",
    }
)
"""pytest's own markers and fixtures (`pytest --markers`, `pytest --fixtures`): they say nothing of services."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An entry for a service's rule."""

    entry: Entry
    caught: tuple[str, ...]  # blind spots, sorted, that it would have caught and no proposal before it
    over_assumed: tuple[str, ...]  # node ids, sorted, that it would claim in vain and no entry claims yet


def propose(
    tests: Mapping[str, TestResult], facts: Sequence[StaticFacts], service: str, blind_spots: Sequence[str]
) -> tuple[Proposal, ...]:
    """Entries that together catch as many blind spots of a service as they can, the best first.

    Each is the one for which the blind spots that it catches exceed most what it claims in vain. Of those that are
    equal in this it is the most specific: the one that claims less in vain, is about fewer tests, and stands nearer to
    them. None claims more in vain than it catches, so some blind spots may be left. All are made of what the tests'
    facts hold.
    """
    return _Search(tests, facts, service, blind_spots).proposals()


class _Search:
    """A greedy cover. Tests with the same facts are one: whatever claims one of them claims all."""

    def __init__(
        self, tests: Mapping[str, TestResult], facts: Sequence[StaticFacts], service: str, blind_spots: Sequence[str]
    ) -> None:
        self._blind: dict[int, list[str]] = {}  # facts → blind spots
        self._vain: dict[int, list[str]] = {}  # facts → tests that a claim would be wrong about
        for nodeid in blind_spots:
            number = tests[nodeid].facts
            if number is not None:
                self._blind.setdefault(number, []).append(nodeid)
        self._through = {
            one.fixture for nodeid in blind_spots for one in tests[nodeid].evidence if one.service == service
        }
        features = {number: _features(facts[number]) for number in self._blind}
        self._position: dict[Entry, int] = {}
        for found in features.values():
            for position, entry in enumerate(found):
                self._position[entry] = min(position, self._position.get(entry, position))
        self._about: dict[Entry, set[int]] = {entry: set() for found in features.values() for entry in found}
        for number, one in enumerate(facts):
            for entry in features.get(number) or _features(one):
                if entry in self._about:
                    self._about[entry].add(number)
        for nodeid, test in tests.items():
            if test.facts is not None and _is_vain(test, service):
                self._vain.setdefault(test.facts, []).append(nodeid)
        self._entries: dict[int, list[Entry]] = {}  # facts → entries that are about them
        for entry, numbers in self._about.items():
            for number in numbers:
                self._entries.setdefault(number, []).append(entry)
        self._caught = {entry: self._count(self._blind, numbers) for entry, numbers in self._about.items()}
        self._in_vain = {entry: self._count(self._vain, numbers) for entry, numbers in self._about.items()}

    def proposals(self) -> tuple[Proposal, ...]:
        waiting = [(self._rank(entry), entry) for entry in self._about]
        heapify(waiting)
        found = []
        while waiting:
            rank, entry = heappop(waiting)
            if rank != self._rank(entry) or not self._caught[entry] or self._in_vain[entry] > self._caught[entry]:
                continue  # it has changed, and waits with its new rank too; or it is not worth it
            caught, in_vain = [], []
            changed: set[Entry] = set()
            for number in self._about[entry]:
                blind, vain = self._blind.pop(number, []), self._vain.pop(number, [])
                for other in self._entries[number] if blind or vain else ():
                    self._caught[other] -= len(blind)
                    self._in_vain[other] -= len(vain)
                    changed.add(other)
                caught += blind
                in_vain += vain
            for other in changed:
                heappush(waiting, (self._rank(other), other))
            found.append(Proposal(entry, tuple(sorted(caught)), tuple(sorted(in_vain))))
        return tuple(found)

    def _count(self, nodeids: Mapping[int, list[str]], numbers: Iterable[int]) -> int:
        return sum(len(nodeids[number]) for number in numbers if number in nodeids)

    def _rank(self, entry: Entry) -> tuple[int, int, int, int, int]:
        caught, in_vain = self._caught[entry], self._in_vain[entry]
        kind = -1 if entry.kind == "fixture" and entry.value in self._through else _KINDS.index(entry.kind)
        return in_vain - caught, in_vain, len(self._about[entry]), kind, self._position[entry]


def _features(facts: StaticFacts) -> list[Entry]:
    """Every entry that a test's facts fit; of a kind the nearer ones first: its file, its folder, the one above."""
    return [
        *(Entry("class", name) for name in facts.bases),
        *(Entry("marker", name) for name in facts.markers if name not in _PYTESTS_OWN),
        *(Entry("fixture", name) for name in facts.fixtures if name not in _PYTESTS_OWN),
        *(Entry("path", pattern) for pattern in _patterns(facts.path)),
    ]


def _patterns(path: str) -> Iterator[str]:
    parts = [glob.escape(part) for part in path.split("/")]
    yield "/".join(parts)
    for length in range(len(parts) - 1, 0, -1):
        yield "/".join((*parts[:length], "**"))


def _is_vain(test: TestResult, service: str) -> bool:
    return (
        service not in test.assumed
        and service not in test.services
        and service not in test.ambient
        and test.outcome not in CUT_SHORT
    )
