"""Corrections of a service's rule: entries to drop, because they are mostly wrong, and entries to add."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from tracer.classify.assumptions import Entry, claims, entries
from tracer.classify.model import TestResult
from tracer.classify.proposals import Proposal, propose
from tracer.classify.services.rules import AssumptionRule
from tracer.trace.records import StaticFacts


def correct(
    tests: Mapping[str, TestResult],
    facts: Sequence[StaticFacts],
    service: str,
    rule: AssumptionRule,
    blind_spots: Sequence[str],
    mostly_wrong: Collection[Entry],
) -> tuple[tuple[Entry, ...], tuple[Proposal, ...]]:
    """The entries to drop, in the rule's order, and the entries to add.

    An entry is dropped only if the other entries and the proposals claim every test that uses the service and that it
    claims. So the corrected rule has no blind spot that the rule does not have.
    """
    claiming = [frozenset(claims(rule, one)) for one in facts]
    dropped = frozenset(mostly_wrong)
    while True:
        losing = {
            nodeid: claiming[test.facts]
            for nodeid, test in tests.items()
            if test.facts is not None and claiming[test.facts] and claiming[test.facts] <= dropped
        }
        unclaimed = {nodeid: _unclaimed(test, service) if nodeid in losing else test for nodeid, test in tests.items()}
        using = [nodeid for nodeid in losing if service in tests[nodeid].services]
        proposals = propose(unclaimed if losing else tests, facts, service, sorted({*blind_spots, *using}))
        caught = {nodeid for proposal in proposals for nodeid in proposal.caught}
        needed = dropped.intersection(entry for nodeid in using if nodeid not in caught for entry in losing[nodeid])
        if not needed:
            return tuple(entry for entry in entries(rule) if entry in dropped), proposals
        dropped -= needed


def _unclaimed(test: TestResult, service: str) -> TestResult:
    """A test that no rule of a service claims."""
    return replace(test, assumed=tuple(one for one in test.assumed if one != service))
