from __future__ import annotations

from unittest import IsolatedAsyncioTestCase

import pytest

from tracer.classify.assumptions import assumed_services, matches_path, validate
from tracer.classify.model import Outcome, StaticFacts, TestResult
from tracer.classify.services.config import AssumptionRule, Rules

FACTS = StaticFacts(
    path="tests/snuba/api/test_discover.py",
    fixtures=("db", "reset_snuba", "request"),
    markers=("django_db", "slow"),
    bases=(
        "tests.snuba.api.test_discover.DiscoverTest",
        "sentry.testutils.cases.SnubaTestCase",
        "unittest.case.TestCase",
    ),
)
FUNCTION = StaticFacts(path="tests/test_function.py", fixtures=(), markers=(), bases=())


def rules(**assumptions: AssumptionRule) -> Rules:
    return Rules(assumptions)


@pytest.mark.parametrize(
    "rule",
    [
        AssumptionRule(fixtures=frozenset({"reset_snuba"})),
        AssumptionRule(markers=frozenset({"slow", "fast"})),
        AssumptionRule(classes=("sentry.testutils.cases.SnubaTestCase",)),
        AssumptionRule(classes=("SnubaTestCase",)),
        AssumptionRule(classes=("sentry.testutils.SnubaTestCase",)),  # re-exported by the package
        AssumptionRule(classes=("Other", "DiscoverTest")),
        AssumptionRule(paths=("tests/snuba/**",)),
        AssumptionRule(in_class=True),
        AssumptionRule(fixtures=frozenset({"redis"}), markers=frozenset({"django_db"})),  # any part will do
    ],
)
def test_any_part_of_a_rule_that_matches_makes_the_claim(rule: AssumptionRule) -> None:
    assert assumed_services(FACTS, rules(snuba=rule)) == ("snuba",)


@pytest.mark.parametrize(
    "rule",
    [
        AssumptionRule(),
        AssumptionRule(fixtures=frozenset({"reset"})),
        AssumptionRule(markers=frozenset({"django"})),
        AssumptionRule(classes=("TestCas",)),
        AssumptionRule(classes=("case.TestCase",)),
        AssumptionRule(classes=("sentry.test.SnubaTestCase",)),  # another package, though its name begins alike
        AssumptionRule(classes=("sentry.testutils.cases",)),
        AssumptionRule(paths=("snuba/**",)),
        AssumptionRule(paths=("tests/snuba/*",)),
    ],
)
def test_a_rule_without_a_match_claims_nothing(rule: AssumptionRule) -> None:
    assert assumed_services(FACTS, rules(snuba=rule)) == ()


def test_a_function_is_in_no_class() -> None:
    assert assumed_services(FUNCTION, rules(snuba=AssumptionRule(in_class=True))) == ()


def test_the_public_name_of_a_real_class_matches_the_one_it_is_qualified_by() -> None:
    bases = tuple(f"{base.__module__}.{base.__qualname__}" for base in IsolatedAsyncioTestCase.__mro__[:-1])
    facts = StaticFacts(path="t.py", fixtures=(), markers=(), bases=bases)
    assert "unittest.TestCase" not in bases
    assert assumed_services(facts, rules(loop=AssumptionRule(classes=("unittest.TestCase",)))) == ("loop",)


def test_services_come_sorted() -> None:
    every = AssumptionRule(in_class=True)
    assert assumed_services(FACTS, rules(redis=every, kafka=every, none=AssumptionRule())) == ("kafka", "redis")


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("tests/snuba/**", "tests/snuba/test_a.py", True),
        ("tests/snuba/**", "tests/snuba/api/v1/test_a.py", True),
        ("tests/snuba/**", "tests/snuba2/test_a.py", False),
        ("tests/*/test_a.py", "tests/snuba/test_a.py", True),
        ("tests/*/test_a.py", "tests/snuba/api/test_a.py", False),
        ("tests/**/test_a.py", "tests/test_a.py", True),
        ("tests/**/api/**/test_?.py", "tests/x/y/api/test_a.py", True),
        ("**/test_a.py", "test_a.py", True),
        ("**/test_[!a].py", "tests/test_a.py", False),
        ("**", "tests/test_a.py", True),
        ("tests", "tests/test_a.py", False),
        ("TESTS/**", "tests/test_a.py", False),
    ],
)
def test_path_globs(pattern: str, path: str, matches: bool) -> None:
    assert matches_path(path, pattern) is matches


def result(services: tuple[str, ...], assumed: tuple[str, ...], outcome: Outcome = "passed") -> TestResult:
    return TestResult(
        outcome=outcome,
        duration_s=0.0,
        attempts=1,
        services=services,
        ambient=(),
        self_hosted=(),
        assumed=assumed,
        facts=None,
        evidence=(),
    )


def test_assumed_and_observed_are_held_against_each_other() -> None:
    tests = {
        "t::confirmed1": result(("kafka", "postgres"), ("kafka",)),
        "t::confirmed2": result(("kafka",), ("kafka", "redis"), outcome="failed"),
        "t::over": result((), ("kafka",)),
        "t::blind_b": result(("kafka",), ()),
        "t::blind_a": result(("kafka",), ("postgres",), outcome="skipped"),
        "t::neither": result(("postgres",), ()),
        "t::skipped": result((), ("kafka",), outcome="skipped"),
    }
    kafka = validate(tests, ["kafka"])["kafka"]
    assert kafka.confirmed == 2
    assert kafka.over_assumed == ("t::over",)
    assert kafka.blind_spots == ("t::blind_a", "t::blind_b")
    assert kafka.precision == pytest.approx(2 / 3)
    assert kafka.recall == pytest.approx(2 / 4)


def test_a_ratio_without_a_denominator_is_none() -> None:
    tests = {"t::observed": result(("redis",), ()), "t::assumed": result((), ("kafka",))}
    validations = validate(tests, ["redis", "kafka", "snuba"])
    assert list(validations) == ["redis", "kafka", "snuba"]
    assert (validations["redis"].precision, validations["redis"].recall) == (None, 0.0)
    assert (validations["kafka"].precision, validations["kafka"].recall) == (0.0, None)
    assert (validations["snuba"].precision, validations["snuba"].recall) == (None, None)
