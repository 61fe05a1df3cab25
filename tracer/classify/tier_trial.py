"""A tier on trial: whether its tests need only its services."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from tracer.classify.merge import merge
from tracer.classify.model import Classification, Evidence, TestVerdict, Verification
from tracer.classify.refusals import Refused
from tracer.classify.selection import needs_of_tests
from tracer.classify.services.rules import Tier
from tracer.classify.tiers import tier_of


class TierTrial(Struct, frozen=True):
    """The tests of a tier, with only its services."""

    tier: str
    services: tuple[str, ...]  # those of the tier, sorted
    verification: Verification  # without all others
    attempts: Mapping[str, tuple[Evidence, ...]]  # node id → what it tried of the others in the run without them

    @property
    def broken(self) -> dict[str, TestVerdict]:
        """The tests that pass with all services only: the tier's do not suffice."""
        return {nodeid: test for nodeid, test in self.verification.tests.items() if test.verdict == "needs"}

    @property
    def unproven(self) -> dict[str, TestVerdict]:
        """The tests of which the trial shows nothing, such as flaky ones."""
        tests = self.verification.tests
        return {nodeid: tests[nodeid] for nodeid in tests if tests[nodeid].reason not in (None, "failed", "skipped")}

    @property
    def failing(self) -> int:
        """The number of tests that do not pass with all services either."""
        return sum(test.reason in ("failed", "skipped") for test in self.verification.tests.values())

    @property
    def is_proven(self) -> bool:
        """Whether all tests end as with all services."""
        return not self.broken and not self.unproven


def nodeids_of_tier(reports: Sequence[Classification], tiers: Iterable[Tier], tier: str) -> frozenset[str]:
    """The node ids of a tier's tests: those that `svc-trace select --tier` prints."""
    ordered = tuple(tiers)
    needs = needs_of_tests(reports[0] if len(reports) == 1 else merge(reports))
    return frozenset(nodeid for nodeid, services in needs.items() if tier_of(services, ordered) == tier)


def attempts_of_tests(
    with_services: Collection[Classification], without: Iterable[Classification], services: Iterable[str]
) -> dict[str, tuple[Evidence, ...]]:
    """What each test tried, and was refused, in the runs without some services; only tests that tried something."""
    refused = Refused.of(services, with_services, {})
    attempts: dict[str, list[Evidence]] = {}
    for run in without:
        for nodeid, test in run.tests.items():
            attempts.setdefault(nodeid, []).extend(refused.attempts(test.evidence))
    return {nodeid: tuple(found) for nodeid, found in attempts.items() if found}
