"""Builds tests' results and small classifications from assumed and observed services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from tracer.classify.classification import assemble, recheck
from tracer.classify.model import (
    Classification,
    Evidence,
    Outcome,
    Phase,
    RunInfo,
    TestResult,
    TestVerdict,
    Verdict,
    Verification,
)
from tracer.classify.services.rules import Rules
from tracer.classify.via import Via
from tracer.trace.endpoint import Endpoint
from tracer.trace.records import StaticFacts

RUN = RunInfo(("pytest",), "libbpf", "6.18.0", "2026-11-20T21:45:00Z", 1.5, 0, True, 0, (), lacks_causes="")


def evidence(
    service: str,
    *,
    phase: Phase = "call",
    fixture: str | None = None,
    via: str | None = None,
    ambient: bool = False,
    self_hosted: bool = False,
) -> Evidence:
    return Evidence(
        service=service,
        endpoint=Endpoint("tcp", "127.0.0.1", 5432),
        protocol=None,
        how="ambient" if ambient else "inherited" if via else "direct",
        via=Via.parse(via) if via else None,
        phase=phase,
        fixture=fixture,
        thread="test",
        command="pytest",
        strength="sent",
        self_hosted=self_hosted,
        ambiguous=False,
        connects=1,
        sends=3,
        bytes=120,
        errno=None,
        first_s=0.001,
    )


def result(
    services: Sequence[str] = (),
    assumed: Sequence[str] = (),
    outcome: Outcome = "passed",
    *,
    ambient: Sequence[str] = (),
    self_hosted: Sequence[str] = (),
    facts: int | None = None,
    evidence: Sequence[Evidence] = (),
) -> TestResult:
    return TestResult(
        outcome=outcome,
        duration_s=0.25,
        attempts=1,
        services=tuple(services),
        ambient=tuple(ambient),
        self_hosted=tuple(self_hosted),
        assumed=tuple(assumed),
        facts=facts,
        evidence=tuple(evidence),
    )


def refused(
    service: str,
    *,
    phase: Phase = "call",
    fixture: str | None = None,
    via: str | None = None,
    connects: int = 1,
    errno: str = "ECONNREFUSED",
) -> Evidence:
    """Evidence of attempts that were refused."""
    return replace(
        evidence(service, phase=phase, fixture=fixture, via=via),
        strength="attempted",
        connects=connects,
        sends=0,
        bytes=0,
        errno=errno,
    )


def at_start(service: str, *below: str) -> Evidence:
    """Evidence of the run: pytest used a service before its first test; all tests below some directories need it."""
    return replace(evidence(service), phase=None, needed_below=below or (".",))


def verdict(verdict: Verdict, *tried: str, **others: Any) -> TestVerdict:  # noqa: ANN401 -- a verdict's other fields
    fields: dict[str, Any] = {
        "outcome_with": "passed",
        "outcome_without": "failed" if verdict == "needs" else "passed",
    } | others
    return TestVerdict(verdict=verdict, tried=tried, **fields)


def verification(tests: Mapping[str, TestVerdict], *without: str, **others: Any) -> Verification:  # noqa: ANN401
    fields: dict[str, Any] = {"command": ("pytest",), "complete": True, "runs_with": 1, "runs_without": 1}
    return Verification(without=without, tests=tests, **{"generated_at": "2026-11-21T22:00:00Z", **fields, **others})


def facts(
    path: str,
    *,
    fixtures: Sequence[str] = (),
    markers: Sequence[str] = (),
    bases: Sequence[str] = (),
    autouse: Sequence[str] = (),
) -> StaticFacts:
    return StaticFacts(path, tuple(fixtures), tuple(markers), tuple(bases), tuple(autouse))


def classification(
    tests: Mapping[str, TestResult],
    facts: Sequence[StaticFacts],
    rules: Rules,
    run: RunInfo = RUN,
    *,
    run_evidence: Sequence[Evidence] = (),
) -> Classification:
    """A classification of these tests, checked by these rules."""
    unchecked = assemble(
        tests, tuple(facts), Rules(), run=run, run_evidence=tuple(run_evidence), generated_at="2026-11-20T22:00:00Z"
    )
    return recheck(unchecked, rules)
