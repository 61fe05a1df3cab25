"""Combinations: the exact sets of services that groups of tests use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from tracer.classify.model import ALL_UNKNOWN, Combination, TestResult, is_unknown
from tracer.classify.run_needs import NO_RUN_NEEDS, RunNeeds


def combination_of(services: Iterable[str]) -> tuple[str, ...]:
    """A test's combination, sorted. All unknown endpoints count as one service, which is the last."""
    services = set(services)
    known = sorted(service for service in services if not is_unknown(service))
    return (*known, *((ALL_UNKNOWN,) if len(known) < len(services) else ()))


def count_combinations(tests: Mapping[str, TestResult], run_needs: RunNeeds = NO_RUN_NEEDS) -> tuple[Combination, ...]:
    """The combinations of some tests, with their run needs: most tests first, then the fewest services."""
    counts = Counter((test.services, run_needs.of(nodeid)) for nodeid, test in tests.items())
    united: Counter[tuple[str, ...]] = Counter()
    for (services, needed), number in counts.items():
        united[combination_of(needed.union(services))] += number
    ranked = sorted(united.items(), key=lambda item: (-item[1], len(item[0]), item[0]))
    return tuple(Combination(services, number) for services, number in ranked)
