"""Checks of rules by verdicts: of the tests that a rule claims, which need the service, and which only use it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Literal

from msgspec import Struct

from tracer.classify.model import Classification
from tracer.classify.verified import Need, Verified

_Group = Literal[
    "claimed_needed",
    "claimed_only_used",
    "claimed_unverified",
    "claimed_unused",
    "missed",
    "missed_unverified",
    "unclaimed_only_used",
]


class NeedCheck(Struct, frozen=True):
    """One service's rule, compared with the verdicts. Each test is in at most one field; node ids are sorted."""

    claimed_needed: int
    claimed_only_used: tuple[str, ...]  # claimed and used, but not needed
    claimed_unverified: int  # claimed and used; no verdict says whether it needs the service
    claimed_unused: int  # claimed, but neither used nor needed
    missed: tuple[str, ...]  # needed, but not claimed
    missed_unverified: int  # used, but not claimed; no verdict says whether it needs the service
    unclaimed_only_used: int  # used, but neither claimed nor needed


def check_needs(classification: Classification, service: str) -> NeedCheck | None:
    """Compare a service's rule with the verdicts; None if no trial refused the service."""
    verified = Verified(classification.verified)
    if not verified.concerns(service):
        return None
    groups: dict[_Group | None, list[str]] = defaultdict(list)
    for nodeid, test in classification.tests.items():
        need = verified.need_of(nodeid, test, service)
        groups[_group(service in test.assumed, service in test.services, need)].append(nodeid)
    return NeedCheck(
        claimed_needed=len(groups["claimed_needed"]),
        claimed_only_used=tuple(sorted(groups["claimed_only_used"])),
        claimed_unverified=len(groups["claimed_unverified"]),
        claimed_unused=len(groups["claimed_unused"]),
        missed=tuple(sorted(groups["missed"])),
        missed_unverified=len(groups["missed_unverified"]),
        unclaimed_only_used=len(groups["unclaimed_only_used"]),
    )


def with_need(classification: Classification, service: str, nodeids: Collection[str], need: Need) -> frozenset[str]:
    """Those of some tests for which the verdicts say this about a service."""
    verified = Verified(classification.verified)
    if not verified:
        return frozenset()
    tests = classification.tests  # a report from elsewhere may name tests that it does not have
    return frozenset(
        nodeid for nodeid in nodeids if nodeid in tests and verified.need_of(nodeid, tests[nodeid], service) == need
    )


def _group(claimed: bool, used: bool, need: Need) -> _Group | None:
    if need == "needed":
        return "claimed_needed" if claimed else "missed"
    if not used:
        return "claimed_unused" if claimed else None
    if need == "unknown":
        return "claimed_unverified" if claimed else "missed_unverified"
    return "claimed_only_used" if claimed else "unclaimed_only_used"
