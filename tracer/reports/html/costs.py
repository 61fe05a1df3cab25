"""What fixtures cost: the tests that use a service only through them, and would not need it otherwise."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from tracer.classify.model import Classification, is_unknown
from tracer.reports.fixture_names import known_fixture


@dataclass(frozen=True, slots=True)
class Cost:
    """A service, and what makes tests use it."""

    source: str  # a fixture; or several fixtures, hooks or an import, in words
    service: str
    through: int  # tests that use the service through it
    only: int  # those of them that do not use the service in another way
    of: int  # tests that use the service


def of_fixtures(classification: Classification) -> tuple[Cost, ...]:
    """Each fixture, by service; those through which alone the most tests use it first."""
    through: Counter[tuple[str, str]] = Counter()
    only: Counter[tuple[str, str]] = Counter()
    for test in classification.tests.values():
        ways: dict[str, set[str | None]] = defaultdict(
            set
        )  # service → fixtures; None: the test itself, hooks, an import
        for one in test.evidence:
            if one.is_need and one.service in test.services:
                ways[one.service].add(None if one.fixture is None else known_fixture(one.fixture))
        for service, fixtures in ways.items():
            through.update((name, service) for name in fixtures if name is not None)
            if len(fixtures) == 1:
                only.update((name, service) for name in fixtures if name is not None)
    whole = classification.summary.services
    costs = (
        Cost(fixture, service, tests, only[fixture, service], whole.get(service, tests))
        for (fixture, service), tests in through.items()
        if not is_unknown(service)
    )
    return tuple(sorted(costs, key=lambda cost: (-cost.only, -cost.through, cost.source, cost.service)))


def only_through(classification: Classification) -> tuple[Cost, ...]:
    """The groups of tests that use a service only through the same fixtures, hooks or import; the largest first."""
    costs = (
        Cost(known_fixture(source), service, tests, tests, why.tests)
        for service, why in classification.why.items()
        if not is_unknown(service)
        for source, tests in why.only_through.items()
    )
    return tuple(sorted(costs, key=lambda cost: -cost.only))
