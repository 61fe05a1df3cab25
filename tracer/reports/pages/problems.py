"""What is wrong about rules and contracts, in words: the same in all formats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tracer.classify.detailed_checks import DetailedCheck
from tracer.classify.findings import Finding
from tracer.classify.model import Classification, ContractCheck
from tracer.reports.evidence_text import activity
from tracer.reports.rule_toml import false_positives
from tracer.reports.text import counted


@dataclass(frozen=True, slots=True)
class Group:
    """Tests about which the same is said."""

    text: str
    nodeids: tuple[str, ...]


def blind_spots(check: DetailedCheck) -> tuple[Group, ...]:
    """Tests that use a service that no rule claims, by their evidence."""
    return _groups(
        {
            nodeid: "; ".join(dict.fromkeys(map(activity, evidence))) or "unknown evidence"
            for nodeid, evidence in check.blind_spots.items()
        }
    )


def over_assumptions(check: DetailedCheck, new: Collection[Finding]) -> tuple[Group, ...]:
    """Tests that an entry of a rule claims, and that do not use the service, by entry; only new findings."""
    service = check.service
    return _largest_first(
        [
            Group(
                f"{one.entry}: {one.confirmed:,} of the {counted(one.claimed, 'test')} that it claims use {service}; "
                "these do not",
                nodeids,
            )
            for one in check.entries
            if (
                nodeids := tuple(
                    nodeid for nodeid in one.over_assumed if Finding("over-assumed", service, nodeid) in new
                )
            )
        ]
    )


def violations(classification: Classification, contract: ContractCheck, new: Collection[Finding]) -> tuple[Group, ...]:
    """Tests that break a contract, by the services that they use; only new findings."""
    tests = classification.tests
    return _groups(
        {
            nodeid: f"uses {', '.join(tests[nodeid].services) or 'no service'}"
            for nodeid in contract.violations
            if Finding("contracts", contract.name, nodeid) in new and nodeid in tests
        }
    )


def effect(check: DetailedCheck) -> str:
    """What the proposed rule does about the blind spots."""
    caught = sum(len(proposal.caught) for proposal in check.proposals)
    wrong = sum(len(proposal.over_assumed) for proposal in check.proposals)
    return f"catches {caught:,} of {counted(len(check.blind_spots), 'blind spot')}, {false_positives(wrong)}"


def unsolved(check: DetailedCheck) -> str:
    """Why no entry is proposed for some blind spots, and what to do about them."""
    tests = counted(len(check.left), "blind spot")
    markers = " or ".join(sorted(check.rule.markers))
    marker = f"the marker {markers}" if markers else "a new marker, and add it to the rule"
    return (
        f"No proposal for {tests}: each entry would have more false positives than it catches. Give the test {marker}"
    )


def _groups(texts: Mapping[str, str]) -> tuple[Group, ...]:
    by_text: dict[str, list[str]] = defaultdict(list)
    for nodeid, text in texts.items():
        by_text[text].append(nodeid)
    return _largest_first([Group(text, tuple(nodeids)) for text, nodeids in by_text.items()])


def _largest_first(groups: list[Group]) -> tuple[Group, ...]:
    return tuple(sorted(groups, key=lambda group: -len(group.nodeids)))
