"""One test's story as a page: what it uses and why, and what the rules assumed of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tracer.classify.assumptions import claims
from tracer.classify.model import Classification, Evidence, TestResult
from tracer.classify.tiers import tier_of
from tracer.reports.page import Block, Heading, Line, Names
from tracer.reports.story import amounts, doing
from tracer.reports.wording import counted, duration


def page(classification: Classification, nodeid: str) -> Iterator[Block]:
    """The story of a test that the classification has."""
    test = classification.tests[nodeid]
    attempts = f" in {counted(test.attempts, 'attempt')}" if test.attempts > 1 else ""
    yield Heading(nodeid)
    yield Line(f"It {_OUTCOMES.get(test.outcome, test.outcome)}{attempts}, and took {duration(test.duration_s)}.")
    tier = tier_of(test.services, classification.rules.tiers)
    yield Line(f"It uses {_and(test.services) or 'no service'}, which puts it in the tier {tier}.")
    yield from _assumed(classification, test)
    for service in dict.fromkeys((*test.services, *test.ambient, *test.self_hosted)):
        kinds = {
            "": [one for one in test.evidence if one.is_need],
            ", ambient: somebody else's doing while it ran": [
                one for one in test.evidence if not one.self_hosted and one.how == "ambient"
            ],
            ", provided by the run itself": [one for one in test.evidence if one.self_hosted],
        }
        for kind, evidence in kinds.items():
            told = [one for one in evidence if one.service == service]
            if told:
                yield Heading(f"{service}{kind}")
                yield Names(tuple(_told(told)))


_OUTCOMES = {
    "error": "ended in an error",
    "skipped": "was skipped",
    "xfailed": "failed as expected",
    "xpassed": "passed unexpectedly",
    "interrupted": "was interrupted",
}


def _assumed(classification: Classification, test: TestResult) -> Iterator[Line]:
    """What the rules say of it, entry by entry, and whether that is so."""
    facts = classification.facts[test.facts] if test.facts is not None else None
    for service, rule in classification.rules.assumptions.items():
        used = service in test.services
        if service in test.assumed:
            by = f" by {_and(map(str, claims(rule, facts)))}" if facts is not None else ""
            verdict = "and it does" if used else "and it does not"
            yield Line(f"It is assumed to use {service}{by}, {verdict}.", "" if used else "yellow")
        elif used:
            yield Line(f"No rule assumes that it uses {service}: a blind spot.", "bold red")
    if facts is not None:
        told = {"fixtures": facts.fixtures, "markers": facts.markers, "classes": facts.bases}
        known = "; ".join(f"{kind} {', '.join(names)}" for kind, names in told.items() if names)
        yield Line(f"Rules can go by its file {facts.path}" + (f"; {known}." if known else "."))


def _told(evidence: Iterable[Evidence]) -> Iterator[str]:
    for one in evidence:
        since = "after the run began" if one.how == "inherited" else "after it began"
        first = f"; first {one.first_s:.3f} s {since}" if one.first_s is not None else ""
        ambiguous = "; several tests ran at once, and it may be another's" if one.ambiguous else ""
        yield f"{doing(one)}: {amounts(one)}{first}{ambiguous}"


def _and(names: Iterable[str]) -> str:
    *some, last = names or [""]
    return f"{', '.join(some)} and {last}" if some else last
