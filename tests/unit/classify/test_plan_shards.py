"""The search for shards: compared with all distributions of small problems, and its invariants on larger ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.classify.plan.bound import LowerBound
from tracer.classify.plan.load import Load
from tracer.classify.plan.problem import US, Problem, SetUp, Unit
from tracer.classify.plan.shards import Solution, in_equal_counts, solve

SERVICES = ("a", "b", "c")


@st.composite
def problems(draw: st.DrawFn, units: int = 6, shards: int = 3) -> Problem:
    set_ups = draw(st.lists(st.builds(SetUp, st.integers(0, 30), st.booleans()), max_size=3))
    return Problem(
        services=SERVICES,
        start_up_us=tuple(draw(st.lists(st.integers(0, 60), min_size=3, max_size=3))),
        units=tuple(unit(draw, number, len(set_ups)) for number in range(draw(st.integers(0, units)))),
        set_ups=tuple(set_ups),
        shards=draw(st.integers(1, shards)),
        workers=draw(st.integers(1, 3)),
        session_us=draw(st.integers(0, 20)),
        one_by_one=draw(st.booleans()),
    )


def unit(draw: st.DrawFn, number: int, set_ups: int) -> Unit:
    times = draw(st.lists(st.integers(0, 50), min_size=1, max_size=3))
    return Unit(
        tests=tuple(f"test_{number % 3}.py::test_{number}[{part}]" for part in range(len(times))),
        needs=draw(st.integers(0, 7)),
        time_us=sum(times),
        longest_us=max(times),
        set_ups=tuple(sorted(draw(st.sets(st.integers(0, set_ups - 1), max_size=2)))) if set_ups else (),
    )


def time_of(problem: Problem, units: Sequence[Unit]) -> int:
    """The time of a shard, computed from the definition."""
    if not units:
        return 0
    services = {bit for bit in range(3) for one in units if one.needs >> bit & 1}
    times = [problem.start_up_us[bit] for bit in services]
    set_ups = [problem.set_ups[number] for number in {number for one in units for number in one.set_ups}]
    divided = sum(one.time_us for one in units) + sum(one.time_us for one in set_ups if not one.in_each_worker)
    return (
        (sum(times) if problem.one_by_one else max(times, default=0))
        + problem.session_us
        + sum(one.time_us for one in set_ups if one.in_each_worker)
        + max(-(-divided // problem.workers), *(one.longest_us for one in units))
    )


def all_distributions(problem: Problem) -> Iterator[list[list[Unit]]]:
    for places in product(range(problem.shards), repeat=len(problem.units)):
        shards: list[list[Unit]] = [[] for _ in range(problem.shards)]
        for place, one in zip(places, problem.units, strict=True):
            shards[place].append(one)
        yield shards


def check(problem: Problem, solution: Solution) -> None:
    placed = [one for load in solution.loads for one in load.units]
    assert len(placed) == len(set(placed))
    assert set(placed) == set(problem.units)
    assert len(solution.loads) <= problem.shards
    for load in solution.loads:
        assert load.units
        assert all(one.needs | load.needs == load.needs for one in load.units)
        assert load.fixed is not None or load.total_us == time_of(problem, list(load.units))


@given(problems())
@settings(max_examples=150, deadline=None)
def test_a_small_plan_is_the_best_of_all(problem: Problem) -> None:
    solution = solve(problem)
    check(problem, solution)
    best = min(max(time_of(problem, shard) for shard in shards) for shards in all_distributions(problem))
    assert solution.makespan_us == solution.bound_us == best
    assert LowerBound(problem).us(problem.shards) <= best


@given(problems(units=40, shards=5))
@settings(max_examples=60, deadline=None)
def test_larger_plans_have_each_test_once_with_its_services(problem: Problem) -> None:
    solution = solve(problem)
    check(problem, solution)
    assert LowerBound(problem).us(problem.shards) <= solution.bound_us <= solution.makespan_us
    check(problem, in_equal_counts(problem))


@given(problems(units=20, shards=4))
@settings(max_examples=60, deadline=None)
def test_a_shard_starts_only_one_of_the_given_sets(problem: Problem) -> None:
    sets = (0b111, 0b001)
    solution = solve(problem, sets)
    check(problem, solution)
    assert {load.needs for load in solution.loads} <= set(sets)


def test_the_first_unit_may_need_a_slow_service_and_the_next_one_more_services() -> None:
    """With one shard, packing starts the smallest set for the first unit, and then has none for the second one."""
    units = (Unit(("test_a.py::test_1",), 0b001, 10, 10), Unit(("test_b.py::test_2",), 0b010, 10, 10))
    problem = Problem(SERVICES, (60, 5, 5), units)
    (load,) = solve(problem, (0b111, 0b001)).loads
    assert set(load.units) == set(units)
    assert load.needs == 0b111


@given(problems(), st.randoms(use_true_random=False))
def test_removing_units_undoes_adding_them(problem: Problem, random: Random) -> None:
    load = Load(problem)
    for one in random.sample(problem.units, len(problem.units)):
        before = load.total_us
        expected = load.with_unit(one)
        load.add(one)
        assert load.total_us == expected
        assert load.without(one) == before
    for one in random.sample(problem.units, len(problem.units)):
        load.remove(one)
        assert load.total_us == time_of(problem, list(load.units))


def test_few_tests_that_need_a_slow_service_share_a_shard() -> None:
    slow, fast = 1, 2
    units = [Unit((f"a.py::slow[{n}]",), slow, 2 * US, 2 * US) for n in range(4)]
    units += [Unit((f"b.py::fast[{n}]",), fast, 2 * US, 2 * US) for n in range(36)]
    problem = Problem(("snuba", "postgres"), (60 * US, 10 * US), tuple(units), shards=3)
    solution = solve(problem)
    assert [problem.names(load.needs) for load in solution.loads].count(("postgres",)) == 2
    assert solution.makespan_us == 68 * US


@pytest.mark.parametrize(("one_by_one", "ratio"), [(False, 1.03), (True, 1.04)])
def test_a_large_suite_ends_close_to_the_lower_bound(one_by_one: bool, ratio: float) -> None:
    """A quarter of the files need a slow service, and each file's import takes as long as several of its tests."""
    random = Random(1)
    set_ups = [SetUp(random.randrange(US), True) for _ in range(400)]
    units = [
        Unit(
            (f"test_{file}.py::test_{number}",),
            0b100 | (0b011 & random.getrandbits(2) if file % 4 == 0 else 0),
            time_us := random.randrange(2 * US),
            time_us,
            (file,),
        )
        for file in range(400)
        for number in range(12)
    ]
    problem = Problem(
        SERVICES, (45 * US, 60 * US, 20 * US), tuple(units), tuple(set_ups), shards=10, one_by_one=one_by_one
    )
    solution = solve(problem)
    check(problem, solution)
    assert solution.makespan_us <= ratio * solution.bound_us
    assert solution.makespan_us < solve(problem.with_everything()).makespan_us
