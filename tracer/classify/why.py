"""Why tests need a service: through which phases and fixtures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final, get_args

from tracer.classify.directories import most_first
from tracer.classify.model import Evidence, Phase, TestResult, Why
from tracer.trace.records import StaticFacts

_PHASES: Final = get_args(Phase)
_ORDER: Final = {phase: number for number, phase in enumerate(_PHASES)}
_IMPORT: Final = "import of the module"
_HOOKS: Final = "hooks"
"""Stands for plugins and conftest.py: they send what is sent in setup or teardown outside of fixtures."""
_OTHERS: Final = ""
"""Stands for operations that are not known."""
_OPERATIONS: Final = 3
"""The operations of a fixture's phase are named if there are at most so many."""

_Way = tuple[
    str, Phase | None
]  # a fixture with `fixture` or `autouse fixture` before its name, _HOOKS or _IMPORT; phase


def explain_needs(
    tests: Mapping[str, TestResult], facts: Sequence[StaticFacts], services: Iterable[str]
) -> dict[str, Why]:
    """Why tests need each of some services. `facts` are those to which the tests refer by number."""
    needs = {service: _Needs() for service in services}
    for test in tests.values():
        autouse = facts[test.facts].autouse if test.facts is not None else ()
        for service in test.services:
            if (known := needs.get(service)) is not None:
                known.add([one for one in test.evidence if one.service == service and one.is_need], autouse)
    return {service: one.why() for service, one in needs.items()}


class _Needs:
    """The tests that need one service."""

    def __init__(self) -> None:
        self._tests = 0
        self._by_phase: Counter[Phase] = Counter()
        self._by_fixture: Counter[str] = Counter()
        self._only: Counter[frozenset[_Way]] = Counter()  # the only ways → tests
        self._operations: dict[frozenset[_Way], dict[_Way, set[str]]] = {}  # the only ways → the operations of each

    def add(self, evidence: Sequence[Evidence], autouse: Container[str]) -> None:
        """Add a test, by its evidence for a need."""
        self._tests += 1
        for phase in {one.phase for one in evidence if one.phase is not None}:
            self._by_phase[phase] += 1
        for fixture in {one.fixture for one in evidence if one.fixture is not None}:
            self._by_fixture[fixture] += 1
        if evidence and all(one.fixture is not None or one.phase != "call" for one in evidence):
            ways = [_way(one, autouse) for one in evidence]
            only = frozenset(ways)
            self._only[only] += 1
            operations = self._operations.setdefault(only, defaultdict(set))
            for way, one in zip(ways, evidence, strict=True):
                operations[way].update(_operations(one))

    def why(self) -> Why:
        """The numbers of these tests."""
        return Why(
            tests=self._tests,
            by_phase={phase: self._by_phase[phase] for phase in _PHASES if phase in self._by_phase},
            by_fixture=most_first(self._by_fixture),
            only_through=most_first({_text(self._operations[only]): tests for only, tests in self._only.items()}),
        )


def _way(evidence: Evidence, autouse: Container[str]) -> _Way:
    if evidence.fixture is not None:
        kind = "autouse fixture" if evidence.fixture in autouse else "fixture"
        return f"{kind} {evidence.fixture}", evidence.phase
    return _IMPORT if evidence.phase == "collection" else _HOOKS, evidence.phase


def _operations(evidence: Evidence) -> tuple[str, ...]:
    """The operations of an evidence, with _OTHERS if they are not all."""
    others = evidence.other_sends or (evidence.sends and not evidence.operations)
    return (*evidence.operations, _OTHERS) if others else evidence.operations


def _text(ways: Mapping[_Way, set[str]]) -> str:
    """Such as `autouse fixture db (setup, teardown: DELETE) and hooks (teardown)`, or `import of the module`."""
    phases: dict[str, list[str]] = {}
    for (source, phase), operations in sorted(ways.items(), key=lambda way: (way[0][0], _ORDER.get(way[0][1], -1))):
        known = sorted(operations) if _OTHERS not in operations and len(operations) <= _OPERATIONS else ()
        phases.setdefault(source, []).append(f"{phase}: {' + '.join(known)}" if known else f"{phase}")
    return " and ".join(
        source if source == _IMPORT else f"{source} ({', '.join(found)})" for source, found in phases.items()
    )
