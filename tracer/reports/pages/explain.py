"""One test: what it uses and why, and what the rules assume of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tracer.classify.assumptions import claims
from tracer.classify.model import Classification, Evidence, TestResult
from tracer.classify.run_needs import RunNeeds
from tracer.classify.tiers import chosen_tiers
from tracer.reports.blocks import Block, Heading, Line, Names, Styled
from tracer.reports.evidence_text import activity, amounts
from tracer.reports.fixture_names import known_fixture
from tracer.reports.text import counted, duration, joined
from tracer.reports.verdict_text import outcome_text, verdict_sentence


def page(classification: Classification, nodeid: str) -> Iterator[Block]:
    """The page of a test that the classification has."""
    yield Heading(nodeid)
    yield from statements(classification, nodeid)
    for title, evidence in sections(classification.tests[nodeid]).items():
        yield Heading(title)
        yield Names(tuple(map(_sentence, evidence)))


def statements(classification: Classification, nodeid: str) -> Iterator[Line]:
    """What became of a test, what it uses and needs, and what the rules assume of it."""
    test = classification.tests[nodeid]
    attempts = f" in {counted(test.attempts, 'attempt')}" if test.attempts > 1 else ""
    yield Line(f"It {outcome_text(test.outcome)}{attempts}, and took {duration(test.duration_s)}.")
    tiers = chosen_tiers(classification.rules.tiers)
    run_needs = RunNeeds(classification.run_needs)
    needed = run_needs.of(nodeid)
    tier = f" Its tier is {run_needs.tier_of_test(nodeid, test.services, tiers)}." if tiers else ""
    yield Line(f"It uses {joined(test.services) or 'no service'}.{tier}")
    if needed:
        yield Line(f"It needs {joined(sorted(needed))}: without, its session does not begin.")
    for trial in classification.verified:
        if (verdict := trial.tests.get(nodeid)) is not None:
            yield Line(verdict_sentence(trial.without, verdict))
    yield from _rules(classification, test)


def sections(test: TestResult) -> dict[str, list[Evidence]]:
    """A test's evidence by the title under which it is listed, that of the services that it uses first."""
    others = sorted({one.service for one in test.evidence})
    services = tuple(dict.fromkeys((*test.services, *test.ambient, *test.self_hosted, *others)))
    by_title: dict[str, list[Evidence]] = defaultdict(list)
    for one in sorted(test.evidence, key=lambda one: (services.index(one.service), one.self_hosted, not one.is_need)):
        by_title[_title(one)].append(one)
    return by_title


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


def sentence(evidence: Evidence) -> tuple[str, str]:
    """Evidence in words, in two parts: between them stand the seconds to its first event, if they are known."""
    known = evidence.first_s is not None
    start = "run" if evidence.how == "inherited" else "test"
    after = f" s after the {start} began" if known else ""
    ambiguous = "; perhaps sent by another test that ran at the same time" if evidence.ambiguous else ""
    return f"{activity(evidence)}: {amounts(evidence)}{'; first ' if known else ''}", after + ambiguous


def _sentence(evidence: Evidence) -> str:
    what, after = sentence(evidence)
    return f"{what}{'' if evidence.first_s is None else f'{evidence.first_s:.3f}'}{after}"
