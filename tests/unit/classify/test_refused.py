"""What a report says about the services that were refused to its run."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from suites import RUN, classification, evidence, refused, result

from tracer.classify.merge import merge
from tracer.classify.model import Evidence, RefusedService, RefusedUse, RunInfo, TestResult
from tracer.classify.refused import refused_services, refused_uses
from tracer.classify.services.rules import Rules
from tracer.trace.records import Refused


def test_calls_of_one_service_add_up() -> None:
    records = (Refused("redis"), Refused("kafka"), Refused("redis", first_port=6379), Refused("redis", calls=3))
    assert refused_services(records) == (RefusedService("kafka", 0), RefusedService("redis", 3))


def test_calls_are_unknown_if_one_number_is() -> None:
    records = (Refused("redis", calls=3), Refused("redis", path="/run/redis.sock", calls=None), Refused("redis"))
    assert refused_services(records) == (RefusedService("redis", None),)


def test_what_has_no_name_is_unknown() -> None:
    assert refused_services([Refused("", calls=2)]) == (RefusedService("(unknown)", 2),)


WITHOUT_REDIS = replace(RUN, refused=(RefusedService("kafka", 0), RefusedService("redis", 9)))
ITSELF, DB = refused("redis"), refused("redis", phase="setup", fixture="db")
POOL = refused("redis", phase="setup", fixture="pool", via="fixture:pool@tests")
SENT = evidence("redis")


def using(*found: Evidence) -> TestResult:
    return result(sorted({one.service for one in found}), evidence=found)


def uses(tests: dict[str, TestResult], *outside: Evidence, run: RunInfo = WITHOUT_REDIS) -> dict[str, RefusedUse]:
    return refused_uses(tests, outside, (run,))


def test_what_tests_tried_and_through_what() -> None:
    tests = {"b": using(ITSELF), "a": using(ITSELF, ITSELF), "c": using(DB), "d": using(POOL), "e": using()}
    through = {"itself": 2, "fixture:db": 1, "fixture:pool@tests": 1}
    assert uses(tests) == {"redis": RefusedUse(("a", "b", "c", "d"), 5, through, 0, ())}


def test_what_was_tried_outside_of_tests() -> None:
    assert uses({}, ITSELF) == {"redis": RefusedUse((), 0, {}, 1, ())}


@pytest.mark.parametrize("found", [replace(ITSELF, how="ambient"), replace(ITSELF, self_hosted=True)])
def test_what_no_test_asked_for_does_not_count(found: Evidence) -> None:
    assert uses({"a": using(found)}) == {}


def test_a_service_that_was_not_refused_does_not_count() -> None:
    assert uses({"a": using(refused("smtp"))}) == {}
    assert uses({"a": using(ITSELF)}, run=RUN) == {}


def test_a_service_that_was_reached() -> None:
    assert uses({"a": using(SENT)}) == {"redis": RefusedUse((), 0, {}, 0, ("a",))}


def test_a_merged_report_says_what_was_tried_and_not_what_another_run_reached() -> None:
    """The attempts remain uses of the tests: what selects tests by services does not leave them out."""
    parts = [
        classification({"a": using(SENT)}, [], Rules(), RUN),
        classification({"b": using(ITSELF)}, [], Rules(), replace(WITHOUT_REDIS, duration_s=3.0)),
    ]
    merged = merge(parts)
    assert merged.refused == {"redis": RefusedUse(("b",), 1, {"itself": 1}, 0, ())}
    assert {nodeid: test.services for nodeid, test in merged.tests.items()} == {"a": ("redis",), "b": ("redis",)}
