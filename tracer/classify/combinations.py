"""Combinations: the exact sets of services that groups of tests use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tracer.classify.model import ALL_UNKNOWN, Combination, TestResult, is_unknown


def combination_of(services: Iterable[str]) -> tuple[str, ...]:
    """A test's combination, sorted. All unknown endpoints count as one service, which is the last."""
    services = set(services)
    known = sorted(service for service in services if not is_unknown(service))
    return (*known, *((ALL_UNKNOWN,) if len(known) < len(services) else ()))


def count_combinations(tests: Iterable[TestResult]) -> tuple[Combination, ...]:
    """The combinations of some tests: most tests first, then the fewest services."""
    counts = Counter(test.services for test in tests)
    united: Counter[tuple[str, ...]] = Counter()
    for services, number in counts.items():
        united[combination_of(services)] += number
    ranked = sorted(united.items(), key=lambda item: (-item[1], len(item[0]), item[0]))
    return tuple(Combination(services, number) for services, number in ranked)
