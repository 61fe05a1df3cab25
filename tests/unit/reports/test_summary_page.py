from __future__ import annotations

from typing import get_args

from suites import classification, evidence, facts, result

from tracer.classify.model import Classification, Evidence, Outcome
from tracer.classify.services.rules import Rules
from tracer.reports.blocks import Headline, pieces
from tracer.reports.pages.summary import SummaryDocument, users

FLUSH = evidence("redis", phase="teardown", fixture="flush")


def suite(evidence_of: dict[str, list[Evidence]]) -> Classification:
    tests = {
        nodeid: result(sorted({one.service for one in evidence}), facts=0, evidence=evidence)
        for nodeid, evidence in evidence_of.items()
    }
    return classification(tests, [facts("t.py")], Rules())


def headline(one: Classification) -> Headline:
    return next(block for block in SummaryDocument(one).page() if isinstance(block, Headline))


def test_every_outcome_is_counted_below_the_first_line() -> None:
    tests = {outcome: result(outcome=outcome) for outcome in get_args(Outcome)}
    (counts,) = headline(classification(tests, [], Rules())).details
    assert {part.text for part in pieces(counts)} == {", ", *(f"1 {outcome}" for outcome in tests)}


def test_the_parts_that_use_a_service_are_listed_most_first() -> None:
    flushed = {f"t/a.py::{n}": [FLUSH] for n in range(49)}
    assert users(suite({**flushed, "t/a.py::own": [evidence("redis")]})) == {
        "redis": "49 of 50 only through fixture flush (teardown), 1 itself"
    }


def test_rare_parts_are_counted_together() -> None:
    rare = {f"t/a.py::{n}": [evidence("redis", phase="setup", fixture=f"f{n}")] for n in range(5)}
    assert users(suite(rare))["redis"] == (
        "1 of 5 only through fixture f0 (setup), 1 only through fixture f1 (setup), "
        "1 only through fixture f2 (setup), 2 only through other fixtures or hooks"
    )


def test_fixtures_of_pytest_are_counted_by_the_names_that_people_know() -> None:
    classes = {f"t/a.py::{name}::t": f"_unittest_setUpClass_fixture_{name}" for name in ("A", "B", "C", "D", "E")}
    used = {nodeid: [evidence("redis", phase="setup", fixture=fixture)] for nodeid, fixture in classes.items()}
    one = suite({**used, "t/a.py::1": [evidence("redis")], "t/a.py::2": [evidence("redis")]})
    assert users(one) == {"redis": "5 of 7 only through fixture setUpClass (setup), 2 themselves"}
    assert "fixture _unittest_setUpClass_fixture_A (setup)" in one.why["redis"].only_through


def test_one_test_is_not_a_share() -> None:
    assert users(suite({"t/a.py::1": [FLUSH]})) == {"redis": "1 only through fixture flush (teardown)"}
    both = {"t/a.py::1": [FLUSH], "t/a.py::2": [FLUSH]}
    assert users(suite(both)) == {"redis": "all 2 only through fixture flush (teardown)"}


def test_a_service_that_all_tests_use_themselves_is_left_out() -> None:
    assert users(suite({"t/a.py::1": [evidence("redis")]})) == {}


def test_a_service_that_one_directory_uses_is_shown_with_it() -> None:
    snuba = {f"tests/snuba/api/t.py::{n}": [evidence("snuba")] * (n < 10) for n in range(20)}
    others: dict[str, list[Evidence]] = {f"tests/t.py::{n}": [] for n in range(20)}
    assert users(suite(snuba | others)) == {"snuba": "all 10 themselves; all are in tests/snuba/api"}


def test_a_service_that_one_directory_uses_nearly_alone() -> None:
    pool = evidence("postgres", phase="setup", fixture="pg", via="fixture:pg@")
    inside = {f"tests/integration/t.py::{n}": [evidence("postgres")] for n in range(11)}
    others: dict[str, list[Evidence]] = {f"tests/t.py::{n}": [] for n in range(20)}
    assert users(suite({**inside, **others, "tests/t.py::pool": [pool]})) == {
        "postgres": "11 of 12 themselves, 1 only through fixture pg (setup); 11 are in tests/integration"
    }


def test_one_test_is_in_its_directory() -> None:
    others: dict[str, list[Evidence]] = {f"tests/t.py::{n}": [] for n in range(20)}
    assert users(suite({"tests/a/t.py::1": [evidence("kafka")], **others})) == {"kafka": "1 itself; 1 is in tests/a"}
