from __future__ import annotations

import pytest
from suites import facts, result

from tracer.classify.checks import check_assumptions, check_contracts
from tracer.classify.services.rules import Contract


def test_assumed_and_observed_are_held_against_each_other() -> None:
    tests = {
        "t::confirmed1": result(["kafka", "postgres"], ["kafka"]),
        "t::confirmed2": result(["kafka"], ["kafka", "redis"], outcome="failed"),
        "t::over": result([], ["kafka"]),
        "t::blind_b": result(["kafka"]),
        "t::blind_a": result(["kafka"], ["postgres"], outcome="skipped"),
        "t::neither": result(["postgres"]),
        "t::skipped": result([], ["kafka"], outcome="skipped"),
        "t::crashed": result([], ["kafka"], outcome="crashed"),
        "t::not_run": result([], ["kafka"], outcome="not run"),
        "t::skipped_unassumed": result([], [], outcome="skipped"),
        "t::leak_b": result([], ["kafka"], ambient=["kafka"]),
        "t::leak_a": result([], [], ambient=["kafka"]),
    }
    kafka = check_assumptions(tests, ["kafka"])["kafka"]
    assert kafka.confirmed == 2
    assert kafka.over_assumed == ("t::over",)
    assert kafka.blind_spots == ("t::blind_a", "t::blind_b")
    assert kafka.neither == 1
    assert kafka.ambient_only == ("t::leak_a", "t::leak_b")
    assert kafka.undecided == 4
    assert kafka.precision == pytest.approx(2 / 3)
    assert kafka.recall == pytest.approx(2 / 4)


def test_a_ratio_without_a_denominator_is_none() -> None:
    tests = {"t::observed": result(["redis"]), "t::assumed": result([], ["kafka"])}
    validations = check_assumptions(tests, ["redis", "kafka", "snuba"])
    assert list(validations) == ["redis", "kafka", "snuba"]
    assert (validations["redis"].precision, validations["redis"].recall) == (None, 0.0)
    assert (validations["kafka"].precision, validations["kafka"].recall) == (0.0, None)
    assert (validations["snuba"].precision, validations["snuba"].recall) == (None, None)


FACTS = (facts("tests/unit/test_a.py", markers=["unit"]), facts("tests/test_b.py", markers=["integration"]))
TESTS = {
    "unit::pure": result(facts=0),
    "unit::asks": result(["postgres"], facts=0),
    "unit::serves": result(self_hosted=["http"], facts=0),
    "unit::leaked_into": result(ambient=["kafka"], facts=0),
    "integration::mocked": result(facts=1),
    "integration::asks": result(["postgres"], facts=1),
    "integration::serves": result(self_hosted=["postgres"], facts=1),
    "integration::both": result(["kafka", "postgres"], facts=1),
    "integration::leaked_into": result(ambient=["kafka"], facts=1),
    "integration::skipped": result(outcome="skipped", facts=1),
    "lost": result(["postgres"]),
}


@pytest.mark.parametrize(
    ("contract", "concerned", "violations"),
    [
        (Contract("marker", "unit", "none"), 4, ["unit::asks"]),
        (Contract("path", "tests/unit/**", "none"), 4, ["unit::asks"]),
        (Contract("marker", "not integration", "none"), 4, ["unit::asks"]),
        (Contract("marker", "integration", "some"), 6, ["integration::leaked_into", "integration::mocked"]),
        (
            Contract("marker", "integration", ("kafka", "postgres")),
            6,
            ["integration::asks", "integration::leaked_into", "integration::mocked", "integration::serves"],
        ),
        (Contract("fixture", "db", "some"), 0, []),
    ],
    ids=str,
)
def test_contracts_are_held_against_what_was_used(contract: Contract, concerned: int, violations: list[str]) -> None:
    (contract_check,) = check_contracts(TESTS, FACTS, [contract])
    assert contract_check.tests == concerned
    assert list(contract_check.violations) == violations


def test_a_contract_has_a_name() -> None:
    contracts = [Contract("marker", "unit", "none"), Contract("fixture", "requires_both", ("kafka", "redis"))]
    assert [contract_check.name for contract_check in check_contracts({}, (), contracts)] == [
        "marker:unit=none",
        "fixture:requires_both=kafka,redis",
    ]
