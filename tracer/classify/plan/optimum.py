"""The best plan of a small problem, by branch and bound."""

from __future__ import annotations

from tracer.classify.plan.load import Load
from tracer.classify.plan.problem import Problem, Unit

STEPS = 50_000
"""After so many units placed, the search ends without a proof."""


def best_of_all(problem: Problem, known: list[Load], bound_us: int) -> tuple[list[Load], bool]:
    """The shards of the plan that ends first, and whether that is proved.

    Args:
        problem: the problem.
        known: the shards of a plan, which is the result if none is better.
        bound_us: no plan ends before; the search ends with a plan that takes this time.
    """
    search = _Search(problem, known, bound_us)
    proved = search.run()
    return [Load(problem, units=units) for units in search.best], proved


class _Search:
    """Places the units one after the other, the longest first, in each shard in which a better plan is possible."""

    def __init__(self, problem: Problem, known: list[Load], bound_us: int) -> None:
        self.best = [tuple(load.units) for load in known]
        self._best_us = max((load.total_us for load in known), default=0)
        self._bound_us = bound_us
        self._steps = 0
        self._loads = [Load(problem) for _ in range(problem.shards)]
        alone = {unit: Load(problem, units=(unit,)).total_us for unit in problem.units}
        self._units = sorted(problem.units, key=lambda unit: -alone[unit])

    def run(self) -> bool:
        return self._place(0)

    def _place(self, number: int) -> bool:
        """Place a unit and those after it; False if there were too many steps."""
        if number == len(self._units):
            self.best = [tuple(load.units) for load in self._loads]
            self._best_us = max(load.total_us for load in self._loads)
            return True
        unit = self._units[number]
        for load in self._choices(unit):
            if self._best_us <= self._bound_us:
                return True
            self._steps += 1
            if self._steps > STEPS:
                return False
            if load.with_unit(unit) < self._best_us:
                load.add(unit)
                finished = self._place(number + 1)
                load.remove(unit)
                if not finished:
                    return False
        return True

    def _choices(self, unit: Unit) -> list[Load]:
        """The shards, those that end first before the others. Empty shards are all the same."""
        used = [load for load in self._loads if load.units]
        empty = [load for load in self._loads if not load.units][:1]
        return sorted(used + empty, key=lambda load: load.with_unit(unit))
