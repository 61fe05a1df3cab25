"""A time before which no plan can end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tracer.classify.plan.load import Load
from tracer.classify.plan.problem import Problem, Unit


class _Level(NamedTuple):
    """The units with one start-up time, and all with longer ones."""

    before_us: int  # a shard with one of the units needs at least so long for anything else than `work_us`
    work_us: float  # tests and set-ups of the units of this level and of those above it, in all shards together


class LowerBound:
    """How long the slowest shard of any plan takes, at least.

    A shard whose slowest unit is of one level takes its start-up time, and does work of this level and of those below
    it only. So the shards of a level and those above it have to do the work of all these levels. For a given time, the
    least number of shards is known: take as few as possible of each level, from the top. The least time for which they
    suffice is the bound. It is also at least what the slowest unit takes in a shard of its own.
    """

    def __init__(self, problem: Problem) -> None:
        """The problem's number of shards does not matter."""
        self._alone_us = max((Load(problem, units=(unit,)).total_us for unit in problem.units), default=0)
        self._levels = _levels(problem)

    def us(self, shards: int) -> int:
        """Microseconds that the slowest of so many shards takes, at least."""
        levels, low = self._levels, self._alone_us
        in_one_us = max(level.before_us for level in levels) + int(levels[-1].work_us) + 1 if levels else 0
        high = max(low, in_one_us)
        while low < high:
            middle = (low + high) // 2
            if _shards(levels, middle, shards) <= shards:
                high = middle
            else:
                low = middle + 1
        return low


def _levels(problem: Problem) -> list[_Level]:
    """From the longest start-up time to the shortest."""
    by_level: dict[int, list[Unit]] = {}
    for unit in problem.units:
        by_level.setdefault(problem.start_up(unit.needs), []).append(unit)
    shared = {level: _shared(problem, units) for level, units in by_level.items()}
    counted = frozenset[int]().union(*shared.values())
    levels: list[_Level] = []
    before_us: int | None = None
    divided_us, serial_us, found = 0, 0, set(counted)
    for level in sorted(by_level, reverse=True):
        own_us = level + problem.session_us + sum(problem.set_ups[number].time_us for number in shared[level])
        before_us = own_us if before_us is None else min(before_us, own_us)
        for unit in by_level[level]:
            divided_us += unit.time_us
            for number in unit.set_ups:
                if number not in found:
                    found.add(number)
                    set_up = problem.set_ups[number]
                    if set_up.in_each_worker:
                        serial_us += set_up.time_us
                    else:
                        divided_us += set_up.time_us
        levels.append(_Level(before_us, serial_us + divided_us / problem.workers))
    return levels


def _shared(problem: Problem, units: Iterable[Unit]) -> frozenset[int]:
    """The set-ups that each worker does and that all of these units share: each of their shards does them."""
    shared = frozenset.intersection(*(frozenset(unit.set_ups) for unit in units))
    return frozenset(number for number in shared if problem.set_ups[number].in_each_worker)


def _shards(levels: Iterable[_Level], time_us: int, most: int) -> int:
    """How many shards are needed, at least, to end in this time; some number above `most` if `most` is not enough."""
    shards, capacity_us = 0, 0
    for level in levels:
        if level.work_us > capacity_us:
            own_us = time_us - level.before_us
            if own_us <= 0:
                return most + 1
            more = -int(-(level.work_us - capacity_us) // own_us)
            shards += more
            capacity_us += more * own_us
    return shards
