"""Tiers: a given number of sets of services, each of which is a part of the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

from tracer.classify.plan.problem import Problem

_CANDIDATES: Final = 24
"""Sets of services that are tried as a tier: those that need most of the time, and unions of two."""


def nested_sets(problem: Problem, number: int) -> tuple[int, ...]:
    """Sets of services, at most `number`, with which a plan probably ends first; the last contains all services."""
    work = Counter[int]()
    for unit in problem.units:
        work[unit.needs] += unit.time_us + 1
    everything = problem.everything
    frequent = [needs for needs, _ in work.most_common(_CANDIDATES)]
    unions = Counter[int]()
    for one, other in combinations(frequent, 2):
        unions[one | other] = sum(work[needs] for needs in frequent if needs | one | other == one | other)
    candidates = set(frequent) | {needs for needs, _ in unions.most_common(_CANDIDATES)}
    candidates.discard(everything)
    best: tuple[int, ...] = (everything,)
    best_us = _estimate(problem, work, best)
    while len(best) < number:  # add the set that helps most
        chains = [
            tuple(sorted((*best, one), key=int.bit_count))
            for one in candidates
            if one not in best and all(one | other in (one, other) for other in best)
        ]
        estimates = [(_estimate(problem, work, chain), chain) for chain in chains]
        if not estimates or min(estimates)[0] >= best_us:
            break
        best_us, best = min(estimates)
    return best


def _estimate(problem: Problem, work: Counter[int], sets: Sequence[int]) -> float:
    """Microseconds in which these tiers end, if tests could be divided; each set is a part of the next."""
    levels = []
    for services in reversed(sets):
        below = [one for one in sets if one.bit_count() < services.bit_count()]
        time_us = sum(time for needs, time in work.items() if needs | services == services and not _fits(needs, below))
        levels.append((problem.start_up(services) + problem.session_us, time_us / problem.workers))
    low, high = 0.0, float(max(level[0] for level in levels) + sum(level[1] for level in levels) + 1)
    for _ in range(40):
        middle = (low + high) / 2
        if _shards(levels, middle) <= problem.shards:
            high = middle
        else:
            low = middle
    return high


def _fits(needs: int, sets: Iterable[int]) -> bool:
    return any(needs | one == one for one in sets)


def _shards(levels: Sequence[tuple[int, float]], time_us: float) -> float:
    """The shards that the levels need to end in this time; those of a level take work of the later ones too."""
    shards, left_us = 0, 0.0
    for before_us, work_us in levels:
        if time_us <= before_us and work_us > left_us:
            return float("inf")
        more = max(0, -int(-(work_us - left_us) // (time_us - before_us))) if work_us > left_us else 0
        shards += more
        left_us += more * (time_us - before_us) - work_us
    return shards
