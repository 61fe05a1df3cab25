"""From a report to units: what stays together, and how long it takes."""

from __future__ import annotations

import pytest
import suites
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tracer.classify.model import Classification, RunResult, SetUp, TestResult
from tracer.classify.plan.plan import Wishes, plan_suite
from tracer.classify.plan.problem import US, Problem
from tracer.classify.plan.units import Suite, problem_of, services_of
from tracer.classify.selection import ANYTHING, Unit, needs_of_tests, unit_of
from tracer.classify.services.rules import Rules
from tracer.classify.via import Via

NODEIDS = ("a.py::TestA::test_1", "a.py::TestA::test_2", "a.py::test_3[x]", "a.py::test_3[y]", "b.py::test_4")


def classified(tests: dict[str, TestResult], *set_ups: SetUp) -> Classification:
    one = suites.classification(tests, (suites.facts("a.py"), replace(suites.facts("a.py"), group="g")), Rules())
    return replace(one, set_ups=set_ups)


def a_test(*services: str, duration_s: float = 1.0, **others: object) -> TestResult:
    return replace(suites.result(list(services), facts=0), duration_s=duration_s, **others)


def problem(one: Classification, kind: Unit = "test", present: list[str] | None = None, **others: object) -> Problem:
    suite = Suite(one, needs_of_tests(one, present), **others)  # type: ignore[arg-type]
    return problem_of(suite, dict.fromkeys(services_of(suite), 1.0), kind, shards=2)


def units(one: Problem) -> list[set[str]]:
    return [set(unit.tests) for unit in one.units]


@pytest.mark.parametrize(("kind", "number"), [("test", 5), ("class", 3), ("file", 2)])
def test_units_are_tests_classes_or_files(kind: Unit, number: int) -> None:
    found = problem(classified({nodeid: a_test() for nodeid in NODEIDS}), kind)
    assert len(found.units) == number
    assert sorted(test for unit in found.units for test in unit.tests) == sorted(NODEIDS)


def test_a_group_of_xdist_is_one_unit_and_one_piece() -> None:
    tests = {nodeid: a_test(facts=int(nodeid in NODEIDS[1:3])) for nodeid in NODEIDS}
    found = problem(classified(tests))
    assert set(NODEIDS[1:3]) in units(found)
    assert max(unit.longest_us for unit in found.units) == 2 * US


@pytest.mark.parametrize(("seconds", "together"), [(1.9, False), (2.1, True)])
def test_a_fixture_that_takes_longer_than_its_tests_keeps_them_together(seconds: float, together: bool) -> None:
    fixture = SetUp(Via("fixture", "slow", "a.py"), "class", "a.py::TestA", None, seconds)
    tests = {nodeid: a_test(set_ups=(0,) if "TestA" in nodeid else ()) for nodeid in NODEIDS}
    assert (set(NODEIDS[:2]) in units(problem(classified(tests, fixture)))) == together


def test_a_name_that_pytest_cannot_read_keeps_its_function_together() -> None:
    one = classified({nodeid: a_test() for nodeid in NODEIDS})
    found = problem(one, is_argument=lambda nodeid: nodeid != "a.py::test_3[y]")
    assert set(NODEIDS[2:4]) in units(found)
    assert len(found.units) == 4


def test_durations_without_shared_set_ups_and_of_several_runs() -> None:
    runs = (RunResult(0, "passed", 3.0, 1, 1.0), RunResult(1, "passed", 5.0, 1))
    tests = {"a.py::x": a_test(duration_s=8.0, shared_s=1.0, runs=runs), "b.py::y": a_test(duration_s=2.0)}
    present = ["a.py::x", "b.py::y", "a.py::new", "c.py::new"]
    found = problem(classified(tests), present=present, durations={"b.py::y": 2.5})
    assert [unit.time_us / US for unit in found.units] == [3.5, 2.5, 3.5, 3.0]


def test_the_import_of_an_unknown_tests_file_is_known() -> None:
    module = SetUp(Via("module", "a.py"), "import", "a.py", None, 0.5)
    found = problem(
        classified({"a.py::x": a_test(set_ups=(0,))}, module), present=["a.py::x", "a.py::new", "b.py::new"]
    )
    assert [unit.set_ups for unit in found.units] == [(0,), (0,), ()]
    assert found.set_ups[0].in_each_worker


def test_endpoints_without_a_name_are_one_service_that_costs_nothing() -> None:
    tests = {"a.py::x": a_test("unknown:tcp://10.0.0.1:70", "redis"), "a.py::y": a_test("unknown:tcp://10.0.0.1:71")}
    found = problem(classified(tests), present=["a.py::x", "a.py::y", "a.py::new"])
    assert found.services == ("redis", "(unknown)")
    assert [unit.needs for unit in found.units] == [0b11, 0b10, 0b11]


SERVICES = st.lists(st.sampled_from(["kafka", "postgres", "redis", "unknown:tcp://10.0.0.1:70"]), unique=True)


@given(
    st.dictionaries(
        st.sampled_from([f"{file}.py::Test{n % 3}::test_{n}" for file in "abc" for n in range(12)]), SERVICES
    ),
    st.integers(1, 4),
    st.sampled_from(["test", "class", "file"]),
    st.none() | st.integers(1, 3),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_each_test_is_in_one_shard_that_starts_what_it_needs(
    services: dict[str, list[str]], shards: int, kind: Unit, tiers: int | None, one_by_one: bool
) -> None:
    one = classified({nodeid: a_test(*used) for nodeid, used in services.items()})
    needs = needs_of_tests(one, [*services, "a.py::unknown"])
    suite = Suite(one, needs)
    names = services_of(suite)
    wishes = Wishes({name: 3.0 * n for n, name in enumerate(names)}, shards, 1, kind, one_by_one, tiers)
    plan = plan_suite(suite, wishes)
    assert sorted(test for shard in plan.shards for test in shard.tests) == sorted(needs)
    assert len(plan.shards) <= shards
    for shard in plan.shards:
        for test in shard.tests:
            if ANYTHING in needs[test]:
                assert set(shard.services) == set(names)
            known = {service for service in needs[test] if not service.startswith("unknown:")}
            assert known <= set(shard.services)
    owners = {unit_of(test, kind): number for number, shard in enumerate(plan.shards) for test in shard.tests}
    assert all(owners[unit_of(test, kind)] == n for n, shard in enumerate(plan.shards) for test in shard.tests)
    if tiers is not None:
        assert len({shard.services for shard in plan.shards}) <= tiers
    else:
        assert plan.lower_bound_s <= plan.totals.makespan_s <= 1.011 * plan.everything.makespan_s
