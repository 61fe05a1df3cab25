"""Verdicts in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tracer.classify.model import ALL_UNKNOWN, Outcome, Reason, TestVerdict
from tracer.classify.via import Via
from tracer.reports.evidence_text import defined_in
from tracer.reports.fixture_names import known_fixture
from tracer.reports.text import counted, duration, joined

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
_OUTCOMES: Final[Mapping[Outcome, str]] = {
    "error": "ended in an error",
    "skipped": "was skipped",
    "xfailed": "failed as expected",
    "xpassed": "passed unexpectedly",
    "interrupted": "was interrupted",
    "not run": "was not run",
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


def outcome_text(outcome: Outcome) -> str:
    """What became of a test: `passed`, `was skipped`."""
    return _OUTCOMES.get(outcome, outcome)


def verdict_sentence(without: Sequence[str], test: TestVerdict) -> str:
    """The verdict of a test, and what became of it without some services."""
    services, attempts = any_of(without), counted(test.refused, "attempt")
    through = f" through {through_text(test)}" if test.through is not None else ""
    refused = f" {attempts} {'was' if test.refused == 1 else 'were'} refused." if test.refused else ""
    match test.verdict:
        case "undecided":
            return f"Whether it needs {services} is undecided: {reason_text(test.reason)}."
        case "unaffected":
            return f"It does not need {services}, and does not use it: without, it passed."
        case "needs":
            how = "did not run" if test.outcome_without is None else outcome_text(test.outcome_without)
            return f"It needs {services}{through}: without, it {how}.{refused}"
        case "tolerates":
            took = ""
            if test.duration_with_s is not None and test.duration_without_s is not None:
                took = f" in {duration(test.duration_without_s)} instead of {duration(test.duration_with_s)}"
            return f"It uses {services}{through}, but does not need it: without, it passed{took}.{refused}"


def through_text(test: TestVerdict) -> str:
    """Through what a test was refused: `fixture db (defined in tests/conftest.py)`, `the test itself`."""
    return through_words(test.through)


def through_words(through: str | None) -> str:
    """As `through_text`, of the text alone; None: the test itself."""
    match (through or "").partition(":"):
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
