"""One test: what it uses and why, and what the rules assume of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from tracer.classify.assumptions import claims
from tracer.classify.model import Classification, Evidence, TestResult
from tracer.classify.tiers import tier_of
from tracer.reports.blocks import Block, Heading, Line, Names, Styled
from tracer.reports.evidence_text import activity, amounts
from tracer.reports.text import counted, duration, joined

_OUTCOMES: Final = {
    "error": "ended in an error",
    "skipped": "was skipped",
    "xfailed": "failed as expected",
    "xpassed": "passed unexpectedly",
    "interrupted": "was interrupted",
}


def page(classification: Classification, nodeid: str) -> Iterator[Block]:
    """The page of a test that the classification has."""
    test = classification.tests[nodeid]
    attempts = f" in {counted(test.attempts, 'attempt')}" if test.attempts > 1 else ""
    yield Heading(nodeid)
    yield Line(f"It {_OUTCOMES.get(test.outcome, test.outcome)}{attempts}, and took {duration(test.duration_s)}.")
    tier = tier_of(test.services, classification.rules.tiers)
    yield Line(f"It uses {joined(test.services) or 'no service'}. Its tier is {tier}.")
    yield from _rules(classification, test)
    for service in dict.fromkeys((*test.services, *test.ambient, *test.self_hosted)):
        of_service = [one for one in test.evidence if one.service == service]
        for title, evidence in {
            service: [one for one in of_service if one.is_need],
            f"{service}, ambient: used while the test ran, but not by the test": [
                one for one in of_service if one.how == "ambient" and not one.self_hosted
            ],
            f"{service}, provided by the run itself": [one for one in of_service if one.self_hosted],
        }.items():
            if evidence:
                yield Heading(title)
                yield Names(tuple(_sentences(evidence)))


def _rules(classification: Classification, test: TestResult) -> Iterator[Line]:
    """What the rules assume of the test, by which entries, and whether they are correct."""
    facts = classification.facts[test.facts] if test.facts is not None else None
    for service, rule in classification.rules.assumptions.items():
        used = service in test.services
        if service in test.assumed:
            by = f" ({joined(map(str, claims(rule, facts)))})" if facts is not None else ""
            result = "It does." if used else "It does not."
            yield Line(Styled(f"The rules claim that it uses {service}{by}. {result}", "" if used else "warning"))
        elif used:
            yield Line(Styled(f"No rule claims that it uses {service}: a blind spot.", "bad"))
    if facts is not None:
        names = {"fixtures": facts.fixtures, "markers": facts.markers, "classes": facts.bases}
        known = "; ".join(f"{kind} {', '.join(of_kind)}" for kind, of_kind in names.items() if of_kind)
        yield Line(f"Rules can select it by: file {facts.path}" + (f"; {known}." if known else "."))


def _sentences(evidence: Iterable[Evidence]) -> Iterator[str]:
    for one in evidence:
        start = "run" if one.how == "inherited" else "test"
        first = f"; first {one.first_s:.3f} s after the {start} began" if one.first_s is not None else ""
        ambiguous = "; perhaps sent by another test that ran at the same time" if one.ambiguous else ""
        yield f"{activity(one)}: {amounts(one)}{first}{ambiguous}"
