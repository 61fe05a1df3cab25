"""Why tests need a service: through which phases and fixtures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final, get_args

from tracer.classify.directories import most_first
from tracer.classify.model import Phase, TestResult, Why
from tracer.trace.records import StaticFacts

_PHASES: Final = get_args(Phase)
_IMPORT: Final = "import of the module"
_HOOKS: Final = "hooks"
"""Stands for plugins and conftest.py: they send what is sent in setup or teardown outside of fixtures."""


def explain_needs(
    tests: Mapping[str, TestResult], facts: Sequence[StaticFacts], services: Iterable[str]
) -> dict[str, Why]:
    """Why tests need each of some services. `facts` are those to which the tests refer by number."""
    tests_of: Counter[str] = Counter()
    counts: dict[str, tuple[Counter[str], Counter[str], Counter[str]]]  # service → tests by phase, fixture, only ways
    counts = {service: (Counter(), Counter(), Counter()) for service in services}
    for test in tests.values():
        autouse = facts[test.facts].autouse if test.facts is not None else ()
        for service in counts.keys() & test.services:
            ways = {(one.fixture, one.phase) for one in test.evidence if one.service == service and one.is_need}
            by_phase, by_fixture, only = counts[service]
            tests_of[service] += 1
            by_phase.update({phase for _, phase in ways if phase is not None})
            by_fixture.update({fixture for fixture, _ in ways if fixture is not None})
            if ways and all(fixture is not None or phase != "call" for fixture, phase in ways):
                only[_only(ways, autouse)] += 1
    return {
        service: Why(
            tests=tests_of[service],
            by_phase={phase: by_phase[phase] for phase in _PHASES if phase in by_phase},
            by_fixture=most_first(by_fixture),
            only_through=most_first(only),
        )
        for service, (by_phase, by_fixture, only) in counts.items()
    }


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
