from __future__ import annotations

import json
from typing import Any

import hostile_suite
from annotated import Sample, printed, suite, validation
from suites import classification, result

from tracer.classify.classification import recheck
from tracer.classify.diff import compare
from tracer.classify.services.rules import AssumptionRule, Rules
from tracer.reports.annotations import Annotation, Place
from tracer.reports.formats import Document
from tracer.reports.pages.diff import DiffDocument

BLIND_SPOT = """
    {"description":"test_a[1]: uses kafka, which no rule claims for it: in the call, the test's thread sent to \
tcp://127.0.0.1:5432","check_name":"svc-trace/blind-spots",\
"fingerprint":"e47b787d4f8efbbfd40df691073989d671db859b892159dd97eb3ababf524eac","severity":"major",\
"location":{"path":"t.py","lines":{"begin":1}}},
"""


def issues(document: Document) -> list[dict[str, Any]]:
    """The report, with only the fields and values that GitLab's documentation has."""
    report = json.loads(printed(document, "codequality"))
    for issue in report:
        assert {*issue} == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert all(type(issue[name]) is str for name in ("description", "check_name", "fingerprint"))
        assert {*issue["location"]} == {"path", "lines"}
        assert {*issue["location"]["lines"]} == {"begin"}
        assert issue["location"]["lines"]["begin"] > 0
    assert len({issue["fingerprint"] for issue in report}) == len(report)
    assert isinstance(report, list)
    return report


def test_an_issue_is_a_line() -> None:
    assert BLIND_SPOT in printed(validation(suite()), "codequality")


def test_all_findings_are_issues() -> None:
    assert [
        (issue["check_name"], issue["severity"], issue["location"]["path"], issue["location"]["lines"]["begin"])
        for issue in issues(validation(suite()))
    ] == [
        ("svc-trace/loss", "critical", "svc-trace.toml", 1),
        ("svc-trace/blind-spots", "major", "t.py", 1),
        ("svc-trace/blind-spots", "major", "t.py", 1),
        ("svc-trace/contracts", "critical", "t.py", 4),
        ("svc-trace/over-assumed", "minor", "t.py", 2),
        ("svc-trace/unknown", "minor", "svc-trace.toml", 1),
        ("svc-trace/refused", "major", "svc-trace.toml", 1),
        ("svc-trace/refused", "major", "t.py", 3),
    ]
    assert issues(validation(suite(), rules_file="pyproject.toml"))[0]["location"]["path"] == "pyproject.toml"


def test_no_findings_are_an_empty_report() -> None:
    one = classification({"a": result()}, (), Rules())
    assert printed(DiffDocument(compare(one, one)), "codequality") == "[\n]\n"


def test_a_fingerprint_is_that_of_the_finding() -> None:
    one = Annotation("blind-spots", "kafka", "t.py::test_a", Place("t.py", 1), "in the call")
    same = [
        Annotation("blind-spots", "kafka", "t.py::test_a", Place("sub/t.py", 2), "in the setup"),
        Annotation("blind-spots", "kafka", "t.py::test_a", None, ""),
    ]
    others = [
        Annotation("over-assumed", "kafka", "t.py::test_a", Place("t.py", 1), "in the call"),
        Annotation("blind-spots", "redis", "t.py::test_a", Place("t.py", 1), "in the call"),
        Annotation("blind-spots", "kafka", "t.py::test_b", Place("t.py", 1), "in the call"),
        Annotation("blind-spots", "kafka\udc80", "", Place("t.py", 1), "in the call"),
    ]
    (expected,) = (issue["fingerprint"] for issue in issues(Sample([one])))
    assert {issues(Sample([other]))[0]["fingerprint"] for other in same} == {expected}
    assert len(issues(Sample([one, *others]))) == 5


def test_hostile_text_is_shown() -> None:
    one = recheck(hostile_suite.hostile(), Rules({"postgres": AssumptionRule()}))
    report = issues(validation(one))
    assert len(report) >= len(hostile_suite.HOSTILE)
    assert all(issue["description"].isprintable() and issue["location"]["path"].isprintable() for issue in report)
