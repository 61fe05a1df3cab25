"""Findings for the page: blind spots with evidence and the rule to paste, over-assumptions, contracts, endpoints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tracer.classify.model import ALL_UNKNOWN
from tracer.reports.pages import problems
from tracer.reports.pages.notes import described_unknown
from tracer.reports.pages.problems import Group
from tracer.reports.pages.validate import ValidationDocument, proposed_rule, proposed_services, unknown_services
from tracer.reports.text import counted

_KINDS: Final = ("blind-spots", "over-assumed", "contracts")
"""The kinds of findings that are about tests."""
LISTED: Final = 6
"""How many tests of a group are listed; the list of tests has all."""


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
        if check.blind_spots:
            yield Problem(
                check.service,
                len(check.blind_spots),
                problems.blind_spots(check),
                {"finding": f"blind-spots:{check.service}"},
                problems.effect(check),
                tuple(proposed_rule(check, document.rules_file)) if check.proposals else (),
                f"{problems.unsolved(check)}." if check.left else "",
            )


def over_assumptions(document: ValidationDocument) -> Iterator[Problem]:
    """Claimed, but not used: for each rule, by the entry that claims them."""
    new = set(document.baseline.new)
    for check in document.checks:
        if groups := problems.over_assumptions(check, new):
            yield Problem(
                check.service,
                len({nodeid for group in groups for nodeid in group.nodeids}),
                groups,
                {"finding": f"over-assumed:{check.service}"},
                "claims all tests that use the service and were claimed before",
                tuple(proposed_rule(check, document.rules_file)) if check.dropped else (),
            )


def contracts(document: ValidationDocument) -> Iterator[Problem]:
    """All contracts; those without groups are kept."""
    new = set(document.baseline.new)
    for contract in document.classification.contracts:
        groups = problems.violations(document.classification, contract, new)
        yield Problem(contract.name, contract.tests, groups, {"finding": f"contracts:{contract.name}"})


def unknown_endpoints(document: ValidationDocument) -> Problem | None:
    """Endpoints that no rule names, with the number of tests as a text."""
    classification = document.classification
    endpoints = unknown_services(classification, set(document.baseline.new))
    if not endpoints:
        return None
    described = described_unknown(classification, endpoints)
    lines = tuple(proposed_services(classification, list(endpoints)[:LISTED], document.rules_file))
    names = tuple(f"{endpoint}: {counted(tests, 'test')}" for endpoint, tests in described.items())
    return Problem("", len(names), (Group("", names),), {"service": ALL_UNKNOWN}, "", lines)


def by_kind(document: ValidationDocument) -> Mapping[str, Mapping[str, list[str]]]:
    """Kind of finding → service or contract → node ids; only new findings."""
    kinds: dict[str, dict[str, list[str]]] = {kind: defaultdict(list) for kind in _KINDS}
    for kind, subject, nodeid in document.baseline.new:
        if kind in kinds:
            kinds[kind][subject].append(nodeid)
    return kinds
