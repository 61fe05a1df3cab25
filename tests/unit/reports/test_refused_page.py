"""The part of the summary about services that were refused to the run."""

from __future__ import annotations

from msgspec.structs import replace
from suites import RUN, classification, evidence, refused, result

from tracer.classify.model import Classification, Evidence, RefusedService
from tracer.classify.services.rules import Rules
from tracer.reports.blocks import Line, Notice, Table
from tracer.reports.pages.refused import refused_blocks, refused_sentence

ITSELF, DB = refused("redis"), refused("kafka", phase="setup", fixture="db", connects=1500)
REACHED = evidence("kafka")


def suite(*services: str, **found: Evidence) -> Classification:
    tests = {name: result([one.service], evidence=[one]) for name, one in found.items()}
    run = replace(RUN, refused=tuple(RefusedService(service, 0) for service in services))
    return classification(tests, [], Rules(), run)


def test_a_run_that_was_refused_nothing() -> None:
    assert [*refused_blocks(suite(a=ITSELF))] == []


def test_services_that_no_test_tried() -> None:
    assert [*refused_blocks(suite("redis"))] == [Line("Refused: redis. No test tried to use it.")]
    assert [*refused_blocks(suite("kafka", "redis"))] == [Line("Refused: kafka and redis. No test tried to use one.")]
    assert [*refused_blocks(suite(*"abcd"))] == [Line("Refused: 4 services. No test tried to use one.")]
    assert refused_sentence(suite("redis").refused) is None


def test_services_that_tests_tried() -> None:
    one = suite("kafka", "redis", a=ITSELF, b=DB, c=ITSELF)
    (table,) = refused_blocks(one)
    assert isinstance(table, Table)
    assert [row[1:] for row in table.rows] == [("1", "1,500", "1 through fixture db"), ("2", "2", "2 themselves")]
    assert refused_sentence(one.refused) == "3 tests tried to use refused services: kafka (1), redis (2)"


def test_what_was_tried_outside_of_tests() -> None:
    one = suite("redis")
    outside = replace(
        one, refused={"redis": replace(suite("redis", a=ITSELF).refused["redis"], tests=(), through={}, outside=2)}
    )
    (table,) = refused_blocks(outside)
    assert isinstance(table, Table)
    assert [row[1:] for row in table.rows] == [("0", "3", "2 attempts outside of tests")]
    assert refused_sentence(outside.refused) == "no test tried to use a refused service: redis (outside of tests)"


def test_a_service_that_was_reached() -> None:
    line, notice = refused_blocks(suite("kafka", a=REACHED, b=REACHED))
    assert isinstance(line, Line)
    assert isinstance(notice, Notice)
    assert notice.text == "kafka was reached although it was refused: 2 tests, such as a"
