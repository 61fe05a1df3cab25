"""Why tests need a service: through which phases and fixtures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final, get_args

from tracer.classify.model import Evidence, Phase, TestResult, Why
from tracer.trace.records import StaticFacts

_PHASES: Final = get_args(Phase)
_IMPORT: Final = "import of the module"
_HOOKS: Final = "hooks"
"""Stands for plugins and conftest.py: they send what is sent in setup or teardown outside of fixtures."""


def explain_needs(
    tests: Mapping[str, TestResult], facts: Sequence[StaticFacts], services: Iterable[str]
) -> dict[str, Why]:
    """Why tests need each of some services. `facts` are those to which the tests refer by number."""
    counting = {service: _Counts() for service in services}
    for test in tests.values():
        needs: dict[str, list[Evidence]] = {service: [] for service in test.services}
        for one in test.evidence:
            if one.is_need and one.service in needs:
                needs[one.service].append(one)
        autouse = facts[test.facts].autouse if test.facts is not None else ()
        for service, evidence in needs.items():
            if service in counting:
                counting[service].add(evidence, autouse)
    return {service: counts.why() for service, counts in counting.items()}


class _Counts:
    """The tests that need one service."""

    def __init__(self) -> None:
        self._tests = 0
        self._phases: Counter[str] = Counter()
        self._fixtures: Counter[str] = Counter()
        self._only: Counter[str] = Counter()

    def add(self, evidence: Iterable[Evidence], autouse: Container[str]) -> None:
        self._tests += 1
        ways = {(one.fixture, one.phase) for one in evidence}
        self._phases.update({phase for _, phase in ways if phase is not None})
        self._fixtures.update({fixture for fixture, _ in ways if fixture is not None})
        if ways and all(fixture is not None or phase != "call" for fixture, phase in ways):
            self._only[_only(ways, autouse)] += 1

    def why(self) -> Why:
        return Why(
            tests=self._tests,
            by_phase={phase: self._phases[phase] for phase in _PHASES if phase in self._phases},
            by_fixture=_ranked(self._fixtures),
            only_through=_ranked(self._only),
        )


def _only(ways: Iterable[tuple[str | None, Phase | None]], autouse: Container[str]) -> str:
    """Such as `autouse fixture db (setup, teardown) and hooks (teardown)`, or `import of the module`."""
    phases: dict[str, set[Phase | None]] = {}
    for fixture, phase in ways:
        if fixture is not None:
            source = f"autouse fixture {fixture}" if fixture in autouse else f"fixture {fixture}"
        else:
            source = _IMPORT if phase == "collection" else _HOOKS
        phases.setdefault(source, set()).add(phase)
    return " and ".join(
        source if source == _IMPORT else f"{source} ({', '.join(phase for phase in _PHASES if phase in found)})"
        for source, found in sorted(phases.items())
    )


def _ranked(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
