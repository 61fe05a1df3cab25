from __future__ import annotations

import io

from msgspec.structs import replace
from rich.console import Console
from suites import refused, verdict, verification

from tracer.classify.tier_trial import TierTrial
from tracer.reports.formats.terminal import print_page
from tracer.reports.pages.tier import TierDocument
from tracer.trace.endpoint import Endpoint

KAFKA = replace(refused("kafka"), endpoint=Endpoint("tcp", "127.0.0.1", 9092))
TESTS = {
    "a.py::test_import": verdict("needs", "redis", through="module:a.py", outcome_without=None),
    "a.py::test_saves": verdict("needs", "kafka", refused=2),
    "a.py::test_strange": verdict("needs"),
    "b.py::test_retries": verdict("tolerates", "kafka", refused=3),
    "b.py::test_plain": verdict("unaffected"),
    "b.py::test_fails": verdict("undecided", reason="failed", outcome_with="failed"),
    "b.py::test_random": verdict("undecided", reason="flaky"),
}
PAGE = """
svc-trace: 2 of 7 tests of tier light pass with only postgres
           1 run with, 1 run without all other services
           1 test does not pass with all services either

Need other services: 3 tests
  redis (1)
    a.py::test_import
  kafka: tcp://127.0.0.1:9092 (1)
    a.py::test_saves
  no attempt was seen (1)
    a.py::test_strange

Not proven: 1 test
  flaky: equal runs had different outcomes (1)
    b.py::test_random

Tried other services, and do not need them: 1 test
  kafka: tcp://127.0.0.1:9092 (1)
    b.py::test_retries
"""


def printed(trial: TierTrial) -> str:
    stream = io.StringIO()
    print_page(TierDocument(trial).page(), Console(file=stream, width=100))
    return stream.getvalue()


def test_a_tier_that_is_broken() -> None:
    attempts = {"a.py::test_saves": (KAFKA, KAFKA), "b.py::test_retries": (KAFKA,)}
    assert printed(TierTrial("light", ("postgres",), verification(TESTS, "kafka", "redis"), attempts)) == PAGE


def test_a_tier_that_is_proven() -> None:
    passing = {"b.py::test_plain": TESTS["b.py::test_plain"]}
    page = printed(TierTrial("none", (), verification(passing, "kafka"), {}))
    assert page.splitlines()[1] == "svc-trace: 1 of 1 test of tier none pass with no service"


def test_a_run_that_lost_something_is_named() -> None:
    one = verification({"b.py::test_plain": verdict("unaffected")}, "kafka", complete=False)
    assert "attempts to use other services may be missing" in printed(TierTrial("none", (), one, {}))
