"""Documents with annotations of every kind."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from msgspec.structs import replace
from suites import RUN, classification, evidence, facts, refused, result

from tracer.classify.detailed_checks import check_in_detail
from tracer.classify.findings import Finding, compare_with_baseline, find
from tracer.classify.model import Classification, RefusedService, RefusedUse
from tracer.classify.services.rules import AssumptionRule, Contract, Rules
from tracer.commands.options import FAIL_ON
from tracer.reports.annotations import Annotation, AnnotationsDocument, Place
from tracer.reports.blocks import Block
from tracer.reports.formats import FORMATS, Document
from tracer.reports.pages.validate import ValidationDocument

RULES = Rules({"kafka": AssumptionRule(markers=frozenset({"kafka"}))}, contracts=(Contract("marker", "unit", "none"),))
FACTS = (facts("t.py"), facts("t.py", markers=["kafka"]), facts("t.py", markers=["unit"]))
LINES = {"test_a[1]": 1, "test_a[2]": 1, "test_over": 2, "test_refused": 3, "test_unit": 4}


def place(nodeid: str) -> Place:
    file, _, name = nodeid.partition("::")
    return Place(file, LINES.get(name))


def printed(document: Document, form: str) -> str:
    buffer = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    FORMATS[form].print(document, buffer)
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
