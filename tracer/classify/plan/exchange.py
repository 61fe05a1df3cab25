"""Local search: units move between shards as long as the slowest shard gets faster, then as long as fewer services
start.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

from tracer.classify.plan.load import Load
from tracer.classify.plan.problem import Problem, Unit

_STEPS: Final = 3_000
"""The slowest shard gets faster so often, at most."""
_TRIED: Final = 24
"""Units of about the best length that are tried, for each pair of shards."""


def balance(loads: Sequence[Load], bound_us: int) -> None:
    """Move and exchange units of the slowest shard until that helps no more, or it takes only this time."""
    for _ in range(_STEPS):
        slowest = max(loads, key=lambda load: load.total_us)
        if slowest.total_us <= bound_us:
            return
        units = sorted(slowest.units, key=lambda unit: unit.time_us)
        others = sorted((load for load in loads if load is not slowest), key=lambda load: load.total_us)
        if not any(_move(slowest, other, units) for other in others) and not any(
            _exchange(slowest, other, units) for other in others
        ):
            return


def _move(slowest: Load, other: Load, units: Sequence[Unit]) -> bool:
    """Move the unit that helps most, if any helps."""
    before_us, best = slowest.total_us, None
    best_us = before_us
    for unit in _near(units, (before_us - other.total_us) // 2):
        if other.takes(unit) and (their_us := other.with_unit(unit)) < best_us:
            highest_us = max(their_us, slowest.without(unit))
            if highest_us < best_us:
                best, best_us = unit, highest_us
    if best is None:
        return False
    slowest.remove(best)
    other.add(best)
    return True


def _exchange(slowest: Load, other: Load, units: Sequence[Unit]) -> bool:
    """Exchange a unit for a shorter one, if that helps."""
    before_us = slowest.total_us
    wanted_us = (before_us - other.total_us) // 2
    theirs = sorted(other.units, key=lambda unit: unit.time_us)
    for unit in _near(units, units[-1].time_us):
        if not other.takes(unit):
            continue
        for their in _near(theirs, unit.time_us - wanted_us):
            if not slowest.takes(their):
                continue
            slowest.remove(unit)
            other.remove(their)
            if slowest.with_unit(their) < before_us and other.with_unit(unit) < before_us:
                slowest.add(their)
                other.add(unit)
                return True
            slowest.add(unit)
            other.add(their)
    return False


def _near(units: Sequence[Unit], time_us: int) -> Sequence[Unit]:
    """The units of about this time; `units` is sorted by it."""
    middle = bisect_left(units, time_us, key=lambda unit: unit.time_us)
    first = max(0, min(middle - _TRIED // 2, len(units) - _TRIED))
    return units[first : first + _TRIED]


def empty(loads: Sequence[Load], limit_us: int) -> None:
    """Move all units of a shard to others, as long as no shard takes longer than the limit; the shortest shards first.

    Services may start there for them: as a whole, that costs less machine time than one shard more.
    """
    for load in sorted(loads, key=lambda load: load.total_us):
        others = [one for one in loads if one is not load and one.units]
        before_us = sum(one.total_us for one in loads)
        moved = _move_all(load, sorted(load.units, key=lambda unit: -unit.time_us), others, limit_us)
        if moved and sum(one.total_us for one in loads) > before_us:
            _move_back(load, moved)


def gather(problem: Problem, loads: Sequence[Load], limit_us: int) -> None:
    """Move units to shards that start their services anyway, as long as no shard takes longer than the limit."""
    for load in sorted(loads, key=lambda load: load.total_us):
        for needs in sorted({unit.needs for unit in load.units}, key=lambda needs: -problem.start_up(needs)):
            rest = 0
            for unit in load.units:
                rest |= unit.needs if unit.needs != needs else 0
            if load.fixed is None and rest | needs != rest:  # services that only these units need
                others = [one for one in loads if one is not load and one.units and one.needs | needs == one.needs]
                _move_all(load, [unit for unit in load.units if unit.needs == needs], others, limit_us)


def _move_all(load: Load, units: Iterable[Unit], others: Sequence[Load], limit_us: int) -> Sequence[tuple[Unit, Load]]:
    """Move all of these units to other shards, or none; which units moved to which shard."""
    moved: list[tuple[Unit, Load]] = []
    for unit in units:
        able = [one for one in others if one.takes(unit) and one.with_unit(unit) <= limit_us]
        if not able:
            _move_back(load, moved)
            return ()
        best = min(able, key=lambda one: one.with_unit(unit) - one.total_us)
        load.remove(unit)
        best.add(unit)
        moved.append((unit, best))
    return moved


def _move_back(load: Load, moved: Iterable[tuple[Unit, Load]]) -> None:
    for unit, other in moved:
        other.remove(unit)
        load.add(unit)
