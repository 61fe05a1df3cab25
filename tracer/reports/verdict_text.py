"""Verdicts in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tracer.classify.model import ALL_UNKNOWN, Reason, TestVerdict, Via
from tracer.reports.evidence_text import defined_in
from tracer.reports.fixture_names import known_fixture
from tracer.reports.text import counted, joined

_NAMED: Final = 3
"""The refused services are named in a sentence if there are at most so many."""
_REASONS: Final[Mapping[Reason | None, str]] = {
    "failed": "failed with the services, too",
    "skipped": "skipped with the services, too",
    "flaky": "flaky: equal runs had different outcomes",
    "cut-short": "the session ended before the test did",
    "reached": "reached a refused service",
    "missing-without": "not in the run without the services",
    "missing-with": "not in the run with the services",
    "conflict": "different verdicts in several trials",
    None: "for an unknown reason",
}


def any_of(services: Sequence[str]) -> str:
    """Some services as alternatives: `kafka or redis`, `one of 9 services`."""
    if len(services) > _NAMED:
        return f"one of {counted(len(services), 'service')}"
    return joined(map(named, services), "or")


def named(service: str) -> str:
    """A refused service's name."""
    return "endpoints without a name" if service == ALL_UNKNOWN else service


def reason_text(reason: Reason | None) -> str:
    """Why a test is undecided."""
    return _REASONS[reason]


def through_text(test: TestVerdict) -> str:
    """Through what a test was refused: `fixture db (defined in tests/conftest.py)`, `the test itself`."""
    match (test.through or "").partition(":"):
        case "session", _, _:
            return "what pytest does outside of tests"
        case "module", _, path:
            return f"the import of {path}"
        case "fixture", _, name if "@" in name:
            via = Via.parse(f"fixture:{name}")
            return f"fixture {known_fixture(via.name)} ({defined_in(via)})"
        case "fixture", _, name:
            return f"fixture {known_fixture(name)}"
    return "the test itself"
