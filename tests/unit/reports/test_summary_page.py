from __future__ import annotations

from typing import get_args

from msgspec.structs import replace
from suites import classification, evidence, facts, result

from tracer.classify.model import Classification, Evidence, Outcome
from tracer.classify.services.config import Rules
from tracer.reports.blocks import Headline, pieces
from tracer.reports.pages.summary import SummaryDocument, notes, users

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
        "redis": "49 (98%) only through fixture flush (teardown); 1 (2.0%) in the test itself"
    }


def test_rare_parts_are_counted_together() -> None:
    rare = {f"t/a.py::{n}": [evidence("redis", phase="setup", fixture=f"f{n}")] for n in range(5)}
    assert users(suite(rare))["redis"].endswith(
        "; 1 (20%) only through fixture f2 (setup); 2 (40%) only through other fixtures or hooks"
    )


def test_a_service_that_all_tests_use_themselves_is_left_out() -> None:
    assert users(suite({"t/a.py::1": [evidence("redis")]})) == {}


def test_a_service_that_one_directory_uses_is_shown_with_it() -> None:
    snuba = {f"tests/snuba/api/t.py::{n}": [evidence("snuba")] * (n < 10) for n in range(20)}
    others: dict[str, list[Evidence]] = {f"tests/t.py::{n}": [] for n in range(20)}
    assert users(suite(snuba | others)) == {
        "snuba": "10 (100%) in the test itself; all are in tests/snuba/api, which has 20 tests"
    }


def test_an_unknown_endpoint_is_described_by_its_listener() -> None:
    unknown = replace(evidence("unknown:tcp://127.0.0.1:7070"), listener="billing")
    one = suite({"t.py::1": [unknown], "t.py::2": [evidence("unknown:tcp://10.0.0.1:70")]})
    assert notes(one) == {"Unknown endpoints": "tcp://127.0.0.1:7070 [billing] (1 test), tcp://10.0.0.1:70 (1 test)"}
