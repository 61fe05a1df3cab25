"""Findings for the page: blind spots with evidence and the rule to paste, over-assumptions, contracts, endpoints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tracer.classify.detailed_checks import DetailedCheck
from tracer.classify.model import ALL_UNKNOWN
from tracer.reports.evidence_text import activity
from tracer.reports.pages.notes import described_unknown
from tracer.reports.pages.validate import ValidationDocument, proposed_rule, proposed_services, unknown_services
from tracer.reports.rule_toml import false_positives
from tracer.reports.text import counted

_KINDS: Final = ("blind-spots", "over-assumed", "contracts")
"""The kinds of findings that are about tests."""
_LISTED: Final = 6
"""How many tests of a group are listed; the list of tests has all."""


@dataclass(frozen=True, slots=True)
class Group:
    """Tests with the same text about them."""

    text: str
    nodeids: tuple[str, ...]

    @property
    def listed(self) -> tuple[str, ...]:
        """Those that the section lists."""
        return self.nodeids[:_LISTED]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong about one subject, and how to fix it."""

    subject: str  # a service, or a contract
    tests: int
    groups: tuple[Group, ...]  # the largest first
    link: Mapping[str, str]  # of the list of its tests
    fix: str = ""  # what the code does
    code: tuple[str, ...] = ()  # lines of TOML to paste
    left: str = ""  # about tests that the code does not fix


def blind_spots(document: ValidationDocument) -> Iterator[Problem]:
    """Used, but not claimed: for each rule, with the entries that would claim them."""
    for check in document.checks:
        if blind := check.blind_spots:
            texts = {
                nodeid: "; ".join(dict.fromkeys(map(activity, evidence))) or "unknown evidence"
                for nodeid, evidence in blind.items()
            }
            yield Problem(
                check.service,
                len(blind),
                _groups(texts),
                {"finding": f"blind-spots:{check.service}"},
                _effect(check),
                tuple(proposed_rule(check, document.rules_file)) if check.proposals else (),
                _left(check),
            )


def over_assumptions(document: ValidationDocument) -> Iterator[Problem]:
    """Claimed, but not used: for each rule, by the entry that claims them."""
    for check in document.checks:
        groups = [
            Group(
                f"{one.entry}: {one.confirmed:,} of the {counted(one.claimed, 'test')} that it claims use "
                f"{check.service}; these do not",
                nodeids,
            )
            for one in check.entries
            if (nodeids := _new(document, "over-assumed", check.service, one.over_assumed))
        ]
        tests = {nodeid for group in groups for nodeid in group.nodeids}
        if tests:
            yield Problem(
                check.service,
                len(tests),
                _largest_first(groups),
                {"finding": f"over-assumed:{check.service}"},
                "claims all tests that use the service and were claimed before",
                tuple(proposed_rule(check, document.rules_file)) if check.dropped else (),
            )


def contracts(document: ValidationDocument) -> Iterator[Problem]:
    """All contracts; those without groups are kept."""
    tests = document.classification.tests
    for contract in document.classification.contracts:
        broken = _new(document, "contracts", contract.name, contract.violations)
        used = {nodeid: ", ".join(tests[nodeid].services) or "no service" for nodeid in broken if nodeid in tests}
        texts = {nodeid: f"uses {services}" for nodeid, services in used.items()}
        yield Problem(contract.name, contract.tests, _groups(texts), {"finding": f"contracts:{contract.name}"})


def unknown_endpoints(document: ValidationDocument) -> Problem | None:
    """Endpoints that no rule names, with the number of tests as a text."""
    classification = document.classification
    endpoints = unknown_services(classification, set(document.baseline.new))
    if not endpoints:
        return None
    described = described_unknown(classification, endpoints)
    lines = tuple(proposed_services(classification, list(endpoints)[:_LISTED], document.rules_file))
    names = tuple(f"{endpoint}: {counted(tests, 'test')}" for endpoint, tests in described.items())
    return Problem("", len(names), (Group("", names),), {"service": ALL_UNKNOWN}, "", lines)


def by_kind(document: ValidationDocument) -> Mapping[str, Mapping[str, list[str]]]:
    """Kind of finding → service or contract → node ids; only new findings."""
    kinds: dict[str, dict[str, list[str]]] = {kind: defaultdict(list) for kind in _KINDS}
    for kind, subject, nodeid in document.baseline.new:
        if kind in kinds:
            kinds[kind][subject].append(nodeid)
    return kinds


def _new(document: ValidationDocument, kind: str, subject: str, nodeids: tuple[str, ...]) -> tuple[str, ...]:
    known = {finding.nodeid for finding in document.baseline.new if (finding.kind, finding.subject) == (kind, subject)}
    return tuple(nodeid for nodeid in nodeids if nodeid in known)


def _groups(texts: Mapping[str, str]) -> tuple[Group, ...]:
    by_text: dict[str, list[str]] = defaultdict(list)
    for nodeid, text in texts.items():
        by_text[text].append(nodeid)
    return _largest_first([Group(text, tuple(nodeids)) for text, nodeids in by_text.items()])


def _largest_first(groups: list[Group]) -> tuple[Group, ...]:
    return tuple(sorted(groups, key=lambda group: -len(group.nodeids)))


def _effect(check: DetailedCheck) -> str:
    caught = sum(len(proposal.caught) for proposal in check.proposals)
    wrong = sum(len(proposal.over_assumed) for proposal in check.proposals)
    return f"catches {caught:,} of {counted(len(check.blind_spots), 'blind spot')}, {false_positives(wrong)}"


def _left(check: DetailedCheck) -> str:
    if not check.left:
        return ""
    markers = " or ".join(sorted(check.rule.markers))
    marker = f"the marker {markers}" if markers else "a new marker, and add it to the rule"
    tests = counted(len(check.left), "blind spot")
    return (
        f"No proposal for {tests}: each entry would have more false positives than it catches. Give the test {marker}."
    )
