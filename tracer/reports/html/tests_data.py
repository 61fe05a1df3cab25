"""The tests of a report as a page's data: columns with a value for each test, and tables to which their numbers refer.

Two documents, because the second is larger and only the view of a test needs it: `index` (what the lists and the matrix
show) and `details` (evidence and explanations). All text is made printable here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, get_args

from msgspec.structs import replace

from tracer.classify.model import (
    Classification,
    Evidence,
    How,
    Outcome,
    Phase,
    Strength,
    TestResult,
    Verdict,
    Verification,
)
from tracer.classify.run_needs import RunNeeds
from tracer.classify.tiers import chosen_tiers
from tracer.reports.blocks import plain_text
from tracer.reports.fixture_names import known_fixture
from tracer.reports.html.numbered import Numbered
from tracer.reports.pages.explain import sections, sentence, statements
from tracer.reports.text import printable
from tracer.reports.verdict_text import any_of

_OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
_VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
_PHASES: Final[tuple[Phase, ...]] = get_args(Phase)
_STRENGTHS: Final[tuple[Strength, ...]] = get_args(Strength)
_HOWS: Final[tuple[How, ...]] = get_args(How)


def index(classification: Classification, findings: Mapping[str, Mapping[str, Collection[str]]]) -> dict[str, Any]:
    """What lists and matrix show.

    Args:
        classification: the report.
        findings: kind of finding → service or contract → node ids.
    """
    tests = classification.tests
    services = Numbered(*map(printable, classification.summary.services))
    sets = Numbered[tuple[int, ...]](())
    tiers = chosen_tiers(classification.rules.tiers)
    tier_names = Numbered(*(printable(tier.name) for tier in tiers))
    needs = RunNeeds(classification.run_needs)
    files = Numbered[str]()
    numbers = {nodeid: number for number, nodeid in enumerate(tests)}

    def set_of(names: Collection[str]) -> int:
        return sets.number(tuple(services.number(printable(name)) for name in names))

    ids = [printable(nodeid).partition("::") for nodeid in tests]
    results = tests.values()
    columns = {
        "file": [files.number(file) for file, _, _ in ids],
        "name": [name for _, _, name in ids],
        "outcome": [_OUTCOMES.index(test.outcome) for test in results],
        "duration_us": [round(1e6 * test.duration_s) for test in results],
        "attempts": [test.attempts for test in results],
        "uses": [set_of(test.services) for test in results],
        "ambient": [set_of(test.ambient) for test in results],
        "own": [set_of(test.self_hosted) for test in results],
        "assumed": [set_of(test.assumed) for test in results],
        "facts": [-1 if test.facts is None else test.facts for test in results],
        "tier": [
            tier_names.number(printable(needs.tier_of_test(nodeid, test.services, tiers)))
            for nodeid, test in (tests.items() if tiers else ())
        ],
    }
    fixtures = Numbered[str]()
    fixture_sets = [
        [fixtures.number(printable(known_fixture(name))) for name in facts.fixtures] for facts in classification.facts
    ]
    return {
        "tests": columns,
        "outcomes": _OUTCOMES,
        "files": files.values,
        "sets": sets.values,
        "services": services.values,
        "tiers": tier_names.values,
        "fixtures": fixtures.values,
        "facts": fixture_sets,
        "verdicts": _VERDICTS,
        "trials": [_trial(trial, tests) for trial in classification.verified],
        "findings": {
            kind: {
                printable(subject): [numbers[nodeid] for nodeid in nodeids if nodeid in numbers]
                for subject, nodeids in by_subject.items()
            }
            for kind, by_subject in findings.items()
        },
    }


def _trial(trial: Verification, tests: Iterable[str]) -> dict[str, Any]:
    """The verdict of each test, -1 for none."""
    found = [trial.tests.get(nodeid) for nodeid in tests]
    verdicts = [-1 if test is None else _VERDICTS.index(test.verdict) for test in found]
    return {"without": printable(any_of(trial.without)), "verdict": verdicts}


def details(classification: Classification) -> dict[str, Any]:
    """What the view of a test shows: `evidence` has pairs of a number in `kinds` and µs (-1: unknown) for each test."""
    kinds = _EvidenceKinds()
    texts = Numbered[str]()
    evidence = [kinds.of(test) for test in classification.tests.values()]
    lines = [
        [texts.number(printable(plain_text(line.text))) for line in statements(classification, nodeid)]
        for nodeid in classification.tests
    ]
    runs = [[[one.run, one.outcome] for one in test.runs] for test in classification.tests.values()]
    return {
        "lines": lines,
        "texts": texts.values,
        "evidence": evidence,
        "kinds": kinds.numbered.values,
        "kindTexts": kinds.texts.values,
        "phases": _PHASES,
        "strengths": _STRENGTHS,
        "hows": _HOWS,
        "runs": runs if classification.runs else [],
    }


class _EvidenceKinds:
    """Evidence by kind: everything except for the time, which differs most."""

    def __init__(self) -> None:
        self.texts: Final = Numbered[str]()
        self.numbered: Final = Numbered[tuple[int, ...]]()
        self._known: dict[tuple[str, Evidence], int] = {}

    def of(self, test: TestResult) -> list[int]:
        """A test's evidence, in the order in which the page lists it."""
        numbers: list[int] = []
        for title, evidence in sections(test).items():
            for one in evidence:
                key = title, one if one.first_s is None else replace(one, first_s=0.0)
                if (kind := self._known.get(key)) is None:
                    kind = self._known[key] = self.numbered.number(self._kind(title, one))
                numbers += kind, -1 if one.first_s is None else round(1e6 * one.first_s)
        return numbers

    def _kind(self, title: str, one: Evidence) -> tuple[int, ...]:
        before, after = sentence(one)
        texts = (one.service, title, before, after)
        return (
            *(self.texts.number(printable(text)) for text in texts),
            -1 if one.phase is None else _PHASES.index(one.phase),
            _HOWS.index(one.how),
            _STRENGTHS.index(one.strength),
            one.connects,
            one.sends,
        )
