"""The problem that a plan solves: units of tests, what each needs, and what everything costs.

Times are integers, microseconds: sums are exact, and a plan does not depend on their order. A set of services is an
integer with one bit for each service of the problem.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

US = 1_000_000
"""Microseconds of a second."""


@dataclass(frozen=True, slots=True)
class SetUp:
    """What several tests share, and what a shard does once if it has one of them: a fixture's set-up, or an import."""

    time_us: int
    in_each_worker: bool
    """Each worker of xdist does it, so that it takes this time however many workers there are: imports, and fixtures
    of session scope. Otherwise one worker does it."""


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """Tests that stay together in one shard."""

    tests: tuple[str, ...]
    needs: int  # the services
    time_us: int  # of all tests, without the set-ups
    longest_us: int  # the most that one worker has to do: its longest test, or tests that stay in one worker
    set_ups: tuple[int, ...] = ()  # positions in the problem's `set_ups`

    @property
    def file(self) -> str:
        """The file of its first test."""
        return self.tests[0].partition("::")[0]


@dataclass(frozen=True, slots=True)
class Problem:
    """Units of tests, to be distributed over shards."""

    services: tuple[str, ...]  # the service of each bit, lowest first
    start_up_us: tuple[int, ...]  # of each service
    units: tuple[Unit, ...]
    set_ups: tuple[SetUp, ...] = ()
    shards: int = 1
    workers: int = 1  # of xdist in each shard
    session_us: int = 0  # of each shard: from the start of its command to its end, without tests, set-ups, services
    one_by_one: bool = False  # services start one after the other, not at once
    _start_ups: dict[int, int] = field(default_factory=dict, compare=False)

    def start_up(self, services: int) -> int:
        """Microseconds until these services are ready."""
        known = self._start_ups.get(services)
        if known is None:
            times = [time for bit, time in enumerate(self.start_up_us) if services >> bit & 1]
            known = self._start_ups[services] = sum(times) if self.one_by_one else max(times, default=0)
        return known

    @property
    def everything(self) -> int:
        """All services that a unit needs."""
        united = 0
        for unit in self.units:
            united |= unit.needs
        return united

    def names(self, services: int) -> tuple[str, ...]:
        """The names of these services."""
        return tuple(name for bit, name in enumerate(self.services) if services >> bit & 1)

    def with_everything(self) -> Problem:
        """The same problem, if each unit needed all services."""
        everything = self.everything
        return replace(self, units=tuple(replace(unit, needs=everything) for unit in self.units))
