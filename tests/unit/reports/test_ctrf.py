from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import hostile_suite
from annotated import printed
from msgspec import Meta, Struct
from msgspec.structs import replace
from suites import RUN, at_start, classification, result

from tracer import __version__
from tracer.classify.merge import merge
from tracer.classify.model import Classification, Outcome
from tracer.classify.services.rules import Rules, Tier
from tracer.reports.pages.summary import SummaryDocument
from tracer.trace.json_codec import load

RULES = Rules(tiers=(Tier("postgres_only", within=frozenset({"postgres"})), Tier("all")))
EXPECTED = (
    """\
{"reportFormat":"CTRF","specVersion":"0.0.0","generatedBy":"svc-trace VERSION","results":{"tool":{"name":"pytest"},\
"summary":{"tests":3,"passed":1,"failed":1,"skipped":0,"pending":1,"other":0,"start":1795211100000,\
"stop":1795211101500},"tests":[
    {"name":"test_both[a::b-[c]]","status":"passed","duration":250,"suite":["tests/test_a.py","TestOne"],\
"rawStatus":"passed","tags":["kafka","postgres"],"filePath":"tests/test_a.py","retries":1,"flaky":true,\
"extra":{"svc-trace.test":{"nodeid":"tests/test_a.py::TestOne::test_both[a::b-[c]]","services":["kafka","postgres"],\
"needs":["kafka","postgres"],"tier":["all"]}}},
    {"name":"test_crashed","status":"failed","duration":250,"suite":["tests/test_a.py"],"rawStatus":"crashed",\
"tags":[],"filePath":"tests/test_a.py","retries":0,"flaky":false,"extra":{"svc-trace.test":\
{"nodeid":"tests/test_a.py::test_crashed","services":[],"needs":["(any)"],"tier":["postgres_only"]}}},
    {"name":"README.md","status":"pending","duration":250,"rawStatus":"not run","tags":[],"filePath":"README.md",\
"retries":0,"flaky":false,"extra":{"svc-trace.test":{"nodeid":"README.md","services":[],"needs":["(any)"],\
"tier":["postgres_only"]}}}
]}}
"""
).replace("VERSION", __version__)

# The properties that svc-trace writes, as they are in ctrf-io/ctrf, schema/ctrf.schema.json, of 26 July 2026. There,
# `additionalProperties` is false; a required one has no default here.


class Tool(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1)]


class Summary(Struct, forbid_unknown_fields=True):
    tests: int
    passed: int
    failed: int
    skipped: int
    pending: int
    other: int
    start: int
    stop: int


class Test(Struct, forbid_unknown_fields=True):
    __test__ = False
    name: Annotated[str, Meta(min_length=1)]
    status: Literal["passed", "failed", "skipped", "pending", "other"]
    duration: int
    suite: Annotated[list[str], Meta(min_length=1)] | None = None
    rawStatus: str = ""
    tags: list[str] = []
    filePath: str = ""
    retries: int = 0
    flaky: bool = False
    extra: dict[str, Any] = {}


class Results(Struct, forbid_unknown_fields=True):
    tool: Tool
    summary: Summary
    tests: list[Test]


class Report(Struct, forbid_unknown_fields=True):
    reportFormat: Literal["CTRF"]
    specVersion: Annotated[str, Meta(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
    results: Results
    generatedBy: str = ""


def as_ctrf(one: Classification) -> str:
    return printed(SummaryDocument(one), "ctrf")


def valid(one: Classification) -> Results:
    """The results of a report, after a check by the schema."""
    report: Report = load(as_ctrf(one).encode(), Report)
    summary, statuses = report.results.summary, [test.status for test in report.results.tests]
    assert summary.tests == len(statuses) == len(one.tests)
    for status in ("passed", "failed", "skipped", "pending", "other"):
        assert getattr(summary, status) == statuses.count(status)
    return report.results


def test_each_test_has_its_services_needs_and_tier() -> None:
    tests = {
        "tests/test_a.py::TestOne::test_both[a::b-[c]]": replace(result(["kafka", "postgres"]), attempts=2),
        "tests/test_a.py::test_crashed": result(outcome="crashed"),
        "README.md": result(outcome="not run"),
    }
    one = classification(tests, (), RULES, run_evidence=(at_start("postgres"),))
    assert as_ctrf(one) == EXPECTED
    valid(one)


def test_every_outcome_has_a_status() -> None:
    one = classification({f"a.py::{outcome}": result(outcome=outcome) for outcome in get_args(Outcome)}, (), Rules())
    assert {test.rawStatus: test.status for test in valid(one).tests} == {
        "passed": "passed",
        "xpassed": "passed",
        "failed": "failed",
        "error": "failed",
        "crashed": "failed",
        "skipped": "skipped",
        "xfailed": "skipped",
        "not run": "pending",
        "interrupted": "other",
    }


def test_merged_runs_are_no_retries() -> None:
    tests = {"a.py::test_it": result()}
    runs = [
        classification(tests, (), Rules(), replace(RUN, started_at=f"2026-11-20T21:4{n}:00Z", duration_s=1.0))
        for n in range(2)
    ]
    results = valid(merge(runs))
    assert (results.tests[0].retries, results.tests[0].flaky) == (0, False)
    assert results.summary.stop - results.summary.start == 61_000


def test_no_tests() -> None:
    assert valid(classification({}, (), Rules())).tests == []


def test_hostile_text_is_a_value() -> None:
    one = hostile_suite.hostile()
    for started_at in (hostile_suite.HOSTILE[0], "0001-01-01T00:00:00+23:59"):
        assert len(valid(replace(one, run=replace(one.run, started_at=started_at))).tests) == len(one.tests)
    nameless = classification({"a.py::": result(), "::": result(), "": result()}, (), Rules())
    assert {test.name for test in valid(nameless).tests} == {"(no name)"}
