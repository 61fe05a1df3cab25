"""A good plan of a large problem: units are packed into shards which end in a given time, the least that suffices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Final

from tracer.classify.plan.load import Load
from tracer.classify.plan.problem import Problem, Unit

_PRECISION: Final = 1_000
"""The time is found to this part of itself."""
_Key = Callable[[Unit], tuple[int, ...]]


def packed(
    problem: Problem, units: Sequence[Unit], bound_us: int, known_us: int | None, sets: Sequence[int] | None = None
) -> list[Load] | None:
    """The shards of the plan that ends first, of those that packing finds; None: it finds none, or all end later than a
    known one.

    Args:
        problem: the problem.
        units: its units, or some joined from them.
        bound_us: no plan ends before.
        known_us: the time of a known plan; None: none is known.
        sets: the only sets of services that a shard may start; None: any.
    """
    best: list[Load] | None = None
    high = known_us
    everything = problem.everything if sets is None else reduce(or_, sets)
    most_us = Load(problem, everything, units).total_us  # more time than this helps no packing
    for key in _orders(problem, units):
        ordered = sorted(units, key=key)
        low = bound_us
        time_us = low if high is None else high - high // _PRECISION
        while low <= time_us and low <= most_us and (high is None or high - low > bound_us // _PRECISION):
            found = _pack(problem, ordered, time_us, sets)
            if found is not None:
                best, high = found, max(load.total_us for load in found)
            else:
                low = time_us + 1
            time_us = low + max(low // 4, 1) if high is None else (low + high) // 2
    return best


def _orders(problem: Problem, units: Iterable[Unit]) -> list[_Key]:
    """Units with long start-ups first: their shards then take what fits of the others."""
    work: dict[int, int] = {}
    for unit in units:
        work[unit.needs] = work.get(unit.needs, 0) + unit.time_us
    return [
        lambda unit: (-problem.start_up(unit.needs), -unit.needs.bit_count(), unit.needs, -unit.time_us),
        lambda unit: (-unit.needs.bit_count(), -problem.start_up(unit.needs), unit.needs, -unit.time_us),
        lambda unit: (-work[unit.needs], unit.needs, -unit.time_us),
        lambda unit: (-unit.time_us, unit.needs),
    ]


def _pack(problem: Problem, units: Sequence[Unit], time_us: int, sets: Sequence[int] | None) -> list[Load] | None:
    """The shards, if all end in this time; None if packing needs more of them."""
    loads: list[Load] = []
    for unit in units:
        best: Load | None = None
        best_key = (0, 0)
        for load in loads:
            if not load.takes(unit):
                continue
            total_us = load.with_unit(unit)
            if total_us <= time_us and (best is None or (total_us - load.total_us, -total_us) < best_key):
                best, best_key = load, (total_us - load.total_us, -total_us)
        if best is None:
            if len(loads) == problem.shards:
                return None
            best = Load(problem, None if sets is None else _cheapest(problem, sets, unit))
            if best.with_unit(unit) > time_us:
                return None
            loads.append(best)
        best.add(unit)
    return loads


def _cheapest(problem: Problem, sets: Sequence[int], unit: Unit) -> int:
    able = [one for one in sets if one | unit.needs == one]
    return min(able, key=lambda one: (problem.start_up(one), one.bit_count(), one))
