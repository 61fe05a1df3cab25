from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from suites import classification, refused, result, verdict, verification

from tracer.classify.model import Reason
from tracer.classify.services.rules import Rules, Tier
from tracer.classify.tier_trial import TierTrial, attempts_of_tests, nodeids_of_tier

TIERS = (Tier("light", within=frozenset({"postgres"})), Tier("rest"))


def report(**tests: Any) -> Any:  # noqa: ANN401 -- test → its result
    return classification(tests, (), Rules(tiers=TIERS))


def test_the_tests_of_a_tier_are_those_of_all_reports() -> None:
    first = report(a=result(["postgres"]), b=result(), c=result(["kafka"]))
    again = report(b=result(ambient=["kafka"]), d=result())
    assert nodeids_of_tier([first], TIERS, "light") == {"a", "b"}
    assert nodeids_of_tier([first, again], TIERS, "light") == {"a", "d"}
    assert nodeids_of_tier([first, again], TIERS, "rest") == {"b", "c"}


def test_attempts_are_those_at_refused_services() -> None:
    kafka = refused("kafka")
    failed = refused("postgres")
    without = report(a=result(evidence=[kafka, failed]), b=result(evidence=[failed]), c=result())
    attempts = attempts_of_tests([report(a=result())], [without, without], ["kafka"])
    assert attempts == {"a": (kafka, kafka)}
    hosted = report(a=result(evidence=[replace(kafka, self_hosted=True)]))
    assert attempts_of_tests([], [hosted], ["kafka"]) == {}


def trial(**tests: Any) -> TierTrial:  # noqa: ANN401 -- test → its verdict
    return TierTrial("light", ("postgres",), verification(tests, "kafka"), {})


def test_a_tier_is_proven_if_all_tests_end_as_before() -> None:
    one = trial(
        a=verdict("tolerates", "kafka"),
        b=verdict("unaffected"),
        c=verdict("undecided", reason="failed"),
        d=verdict("undecided", reason="skipped"),
    )
    assert (one.is_proven, one.failing, one.broken, one.unproven) == (True, 2, {}, {})


def test_a_test_that_needs_another_service_breaks_it() -> None:
    one = trial(a=verdict("needs", "kafka"), b=verdict("unaffected"))
    assert not one.is_proven
    assert list(one.broken) == ["a"]


@pytest.mark.parametrize("reason", ["flaky", "cut-short", "reached", "missing-without", "missing-with"])
def test_what_is_undecided_does_not_prove_it(reason: Reason) -> None:
    one = trial(a=verdict("undecided", reason=reason), b=verdict("unaffected"))
    assert not one.is_proven
    assert list(one.unproven) == ["a"]
