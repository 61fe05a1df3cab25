"""The load of one shard: its units, and the time that they take together."""

from __future__ import annotations

from collections.abc import Iterable

from tracer.classify.plan.problem import Problem, Unit


class Load:
    """A shard's units. Its time is that of the start-up, the session, the set-ups and the tests.

    With several workers, the tests take the time of the longest piece, or an equal part of all, if that is longer.
    """

    __slots__ = (
        "_counts",
        "_divided_us",
        "_longest_us",
        "_problem",
        "_serial_us",
        "_users",
        "fixed",
        "needs",
        "total_us",
        "units",
    )

    def __init__(self, problem: Problem, fixed: int | None = None, units: Iterable[Unit] = ()) -> None:
        """Begin a shard. `fixed`: the services that it starts in any case, and no others; None: what its units need."""
        self._problem = problem
        self.fixed = fixed
        self.units: dict[Unit, None] = {}  # in the order in which they came
        self.needs = fixed or 0
        self.total_us = 0  # of a shard without units: it does not run
        self._users: dict[int, int] = {}  # services → units that need exactly these
        self._counts: dict[int, int] = {}  # set-up → units
        self._serial_us = problem.session_us
        self._divided_us = 0
        self._longest_us = 0
        for unit in units:
            self.add(unit)

    def with_unit(self, unit: Unit) -> int:
        """The time with one more unit."""
        problem, counts = self._problem, self._counts
        serial_us, divided_us = self._serial_us, self._divided_us + unit.time_us
        for number in unit.set_ups:
            if number not in counts:
                set_up = problem.set_ups[number]
                if set_up.in_each_worker:
                    serial_us += set_up.time_us
                else:
                    divided_us += set_up.time_us
        tests_us = max(self._longest_us, unit.longest_us, -(-divided_us // problem.workers))
        return problem.start_up(self.needs | unit.needs) + serial_us + tests_us

    def without(self, unit: Unit) -> int:
        """The time without one of its units."""
        self.remove(unit)
        total_us = self.total_us
        self.add(unit)
        return total_us

    def takes(self, unit: Unit) -> bool:
        """Whether it has, or may start, the services that a unit needs."""
        return self.fixed is None or unit.needs | self.fixed == self.fixed

    def add(self, unit: Unit) -> None:
        """Add a unit."""
        self.units[unit] = None
        self.needs |= unit.needs
        self._users[unit.needs] = self._users.get(unit.needs, 0) + 1
        self._divided_us += unit.time_us
        self._longest_us = max(self._longest_us, unit.longest_us)
        for number in unit.set_ups:
            users = self._counts.get(number, 0)
            self._counts[number] = users + 1
            if not users:
                self._count(number, 1)
        self._sum()

    def remove(self, unit: Unit) -> None:
        """Remove one of its units."""
        del self.units[unit]
        self._users[unit.needs] -= 1
        if not self._users[unit.needs]:
            del self._users[unit.needs]
            self.needs = self.fixed or 0
            for needs in self._users:
                self.needs |= needs
        self._divided_us -= unit.time_us
        if unit.longest_us == self._longest_us:
            self._longest_us = max((one.longest_us for one in self.units), default=0)
        for number in unit.set_ups:
            self._counts[number] -= 1
            if not self._counts[number]:
                del self._counts[number]
                self._count(number, -1)
        self._sum()

    def _count(self, number: int, sign: int) -> None:
        set_up = self._problem.set_ups[number]
        if set_up.in_each_worker:
            self._serial_us += sign * set_up.time_us
        else:
            self._divided_us += sign * set_up.time_us

    def _sum(self) -> None:
        if not self.units:
            self.total_us = 0
            return
        tests_us = max(self._longest_us, -(-self._divided_us // self._problem.workers))
        self.total_us = self._problem.start_up(self.needs) + self._serial_us + tests_us
