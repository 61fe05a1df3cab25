"""The suite at a glance: services, tiers, combinations and durations, each with its number of tests and their time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Final

from tracer.classify.combinations import combination_of
from tracer.classify.model import Classification
from tracer.classify.run_needs import RunNeeds
from tracer.classify.tiers import chosen_tiers
from tracer.reports.pages.summary import service_counts
from tracer.reports.text import duration

_EDGES_S: Final = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, inf)
"""Of the durations that are counted together, in seconds."""
_SLOWEST: Final = 10
_COMBINATIONS: Final = 12


@dataclass(frozen=True, slots=True)
class Row:
    """A group of tests."""

    name: str
    tests: int
    seconds: float  # the sum of their durations
    link: Mapping[str, str]  # of the list of these tests, as the page's address has it; empty: none


def service_rows(classification: Classification) -> tuple[Row, ...]:
    """The tests of each service; all unknown endpoints together."""
    seconds: dict[str, float] = defaultdict(float)
    for test in classification.tests.values():
        for name in combination_of(test.services):
            seconds[name] += test.duration_s
    return tuple(
        Row(name, tests, seconds[name], {"service": name}) for name, tests in service_counts(classification).items()
    )


def tier_rows(classification: Classification) -> tuple[Row, ...]:
    """The tests of each tier, if the user chose tiers."""
    tiers = chosen_tiers(classification.rules.tiers)
    seconds: dict[str, float] = defaultdict(float)
    needs = RunNeeds(classification.run_needs)
    for nodeid, test in classification.tests.items() if tiers else ():
        seconds[needs.tier_of_test(nodeid, test.services, tiers)] += test.duration_s
    counts = classification.summary.tiers if tiers else {}
    return tuple(Row(name, tests, seconds[name], {"tier": name}) for name, tests in counts.items())


def combination_rows(classification: Classification) -> tuple[Row, ...]:
    """The largest combinations of services, and all others as one row."""
    seconds: dict[tuple[str, ...], float] = defaultdict(float)
    for test in classification.tests.values():
        seconds[combination_of(test.services)] += test.duration_s
    rows = [
        Row(
            " + ".join(one.services) or "no service",
            one.tests,
            seconds[one.services],
            {"exactly": ",".join(one.services)},
        )
        for one in classification.summary.combinations
    ]
    if others := rows[_COMBINATIONS:]:
        tests, time = sum(row.tests for row in others), sum(row.seconds for row in others)
        rows = [*rows[:_COMBINATIONS], Row(f"{len(others):,} more combinations", tests, time, {})]
    return tuple(rows)


def duration_rows(classification: Classification) -> tuple[Row, ...]:
    """The tests by duration, from the shortest to the longest that occur."""
    groups: Mapping[tuple[float, float], list[float]] = defaultdict(list)
    edges = list(pairwise(_EDGES_S))
    for test in classification.tests.values():
        groups[next(pair for pair in edges if test.duration_s < pair[1])].append(test.duration_s)
    found = [place for place, pair in enumerate(edges) if pair in groups]
    return tuple(
        Row(_between(*pair), len(groups[pair]), sum(groups[pair]), {"from": f"{pair[0]:g}", "to": f"{pair[1]:g}"})
        for pair in (edges[found[0] : found[-1] + 1] if found else ())
    )


def _between(low: float, high: float) -> str:
    if low == 0.0:
        return f"under {_edge(high)}"
    return f"{_edge(low)} or more" if high == inf else f"{_edge(low)} – {_edge(high)}"


def _edge(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.0f} s"


def slowest(classification: Classification) -> Iterator[tuple[str, str]]:
    """The slowest tests, and their durations."""
    ranked = sorted(classification.tests.items(), key=lambda item: -item[1].duration_s)
    return ((nodeid, duration(test.duration_s)) for nodeid, test in ranked[:_SLOWEST])
