from __future__ import annotations

import suites
from suites import result

from tracer.classify.combinations import combination_of, count_combinations
from tracer.classify.merge import merge
from tracer.classify.model import Combination
from tracer.classify.selection import ANYTHING, uses_of_tests
from tracer.classify.services.rules import Rules

TESTS = {
    "a.py::1": result(["postgres"]),
    "a.py::2": result(["postgres", "unknown:tcp://10.0.0.1:70", "unknown:tcp://10.0.0.1:71"]),
    "a.py::3": result(["unknown:tcp://10.0.0.1:72", "postgres"], outcome="crashed"),
    "a.py::4": result(ambient=["redis"], assumed=["kafka"], outcome="failed"),
    "a.py::5": result(self_hosted=["redis"]),
    "a.py::6": result(["postgres", "redis"]),
}
COUNTED = (
    Combination((), 2),
    Combination(("postgres", "(unknown)"), 2),
    Combination(("postgres",), 1),
    Combination(("postgres", "redis"), 1),
)


def test_unknown_endpoints_are_one_service_and_the_last() -> None:
    assert combination_of(["zookeeper", "unknown:tcp://10.0.0.1:1", "kafka", "unknown:unix:///a"]) == (
        "kafka",
        "zookeeper",
        "(unknown)",
    )


def test_the_largest_is_first_then_that_with_the_fewest_services() -> None:
    assert count_combinations(TESTS) == COUNTED


def test_a_merged_report_counts_them_again() -> None:
    one = suites.classification(TESTS, (), Rules())
    other = suites.classification({"a.py::1": result(["kafka"])}, (), Rules())
    assert one.summary.combinations == COUNTED
    merged = merge([one, other]).summary
    assert merged.combinations == (
        Combination((), 2),
        Combination(("postgres", "(unknown)"), 2),
        Combination(("kafka", "postgres"), 1),
        Combination(("postgres", "redis"), 1),
    )
    assert sum(one.tests for one in merged.combinations) == merged.total_tests


def test_what_tests_used_is_not_what_they_may_need() -> None:
    one = suites.classification(TESTS, (), Rules())
    uses = uses_of_tests(one, ["a.py::4", "a.py::3", "new.py::1"])
    assert uses == {"a.py::4": set(), "a.py::3": {"postgres", "(unknown)"}, "new.py::1": {ANYTHING}}
