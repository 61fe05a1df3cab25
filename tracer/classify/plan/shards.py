"""The shards of a plan: an optimum if the problem is small, otherwise a packing that local search improves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final

from tracer.classify.plan.bound import LowerBound
from tracer.classify.plan.exchange import balance, empty, gather
from tracer.classify.plan.load import Load
from tracer.classify.plan.optimum import best_of_all
from tracer.classify.plan.packing import packed
from tracer.classify.plan.problem import Problem, Unit

_SMALL: Final = 14
"""Up to so many units, branch and bound is tried."""
_PARTS: Final = 40
"""Units are joined up to this part of a shard's work, so that files stay together and the search is fast."""
_GOOD: Final = 1_000
"""A plan that exceeds the lower bound by this part of it is good enough."""
_LEVELS: Final = 4
"""So many start-up times, evenly chosen, are tried as a limit up to which a file's units are joined."""
_TOLERANCE: Final = 100
"""To save machines, a plan may take this part of its time longer: durations vary more from run to run."""
_GOOD_START: Final = 100
"""After a packing that exceeds the lower bound by this part of it, no other is tried."""


@dataclass(frozen=True, slots=True)
class Solution:
    """Shards with at least one unit, and the time before which no plan ends."""

    loads: tuple[Load, ...]
    bound_us: int

    @property
    def makespan_us(self) -> int:
        """The time of the slowest shard."""
        return max((load.total_us for load in self.loads), default=0)

    @property
    def machine_us(self) -> int:
        """The time of all shards together."""
        return sum(load.total_us for load in self.loads)


def solve(
    problem: Problem, sets: Sequence[int] | None = None, known: Sequence[Sequence[Unit]] | None = None
) -> Solution:
    """Distribute a problem's units over its shards.

    Args:
        problem: the problem.
        sets: the only sets of services that a shard may start; None: any.
        known: the units of each shard of a plan, with which to begin if it is better; None: there is none.
    """
    if not problem.units:
        return Solution((), 0)
    bound_us = LowerBound(problem).us(problem.shards)
    enough_us = bound_us + bound_us // _GOOD
    loads = _best_start(problem, bound_us, enough_us, sets)
    if known is not None:
        others = [Load(problem, units=units) for units in known]
        loads = min(loads, others, key=lambda loads: max(load.total_us for load in loads))
    balance(loads, enough_us)
    if sets is None and len(problem.units) <= _SMALL:
        loads, proved = best_of_all(problem, loads, bound_us)
        bound_us = max(load.total_us for load in loads) if proved else bound_us
    return _solution(problem, loads, bound_us)


def economised(problem: Problem, solution: Solution) -> Solution:
    """Nearly the same time with fewer shards and fewer services to start: at most a hundredth more."""
    loads = [Load(problem, load.fixed, load.units) for load in solution.loads]
    limit_us = solution.makespan_us + solution.makespan_us // _TOLERANCE
    empty(loads, limit_us)
    gather(problem, loads, limit_us)
    return _solution(problem, loads, solution.bound_us)


def _solution(problem: Problem, loads: Iterable[Load], bound_us: int) -> Solution:
    used = [load for load in loads if load.units]
    used.sort(key=lambda load: (-problem.start_up(load.needs), -load.needs.bit_count(), -load.total_us))
    return Solution(tuple(used), bound_us)


def in_equal_counts(problem: Problem) -> Solution:
    """Shards of equal numbers of tests, in the order of the units, as if durations were not known."""
    tests = sum(len(unit.tests) for unit in problem.units)
    loads = [Load(problem) for _ in range(problem.shards)]
    passed = 0
    for unit in problem.units:
        middle = passed + len(unit.tests) / 2
        loads[min(problem.shards - 1, int(middle * problem.shards / tests))].add(unit)
        passed += len(unit.tests)
    return Solution(tuple(load for load in loads if load.units), 0)


def _fill(problem: Problem, loads: list[Load], sets: Sequence[int] | None) -> None:
    """Add the empty shards, to which local search may move units."""
    for _ in range(problem.shards - len(loads)):
        loads.append(Load(problem, None if sets is None else min(sets, key=problem.start_up)))


def _best_start(problem: Problem, bound_us: int, enough_us: int, sets: Sequence[int] | None) -> list[Load]:
    """The best of several packings, each with other units of a file joined."""
    best: list[Load] = []
    best_us: int | None = None
    levels = sorted({problem.start_up(unit.needs) for unit in problem.units}, reverse=True)
    for level in (*levels[:: -(-len(levels) // _LEVELS)], None):
        joined = _joined(problem, level)
        loads = packed(problem, tuple(joined), bound_us, best_us, sets)
        if loads is not None:
            _fill(problem, loads, sets)
            balance(loads, enough_us)
            best = [_divided(problem, load, joined) for load in loads]
            best_us = max(load.total_us for load in best)
            if best_us <= bound_us + bound_us // _GOOD_START:
                break
    return best or _in_one(problem, sets)


def _in_one(problem: Problem, sets: Sequence[int] | None) -> list[Load]:
    """All units in one shard: packing opened others first, which may not start what the rest needs."""
    everything = problem.everything
    able = [everything] if sets is None else [one for one in sets if one | everything == one]
    loads = [Load(problem, None if sets is None else min(able, key=problem.start_up), problem.units)]
    _fill(problem, loads, sets)
    return loads


def _joined(problem: Problem, level: int | None) -> dict[Unit, tuple[Unit, ...]]:
    """Larger units, each of units of one file; with its parts.

    Units with start-up times up to `level` are joined, whatever they need; the others only if they need the same.
    """
    limit_us = sum(unit.time_us for unit in problem.units) // (problem.shards * _PARTS)
    groups: dict[tuple[str, int], list[Unit]] = {}
    for unit in problem.units:
        together = level is not None and problem.start_up(unit.needs) <= level
        groups.setdefault((unit.file, -1 if together else unit.needs), []).append(unit)
    return {_join(part): part for group in groups.values() for part in _parts(group, limit_us)}


def _parts(units: Iterable[Unit], limit_us: int) -> Iterable[tuple[Unit, ...]]:
    part: list[Unit] = []
    time_us = 0
    for unit in units:
        if part and time_us + unit.time_us > limit_us:
            yield tuple(part)
            part, time_us = [], 0
        part.append(unit)
        time_us += unit.time_us
    yield tuple(part)


def _join(units: tuple[Unit, ...]) -> Unit:
    if len(units) == 1:
        return units[0]
    return Unit(
        tests=tuple(test for unit in units for test in unit.tests),
        needs=reduce(or_, (unit.needs for unit in units)),
        time_us=sum(unit.time_us for unit in units),
        longest_us=max(unit.longest_us for unit in units),
        set_ups=tuple(dict.fromkeys(number for unit in units for number in unit.set_ups)),
    )


def _divided(problem: Problem, load: Load, parts: dict[Unit, tuple[Unit, ...]]) -> Load:
    return Load(problem, load.fixed, (unit for joined in load.units for unit in parts[joined]))
