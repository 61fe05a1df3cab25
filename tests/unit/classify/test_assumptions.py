from __future__ import annotations

from unittest import IsolatedAsyncioTestCase

import pytest

from tracer.classify.assumptions import assumed_services, claims, concerns, entries, matches_path
from tracer.classify.services.rules import AssumptionRule, Contract, Rules
from tracer.trace.records import StaticFacts

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


def test_each_entry_that_claims_a_test_has_a_text() -> None:
    rule = AssumptionRule(
        frozenset({"db", "redis"}), frozenset({"slow"}), ("SnubaTestCase", "Other"), ("tests/**", "docs/**"), True
    )
    texts = ["marker slow", "class SnubaTestCase", "fixture db", "path tests/**", "being in a class"]
    assert [str(entry) for entry in claims(rule, FACTS)] == texts
    assert set(claims(rule, FACTS)) < set(entries(rule))
    assert [str(entry) for entry in entries(rule) if entry not in claims(rule, FACTS)] == [
        "class Other",
        "fixture redis",
        "path docs/**",
    ]


@pytest.mark.parametrize(
    ("contract", "concerned"),
    [
        (Contract("marker", "slow", "none"), True),
        (Contract("marker", "fast", "none"), False),
        (Contract("marker", "not slow", "none"), False),
        (Contract("marker", "not fast", "none"), True),
        (Contract("fixture", "reset_snuba", "some"), True),
        (Contract("fixture", "reset", "some"), False),
        (Contract("path", "tests/snuba/**", "some"), True),
        (Contract("path", "snuba/**", "some"), False),
    ],
)
def test_whom_a_contract_concerns(contract: Contract, concerned: bool) -> None:
    assert concerns(contract, FACTS) is concerned
