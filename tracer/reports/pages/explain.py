"""One test: what it uses and why, and what the rules assume of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tracer.classify.assumptions import claims
from tracer.classify.model import Classification, Evidence, TestResult
from tracer.classify.run_needs import RunNeeds
from tracer.classify.tiers import chosen_tiers, tier_of
from tracer.reports.blocks import Block, Heading, Line, Name, Names, Styled
from tracer.reports.evidence_text import activity, amounts
from tracer.reports.fixture_names import known_fixture
from tracer.reports.text import counted, duration, joined
from tracer.reports.verdict_text import outcome_text, verdict_sentence


def page(classification: Classification, nodeid: str) -> Iterator[Block]:
    """The page of a test that the classification has."""
    test = classification.tests[nodeid]
    attempts = f" in {counted(test.attempts, 'attempt')}" if test.attempts > 1 else ""
    yield Heading(nodeid)
    yield Line(f"It {outcome_text(test.outcome)}{attempts}, and took {duration(test.duration_s)}.")
    tiers = chosen_tiers(classification.rules.tiers)
    needed = RunNeeds(classification.run_needs).of(nodeid)
    tier = f" Its tier is {tier_of(needed.union(test.services), tiers)}." if tiers else ""
    yield Line(f"It uses {joined(test.services) or 'no service'}.{tier}")
    if needed:
        yield Line(f"It needs {joined(sorted(needed))}: without, its session does not begin.")
    for trial in classification.verified:
        if (verdict := trial.tests.get(nodeid)) is not None:
            yield Line(verdict_sentence(trial.without, verdict))
    yield from _rules(classification, test)
    others = sorted({one.service for one in test.evidence})
    services = tuple(dict.fromkeys((*test.services, *test.ambient, *test.self_hosted, *others)))
    sections: dict[str, list[Name]] = defaultdict(list)
    for one in sorted(test.evidence, key=lambda one: (services.index(one.service), one.self_hosted, not one.is_need)):
        sections[_title(one)].append(_sentence(one))
    for title, sentences in sections.items():
        yield Heading(title)
        yield Names(tuple(sentences))


def _rules(classification: Classification, test: TestResult) -> Iterator[Line]:
    """What the rules assume of the test, by which entries, and whether they are correct."""
    facts = classification.facts[test.facts] if test.facts is not None else None
    for service, rule in classification.rules.assumptions.items():
        used = service in test.services
        if service in test.assumed:
            entries = joined(map(str, claims(rule, facts))) if facts is not None else ""
            by = f" ({entries})" if entries else ""
            result = "It does." if used else "It does not."
            yield Line(Styled(f"The rules claim that it uses {service}{by}. {result}", "" if used else "warning"))
        elif used:
            yield Line(Styled(f"No rule claims that it uses {service}: a blind spot.", "bad"))
    if facts is not None:
        fixtures = [name for name in facts.fixtures if known_fixture(name) == name]  # of others, no rule knows the name
        names = {"fixtures": fixtures, "markers": facts.markers, "classes": facts.bases}
        known = "; ".join(f"{kind} {', '.join(of_kind)}" for kind, of_kind in names.items() if of_kind)
        yield Line(f"Rules can select it by: file {facts.path}" + (f"; {known}." if known else "."))


def _title(evidence: Evidence) -> str:
    if evidence.self_hosted:
        return f"{evidence.service}, provided by the run itself"
    if evidence.how == "goodbye":
        return f"{evidence.service}, goodbye: a connection was closed that the test did not use otherwise"
    if evidence.how == "ambient":
        asked = "unknown whether this test asked for it" if evidence.asked is None else "this test did not ask for it"
        return f"{evidence.service}, ambient: used while the test ran; {asked}"
    return evidence.service


def _sentence(evidence: Evidence) -> str:
    start = "run" if evidence.how == "inherited" else "test"
    first = f"; first {evidence.first_s:.3f} s after the {start} began" if evidence.first_s is not None else ""
    ambiguous = "; perhaps sent by another test that ran at the same time" if evidence.ambiguous else ""
    return f"{activity(evidence)}: {amounts(evidence)}{first}{ambiguous}"
