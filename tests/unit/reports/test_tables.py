from __future__ import annotations

from dataclasses import replace

from suites import classification, evidence, facts, result

from tracer.classify.model import Classification, Evidence
from tracer.classify.services.config import Rules
from tracer.reports.tables import needs, notes

FLUSH = evidence("redis", phase="teardown", fixture="flush")


def suite(told: dict[str, list[Evidence]]) -> Classification:
    tests = {
        nodeid: result(sorted({one.service for one in evidence}), facts=0, evidence=evidence)
        for nodeid, evidence in told.items()
    }
    return classification(tests, [facts("t.py")], Rules())


def test_what_makes_tests_need_a_service_is_told_most_first() -> None:
    told = {f"t/a.py::{n}": [FLUSH] for n in range(49)}
    assert needs(suite({**told, "t/a.py::own": [evidence("redis")]})) == {
        "redis": "98% only through fixture flush (teardown); 2.0% on their own"
    }


def test_rare_ways_are_told_together() -> None:
    told = {f"t/a.py::{n}": [evidence("redis", phase="setup", fixture=f"f{n}")] for n in range(5)}
    assert needs(suite(told))["redis"].endswith("; 20% only through fixture f2 (setup); 40% only through others")


def test_what_all_need_on_their_own_says_nothing() -> None:
    assert needs(suite({"t/a.py::1": [evidence("redis")]})) == {}


def test_a_service_that_one_folder_uses_is_told_with_it() -> None:
    snuba = {f"tests/snuba/api/t.py::{n}": [evidence("snuba")] * (n < 10) for n in range(20)}
    others: dict[str, list[Evidence]] = {f"tests/t.py::{n}": [] for n in range(20)}
    assert needs(suite(snuba | others)) == {
        "snuba": "100% on their own; 100% in tests/snuba/api, where 50% of the tests use it"
    }


def test_an_unknown_endpoint_is_described_by_who_listens_there() -> None:
    unknown = replace(evidence("unknown:tcp://127.0.0.1:7070"), listener="billing")
    one = suite({"t.py::1": [unknown], "t.py::2": [evidence("unknown:tcp://10.0.0.1:70")]})
    assert notes(one) == {"Unknown endpoints": "tcp://127.0.0.1:7070 [billing] (1 test), tcp://10.0.0.1:70 (1 test)"}
