"""The plan of a suite: its shards, and what they save compared with shards that start every service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as replaced
from typing import Final

from msgspec import Struct

from tracer.classify.plan.bound import LowerBound
from tracer.classify.plan.load import Load
from tracer.classify.plan.problem import US, Problem
from tracer.classify.plan.sets import nested_sets
from tracer.classify.plan.shards import Solution, economised, in_equal_counts, solve
from tracer.classify.plan.units import Suite, problem_of
from tracer.classify.selection import Unit as UnitKind
from tracer.errors import ExitStatus, SvcTraceError

SCHEMA: Final = "svc-trace-plan/1"
_MOST_SHARDS: Final = 256
"""More shards are not tried: a matrix of GitHub's has at most so many jobs."""


class Wishes(Struct, frozen=True):
    """What kind of plan a user wants."""

    seconds: Mapping[str, float]  # the start-up cost of each service that a test may need
    shards: int | None = None  # None: the cheapest number that meets the deadline
    workers: int = 1
    kind: UnitKind = "test"
    one_by_one: bool = False
    tiers: int | None = None  # at most so many different sets of services; None: any number
    deadline_s: float | None = None  # only without `shards`; None: what the suite takes now


class Shard(Struct, frozen=True):
    """One job of a plan."""

    services: tuple[str, ...]  # sorted; endpoints that no rule names are `(unknown)`
    tests: tuple[str, ...]  # node ids, in the suite's order
    start_up_s: float
    tests_s: float  # the session, set-ups and tests
    total_s: float


class Totals(Struct, frozen=True):
    """What a way to run the suite takes."""

    makespan_s: float  # of the slowest shard
    machine_s: float  # of all shards together


class Tiering(Struct, frozen=True):
    """The best plan with a number of different sets of services."""

    sets: tuple[tuple[str, ...], ...]  # each is a part of the next
    totals: Totals


class Plan(Struct, frozen=True):
    """Shards, those with the longest start-up first, and what to compare them with."""

    shards: tuple[Shard, ...]
    totals: Totals
    everything: Totals  # every shard starts every service, with about equal durations
    by_count: Totals  # the same with equal numbers of tests
    lower_bound_s: float  # no plan with so many shards ends before
    asked_shards: int  # the number of shards that might have been used
    deadline_s: float | None = None  # when it had to end
    asked_tiers: int | None = None  # the number of different sets that might have been used
    tierings: tuple[Tiering, ...] = ()
    """With 1, 2, … sets of services, one more than asked for; as far as more sets probably help."""


def plan_suite(suite: Suite, wishes: Wishes) -> Plan:
    """The plan of a suite."""
    shards = wishes.shards
    problem = problem_of(
        suite,
        wishes.seconds,
        wishes.kind,
        shards=shards or 1,
        workers=wishes.workers,
        one_by_one=wishes.one_by_one,
    )
    if shards is None:
        problem, solution = _cheapest(problem, suite, wishes.deadline_s)
        everything = _everything(problem)
    else:
        everything = _everything(problem)
        solution = _solve(problem, everything)
    tierings: list[tuple[tuple[int, ...], Solution]] = []
    if wishes.tiers is not None:
        for number in range(1, wishes.tiers + 2):
            sets = nested_sets(problem, number)
            if tierings and len(sets) == len(tierings[-1][0]):
                break
            tierings.append((sets, economised(problem, solve(problem, sets))))
        solution = Solution(tierings[: wishes.tiers][-1][1].loads, solution.bound_us)
    return Plan(
        shards=_shards(problem, solution, suite),
        totals=_totals(solution),
        deadline_s=wishes.deadline_s if shards is None else None,
        everything=_totals(everything),
        by_count=_totals(in_equal_counts(problem.with_everything())),
        lower_bound_s=_seconds(solution.bound_us),
        asked_shards=problem.shards,
        asked_tiers=wishes.tiers,
        tierings=tuple(
            Tiering(tuple(problem.names(services) for services in sets), _totals(one)) for sets, one in tierings
        ),
    )


def _everything(problem: Problem) -> Solution:
    """The shards that all start every service."""
    same = problem.with_everything()
    return economised(same, solve(same))


def _solve(problem: Problem, everything: Solution) -> Solution:
    """A plan that is not worse than if every shard started every service."""
    own = {unit.tests[0]: unit for unit in problem.units}
    known = [[own[unit.tests[0]] for unit in load.units] for load in everything.loads]
    known += [[]] * (problem.shards - len(known))
    return economised(problem, solve(problem, known=known if problem.units else None))


def _cheapest(problem: Problem, suite: Suite, deadline_s: float | None) -> tuple[Problem, Solution]:
    """The plan with the fewest shards that ends in time: each shard more starts services and a session once more.

    Without a deadline, it must not end later than the runs of the report, if each of them starts every service. If no
    plan that was found ends in time, it is the one that ends first.

    Raises:
        SvcTraceError: no plan can end in time.
    """
    if deadline_s is None:
        present = replaced(problem.with_everything(), shards=max(1, len(suite.classification.runs)))
        deadline_us = in_equal_counts(present).makespan_us
    else:
        deadline_us = round(deadline_s * US)
    bound = LowerBound(problem)
    least_us = bound.us(_MOST_SHARDS)
    if least_us > deadline_us:
        raise SvcTraceError(
            f"no plan ends within {deadline_us / US:g} s: the least possible is {least_us / US:.1f} s",
            hint="Give a later --deadline. A unit takes the start-up of its services, the session and its set-ups too.",
            slug="deadline-too-early",
            exit_code=ExitStatus.USAGE,
        )
    few, many = 1, _MOST_SHARDS
    while few < many:
        middle = (few + many) // 2
        if bound.us(middle) <= deadline_us:
            many = middle
        else:
            few = middle + 1
    best: tuple[Problem, Solution] | None = None
    for shards in range(few, min(_MOST_SHARDS, few + few // 4 + 2) + 1):
        one = replaced(problem, shards=shards)
        solution = economised(one, solve(one))
        if best is None or solution.makespan_us < best[1].makespan_us:
            best = one, solution
        if solution.makespan_us <= deadline_us:
            break
    assert best is not None
    return best


def _shards(problem: Problem, solution: Solution, suite: Suite) -> tuple[Shard, ...]:
    order = {nodeid: number for number, nodeid in enumerate(suite.needs)}
    return tuple(_shard(problem, load, order) for load in solution.loads)


def _shard(problem: Problem, load: Load, order: Mapping[str, int]) -> Shard:
    start_up_us = problem.start_up(load.needs)
    tests: Sequence[str] = [test for unit in load.units for test in unit.tests]
    return Shard(
        services=problem.names(load.needs),
        tests=tuple(sorted(tests, key=order.__getitem__)),
        start_up_s=_seconds(start_up_us),
        tests_s=_seconds(load.total_us - start_up_us),
        total_s=_seconds(load.total_us),
    )


def _totals(solution: Solution) -> Totals:
    return Totals(_seconds(solution.makespan_us), _seconds(solution.machine_us))


def _seconds(microseconds: int) -> float:
    return round(microseconds / US, 3)
