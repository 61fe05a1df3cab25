from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import hostile_suite
from msgspec.structs import replace
from suites import RUN, classification, evidence, facts, refused, result

from tracer.classify.classification import recheck
from tracer.classify.detailed_checks import check_in_detail
from tracer.classify.diff import compare
from tracer.classify.findings import Finding, compare_with_baseline, find
from tracer.classify.model import Classification, RefusedService, RefusedUse
from tracer.classify.services.config import AssumptionRule, Contract, Rules
from tracer.commands.options import FAIL_ON
from tracer.reports.annotations import Annotation, AnnotationsDocument, Place
from tracer.reports.blocks import Block
from tracer.reports.formats import FORMATS, Document
from tracer.reports.pages.diff import DiffDocument
from tracer.reports.pages.validate import ValidationDocument

RULES = Rules({"kafka": AssumptionRule(markers=frozenset({"kafka"}))}, contracts=(Contract("marker", "unit", "none"),))
FACTS = (facts("t.py"), facts("t.py", markers=["kafka"]), facts("t.py", markers=["unit"]))
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
LINES = {"test_a[1]": 1, "test_a[2]": 1, "test_over": 2, "test_refused": 3, "test_unit": 4}


def place(nodeid: str) -> Place:
    file, _, name = nodeid.partition("::")
    return Place(file, LINES.get(name))


def printed(document: Document) -> str:
    buffer = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    FORMATS["github"].print(document, buffer)
    assert isinstance(buffer.buffer, io.BytesIO)
    return buffer.buffer.getvalue().decode()


def suite() -> Classification:
    tests = {
        "t.py::test_a[1]": result(["kafka"], facts=0, evidence=[evidence("kafka"), evidence("kafka")]),
        "t.py::test_a[2]": result(["kafka", "unknown:tcp://10.0.0.1:70"], facts=0, evidence=[evidence("kafka")]),
        "t.py::test_over": result(facts=1),
        "t.py::test_refused": result(facts=0, evidence=[refused("redis")]),
        "t.py::test_unit": result(["redis"], facts=2),
    }
    run = replace(RUN, complete=False, refused=(RefusedService("redis", 2),))
    use = RefusedUse(("t.py::test_refused",), 2, {"itself": 1}, 1, ())
    return replace(classification(tests, FACTS, RULES, run), refused={"redis": use})


def validation(
    one: Classification, *accepted: Finding, rules_file: str | None = None, kinds: tuple[str, ...] = ()
) -> ValidationDocument:
    compared = compare_with_baseline(find(one), accepted, FAIL_ON)
    checks = check_in_detail(one, accepted)
    return ValidationDocument(one, checks, compared, rules_file, bool(accepted), kinds, place)


def test_findings_are_annotated_at_their_tests() -> None:
    assert printed(validation(suite())) == EXPECTED


def test_findings_without_a_test_are_at_the_configuration() -> None:
    lines = printed(validation(suite(), rules_file="a/pyproject.toml")).splitlines()
    assert lines[0].startswith("::error file=a/pyproject.toml,title=svc-trace%3A incomplete run::")
    assert lines[3].startswith("::warning file=a/pyproject.toml,title=svc-trace%3A unknown endpoint::")


def test_only_new_findings_of_the_chosen_kinds() -> None:
    one = suite()
    assert printed(validation(one, kinds=("over-assumed",))).count("\n") == 1
    loss = Finding("loss", "incomplete", "")
    assert printed(validation(one, *find(one) - {loss})) == EXPECTED.splitlines(keepends=True)[0]


def test_a_diff_has_notices() -> None:
    old = {"t.py::test_a[1]": result(["kafka"]), "t.py::test_over": result(["redis"]), "t.py::test_gone": result()}
    new = {
        "t.py::test_a[1]": result(["redis"]),
        "t.py::test_over": result(["redis"]),
        "t.py::test_b": result(["redis"]),
    }
    difference = compare(classification(old, (), Rules()), classification(new, (), Rules()))
    assert printed(DiffDocument(difference, place)) == (
        "::notice file=t.py,line=1,title=svc-trace%3A other services::test_a[1]: now uses redis\n"
        "::notice file=t.py,line=1,title=svc-trace%3A other services::test_a[1]: no longer uses kafka\n"
        "::notice file=t.py,title=svc-trace%3A other services::test_b: is new, and uses redis\n"
    )


class Sample(AnnotationsDocument):
    """A document with these annotations."""

    def __init__(self, given: Iterable[Annotation]) -> None:
        self._given = given

    def annotations(self) -> Iterator[Annotation]:
        return iter(self._given)

    def page(self) -> Iterator[Block]:
        return iter(())

    def json(self) -> Iterator[bytes]:
        return iter(())


def test_annotations_that_github_would_not_show_are_counted() -> None:
    ten = [Annotation("unknown", "", f"t.py::{n}", Place("t.py", n), "is wrong") for n in range(10)]
    assert printed(Sample(ten)).count("\n") == 10
    lines = printed(Sample([*ten, *ten, Annotation("unknown", "", "", None, "x")])).splitlines()
    assert lines[8] == "::warning file=t.py,line=8,title=svc-trace%3A unknown endpoint::8, 8: is wrong"
    assert lines[9:] == [
        "::warning title=svc-trace::GitHub does not show 2 more warnings: run the command without --format"
    ]


def test_text_cannot_end_a_property_or_a_line() -> None:
    one = Annotation("unknown", "", "a,b:c=\r\n%::x\n::error::y", Place("a,b:c=\r\n%\udc80", 7), "50%\n\x1b[1m")
    assert printed(Sample([one])) == (
        "::warning file=a%2Cb%3Ac=%0D%0A%25\\udc80,line=7,title=svc-trace%3A unknown endpoint"
        "::x\\n::error::y: 50%25\\n\\x1b[1m\n"
    )


def test_hostile_text_makes_no_other_command() -> None:
    one = recheck(hostile_suite.hostile(), Rules({"postgres": AssumptionRule()}))
    lines = printed(validation(one)).splitlines()
    assert len(lines) > 5
    assert all(line.startswith(("::warning file=", "::warning title=", "::notice file=")) for line in lines)
