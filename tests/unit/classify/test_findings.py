from __future__ import annotations

from typing import get_args

import pytest
from msgspec.structs import replace
from suites import RUN, classification, facts, result

from tracer.classify.findings import Finding, Kind, compare_with_baseline, find
from tracer.classify.model import Classification, RefusedUse, RunInfo
from tracer.classify.services.rules import AssumptionRule, Contract, Rules
from tracer.commands.options import FAIL_ON

RULES = Rules({"kafka": AssumptionRule(markers=frozenset({"kafka"}))}, contracts=(Contract("marker", "unit", "none"),))
FACTS = (facts("t.py"), facts("t.py", markers=["kafka", "unit"]))


def suite(run: RunInfo = RUN) -> Classification:
    tests = {
        "t.py::blind": result(["kafka", "unknown:tcp://10.0.0.1:70"], facts=0),
        "t.py::over": result(["unknown:tcp://10.0.0.1:70"], facts=1),
        "t.py::right": result(["kafka"], facts=1),
    }
    return classification(tests, FACTS, RULES, run)


EVERYTHING = {
    Finding("blind-spots", "kafka", "t.py::blind"),
    Finding("over-assumed", "kafka", "t.py::over"),
    Finding("contracts", "marker:unit=none", "t.py::over"),
    Finding("contracts", "marker:unit=none", "t.py::right"),
    Finding("unknown", "tcp://10.0.0.1:70", ""),
}


def test_everything_is_found() -> None:
    assert find(suite()) == EVERYTHING


@pytest.mark.parametrize("run", [replace(RUN, complete=False), replace(RUN, pytest_reported=False)])
def test_a_run_that_is_not_whole_is_a_loss(run: RunInfo) -> None:
    assert find(suite(run)) == {*EVERYTHING, Finding("loss", "incomplete", "")}


def test_uses_of_refused_services() -> None:
    """Each test that tried or reached one, and what was tried outside of tests."""
    use = RefusedUse(("t.py::a", "t.py::b"), 3, {"itself": 2}, 1, ("t.py::b", "t.py::c"))
    found = find(suite()) ^ find(replace(suite(), refused={"redis": use}))
    assert found == {Finding("refused", "redis", nodeid) for nodeid in ("t.py::a", "t.py::b", "t.py::c", "")}


def test_findings_are_held_against_a_baseline() -> None:
    kept, gone = Finding("blind-spots", "kafka", "t.py::blind"), Finding("blind-spots", "kafka", "t.py::mended")
    other = Finding("over-assumed", "kafka", "t.py::mended")
    comparison = compare_with_baseline(EVERYTHING, {kept, gone, other}, ["blind-spots", "unknown"])
    assert comparison.new == (Finding("unknown", "tcp://10.0.0.1:70", ""),)
    assert (comparison.accepted, comparison.gone) == (1, (gone,))


def test_a_loss_is_never_accepted() -> None:
    loss = Finding("loss", "incomplete", "")
    assert compare_with_baseline({loss}, {loss}, ["loss"]).new == (loss,)


def test_every_kind_of_finding_can_fail_a_command() -> None:
    assert set(FAIL_ON) == set(get_args(Kind))
    assert len(set(FAIL_ON.values())) == len(FAIL_ON)
