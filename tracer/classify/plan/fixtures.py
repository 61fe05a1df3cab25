"""What if a fixture used no service? The tests that would need fewer services, and their report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from tracer.classify.directories import most_first
from tracer.classify.evidence import services_in
from tracer.classify.model import Classification, Evidence, TestResult
from tracer.classify.selection import Needs


class Freed(NamedTuple):
    """A fixture, and the tests that need a service only because of it."""

    fixture: str
    tests: int
    services: tuple[str, ...]  # those that at least one of these tests would not need, sorted


def freed_tests(classification: Classification, needs: Mapping[str, Needs]) -> tuple[Freed, ...]:
    """The fixtures that tests do not choose one by one (autouse, or wider than function scope), most tests first."""
    tests: Counter[str] = Counter()
    services: dict[str, set[str]] = {}
    for nodeid, needed in needs.items():
        test = classification.tests.get(nodeid)
        if test is None:
            continue
        autouse = classification.facts[test.facts].autouse if test.facts is not None else ()
        freed: set[str] = set()
        for service, fixtures in _only_through(test).items():
            for fixture in fixtures if service in needed else ():
                if fixture in autouse or _is_shared(test, fixture):
                    freed.add(fixture)
                    services.setdefault(fixture, set()).add(service)
        tests.update(freed)
    ranked = most_first(tests).items()
    return tuple(Freed(fixture, number, tuple(sorted(services[fixture]))) for fixture, number in ranked)


def without_fixture(classification: Classification, fixture: str) -> Classification:
    """The classification, with no evidence of one fixture."""
    return replace(
        classification,
        tests={nodeid: _without(test, fixture) for nodeid, test in classification.tests.items()},
    )


def fixtures_with_evidence(classification: Classification) -> tuple[str, ...]:
    """The names of all fixtures in which tests used services, sorted."""
    return tuple(
        sorted(
            {fixture for test in classification.tests.values() for one in test.evidence for fixture in _fixtures(one)}
        )
    )


def _only_through(test: TestResult) -> dict[str, set[str]]:
    """Service → the fixtures of which each has all the evidence for it."""
    found: dict[str, set[str]] = {}
    for one in test.evidence:
        if one.is_need or one.how == "ambient":
            fixtures = _fixtures(one)
            found[one.service] = found[one.service] & fixtures if one.service in found else fixtures
    return found


def _fixtures(evidence: Evidence) -> set[str]:
    fixtures = {evidence.fixture} if evidence.fixture is not None else set()
    if evidence.via is not None and evidence.via.kind == "fixture":
        fixtures.add(evidence.via.name)
    return fixtures


def _is_shared(test: TestResult, fixture: str) -> bool:
    return any(
        one.via is not None and one.via.kind == "fixture" and fixture in (one.via.name, one.fixture)
        for one in test.evidence
    )


def _without(test: TestResult, fixture: str) -> TestResult:
    evidence = tuple(one for one in test.evidence if fixture not in _fixtures(one))
    if len(evidence) == len(test.evidence):
        return test
    return replace(test, evidence=evidence, **services_in(evidence)._asdict())
