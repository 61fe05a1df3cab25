"""What if a fixture used no service: compared with removing its evidence and looking again."""

from __future__ import annotations

import suites
from hypothesis import given
from hypothesis import strategies as st

from tracer.classify.model import Classification, Evidence, TestResult
from tracer.classify.plan.fixtures import Freed, fixtures_with_evidence, freed_tests, without_fixture
from tracer.classify.selection import needs_of_tests
from tracer.classify.services.rules import Rules

SERVICES = st.sampled_from(["kafka", "redis"])
FIXTURES = st.sampled_from(["shared", "auto", "own"])


def used(service: str, fixture: str | None, *, ambient: bool = False) -> Evidence:
    via = "fixture:shared@" if fixture == "shared" else None
    return suites.evidence(service, phase="setup", fixture=fixture, via=via, ambient=ambient and via is None)


def a_test(evidence: list[Evidence]) -> TestResult:
    services = {one.service for one in evidence if one.is_need}
    ambient = {one.service for one in evidence if one.how == "ambient"} - services
    return suites.result(sorted(services), ambient=sorted(ambient), facts=0, evidence=evidence)


def classified(tests: list[list[Evidence]]) -> Classification:
    known = (suites.facts("a.py", fixtures=["auto", "own", "shared"], autouse=["auto"]),)
    return suites.classification({f"a.py::{n}": a_test(one) for n, one in enumerate(tests)}, known, Rules())


EVIDENCE = st.builds(used, SERVICES, st.none() | FIXTURES, ambient=st.booleans())


@given(st.lists(st.lists(EVIDENCE, max_size=4), max_size=6))
def test_a_test_is_freed_if_it_needs_less_without_the_fixture(tests: list[list[Evidence]]) -> None:
    one = classified(tests)
    needs = needs_of_tests(one)
    freed = {found.fixture: found for found in freed_tests(one, needs)}
    assert "own" not in freed, "tests choose it one by one"
    for fixture in ("shared", "auto"):
        less = needs_of_tests(without_fixture(one, fixture))
        changed = [nodeid for nodeid in needs if less[nodeid] != needs[nodeid]]
        services = {service for nodeid in changed for service in needs[nodeid] - less[nodeid]}
        expected = Freed(fixture, len(changed), tuple(sorted(services))) if changed else None
        assert freed.get(fixture) == expected


def test_the_fixture_that_frees_most_is_first() -> None:
    tests = [[used("kafka", "auto")], [used("kafka", "auto")], [used("redis", "shared")], [used("redis", None)]]
    one = classified(tests)
    assert [found.fixture for found in freed_tests(one, needs_of_tests(one))] == ["auto", "shared"]
    assert fixtures_with_evidence(one) == ("auto", "shared")
