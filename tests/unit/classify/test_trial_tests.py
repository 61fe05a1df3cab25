from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from suites import classification, result, verdict, verification

from tracer.classify.model import Classification, TestResult
from tracer.classify.services.rules import Rules
from tracer.classify.trial_tests import differing, sample, users

TESTS = {
    "a.py::uses": result(["redis"]),
    "a.py::ambient": result(ambient=["kafka"]),
    "a.py::own": result(self_hosted=["redis"]),
    "a.py::unknown": result(["unknown:tcp://10.0.0.1:70"]),
    "a.py::failed": result(outcome="failed"),
    "a.py::plain": result(["postgres"]),
}


def report(tests: dict[str, TestResult]) -> Classification:
    return classification(tests, (), Rules())


def test_tests_that_used_the_services_run_again() -> None:
    assert users([report(TESTS)], ["redis", "kafka"]) == ["a.py::uses", "a.py::ambient"]
    assert users([report(TESTS)], ["(unknown)"]) == ["a.py::unknown"]
    assert users([report({"a": result(["redis"])}), report({"a": result(), "b": result(["redis"])})], ["redis"]) == [
        "a",
        "b",
    ]


def test_a_sample_of_the_others_runs_again() -> None:
    others = ["a.py::own", "a.py::unknown", "a.py::plain"]
    assert sample([report(TESTS)], ["redis", "kafka"], 9) == others
    assert len(sample([report(TESTS)], ["redis", "kafka"], 2)) == 2
    assert sample([report(TESTS)], ["redis"], 0) == []


@given(st.permutations(range(40)), st.sets(st.integers(0, 39)))
def test_the_sample_is_the_same_whatever_the_order_and_what_else_is_new(order: list[int], gone: set[int]) -> None:
    tests = {f"a.py::test_{number}[\udce9]": result() for number in range(40)}
    chosen = sample([report(tests)], ["redis"], 7)
    shuffled = {nodeid: result() for nodeid in (list(tests)[number] for number in order)}
    assert set(sample([report(shuffled)], ["redis"], 7)) == set(chosen)
    fewer = {nodeid: one for number, (nodeid, one) in enumerate(tests.items()) if number not in gone}
    assert set(chosen) & set(fewer) <= set(sample([report(fewer)], ["redis"], 7))


def test_tests_that_failed_only_without_the_services_are_repeated() -> None:
    tests = {
        "a": verdict("needs"),
        "b": verdict("tolerates", "redis"),
        "c": verdict("undecided", reason="failed"),
        "d": verdict("needs", "redis"),
    }
    assert differing(verification(tests, "redis")) == ["a", "d"]
