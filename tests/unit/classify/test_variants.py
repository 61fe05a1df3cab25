from __future__ import annotations

import pytest

from tracer.classify.model import Outcome, TestResult
from tracer.classify.services.rules import VariantRule
from tracer.classify.variants import compare_variants, shared_name

SILO = VariantRule(("CONTROL", "MONOLITH", "REGION"), ("__InControlMode", "__InRegionMode"))


@pytest.mark.parametrize(
    ("nodeid", "shared"),
    [
        ("t.py::test_a[REGION]", "t.py::test_a"),
        ("t.py::test_a[us-CONTROL-2]", "t.py::test_a[us-2]"),
        ("t.py::test_a[REGIONAL]", "t.py::test_a[REGIONAL]"),
        ("t.py::test_a[region]", "t.py::test_a[region]"),
        ("t.py::test_a[x::y[REGION]-REGION]", "t.py::test_a[x::y[REGION]]"),
        ("t.py::test_REGION", "t.py::test_REGION"),
        ("t.py::ATest__InRegionMode::test_a", "t.py::ATest::test_a"),
        ("t.py::Outer__InControlMode::Inner::test_a[REGION]", "t.py::Outer::Inner::test_a"),
        ("t.py::test__InRegionMode", "t.py::test__InRegionMode"),  # no class
        ("t__InRegionMode/t.py::ATest::test_a", "t__InRegionMode/t.py::ATest::test_a"),
        ("[REGION].py::test_a", "[REGION].py::test_a"),
        ("t.txt", "t.txt"),
    ],
)
def test_what_the_variants_of_a_test_share(nodeid: str, shared: str) -> None:
    assert shared_name(nodeid, SILO) == shared


def test_a_parameter_may_be_a_glob() -> None:
    rule = VariantRule(parameters=("asyncio*", "trio"))
    assert {shared_name(f"t.py::test_a[{one}-1]", rule) for one in ("asyncio", "asyncio+uvloop", "trio")} == {
        "t.py::test_a[1]"
    }


def result(*services: str, outcome: Outcome = "passed") -> TestResult:
    return TestResult(
        outcome=outcome, duration_s=0.0, services=services, ambient=(), self_hosted=(), assumed=(), evidence=()
    )


def test_variants_are_told_where_their_services_differ() -> None:
    tests = {
        "t.py::test_b[REGION]": result("postgres"),
        "t.py::test_a[REGION]": result("postgres", "redis"),
        "t.py::test_a[CONTROL]": result("postgres"),
        "t.py::test_b[CONTROL]": result("postgres"),
        "t.py::ATest::test_a": result(),
        "t.py::ATest__InRegionMode::test_a": result("snuba"),
    }
    variants = compare_variants(tests, SILO)
    assert variants.compared == 3
    assert variants.differing == {
        "t.py::ATest::test_a": {"t.py::ATest::test_a": (), "t.py::ATest__InRegionMode::test_a": ("snuba",)},
        "t.py::test_a": {
            "t.py::test_a[CONTROL]": ("postgres",),
            "t.py::test_a[REGION]": ("postgres", "redis"),
        },
    }
    assert list(variants.differing) == sorted(variants.differing)


def test_what_ran_in_one_variant_only_is_not_compared() -> None:
    tests = {
        "t.py::test_a[REGION]": result("redis"),
        "t.py::test_a[CONTROL]": result(outcome="skipped"),
        "t.py::test_a[MONOLITH]": result(outcome="not run"),
        "t.py::test_b[1]": result("redis"),
        "t.py::test_b[2]": result(),
    }
    assert compare_variants(tests, SILO) == compare_variants(tests, VariantRule())


def test_a_variant_that_used_a_service_before_it_was_skipped_is_compared() -> None:
    tests = {"t.py::test_a[REGION]": result(), "t.py::test_a[CONTROL]": result("redis", outcome="skipped")}
    assert list(compare_variants(tests, SILO).differing) == ["t.py::test_a"]
