from __future__ import annotations

import hostile_suite
from annotated import Sample, place, printed, suite, validation
from suites import classification, result

from tracer.classify.classification import recheck
from tracer.classify.diff import compare
from tracer.classify.findings import Finding, find
from tracer.classify.services.rules import AssumptionRule, Rules
from tracer.reports.annotations import Annotation, Place
from tracer.reports.formats import Document
from tracer.reports.pages.diff import DiffDocument

EXPECTED = """\
::error title=svc-trace%3A incomplete run::the run is not complete: tests may use more services than the report shows
::error file=t.py,line=4,title=svc-trace%3A broken contract::test_unit: breaks the contract marker:unit=none: uses redis
::warning file=t.py,line=1,title=svc-trace%3A blind spot::test_a[1], test_a[2]: uses kafka, which no rule claims for \
it: in the call, the test's thread sent to tcp://127.0.0.1:5432
::warning title=svc-trace%3A unknown endpoint::no rule names the endpoint tcp://10.0.0.1:70
::warning title=svc-trace%3A use of a refused service::something outside of the tests tried to use redis, which was \
refused
::warning file=t.py,line=3,title=svc-trace%3A use of a refused service::test_refused: tried to use redis, which was \
refused
::notice file=t.py,line=2,title=svc-trace%3A over-assumption::test_over: does not use kafka, which a rule claims for it
"""


def as_commands(document: Document) -> str:
    return printed(document, "github")


def test_findings_are_annotated_at_their_tests() -> None:
    assert as_commands(validation(suite())) == EXPECTED


def test_findings_without_a_test_are_at_the_configuration() -> None:
    lines = as_commands(validation(suite(), rules_file="a/pyproject.toml")).splitlines()
    assert lines[0].startswith("::error file=a/pyproject.toml,title=svc-trace%3A incomplete run::")
    assert lines[3].startswith("::warning file=a/pyproject.toml,title=svc-trace%3A unknown endpoint::")


def test_only_new_findings_of_the_chosen_kinds() -> None:
    one = suite()
    assert as_commands(validation(one, kinds=("over-assumed",))).count("\n") == 1
    loss = Finding("loss", "incomplete", "")
    assert as_commands(validation(one, *find(one) - {loss})) == EXPECTED.splitlines(keepends=True)[0]


def test_a_diff_has_notices() -> None:
    old = {"t.py::test_a[1]": result(["kafka"]), "t.py::test_over": result(["redis"]), "t.py::test_gone": result()}
    new = {
        "t.py::test_a[1]": result(["redis"]),
        "t.py::test_over": result(["redis"]),
        "t.py::test_b": result(["redis"]),
    }
    difference = compare(classification(old, (), Rules()), classification(new, (), Rules()))
    assert as_commands(DiffDocument(difference, place)) == (
        "::notice file=t.py,line=1,title=svc-trace%3A other services::test_a[1]: now uses redis\n"
        "::notice file=t.py,line=1,title=svc-trace%3A other services::test_a[1]: no longer uses kafka\n"
        "::notice file=t.py,title=svc-trace%3A other services::test_b: is new, and uses redis\n"
    )


def test_annotations_that_github_would_not_show_are_counted() -> None:
    ten = [Annotation("unknown", "", f"t.py::{n}", Place("t.py", n), "is wrong") for n in range(10)]
    assert as_commands(Sample(ten)).count("\n") == 10
    lines = as_commands(Sample([*ten, *ten, Annotation("unknown", "", "", None, "x")])).splitlines()
    assert lines[8] == "::warning file=t.py,line=8,title=svc-trace%3A unknown endpoint::8, 8: is wrong"
    assert lines[9:] == [
        "::warning title=svc-trace::GitHub does not show 2 more warnings: run the command without --format"
    ]


def test_text_cannot_end_a_property_or_a_line() -> None:
    one = Annotation("unknown", "", "a,b:c=\r\n%::x\n::error::y", Place("a,b:c=\r\n%\udc80", 7), "50%\n\x1b[1m")
    assert as_commands(Sample([one])) == (
        "::warning file=a%2Cb%3Ac=%0D%0A%25\\udc80,line=7,title=svc-trace%3A unknown endpoint"
        "::x\\n::error::y: 50%25\\n\\x1b[1m\n"
    )


def test_hostile_text_makes_no_other_command() -> None:
    one = recheck(hostile_suite.hostile(), Rules({"postgres": AssumptionRule()}))
    lines = as_commands(validation(one)).splitlines()
    assert len(lines) > 5
    assert all(line.startswith(("::warning file=", "::warning title=", "::notice file=")) for line in lines)
