"""Detailed checks: each service's rule, entry by entry, with proposals that would fix it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from tracer.classify.assumptions import Entry, claims, entries
from tracer.classify.corrections import correct
from tracer.classify.findings import Finding
from tracer.classify.model import AssumptionCheck, Classification, Evidence, TestResult
from tracer.classify.need_checks import NeedCheck, check_needs, with_need
from tracer.classify.proposals import Proposal
from tracer.classify.services.rules import AssumptionRule


class EntryCheck(Struct, frozen=True):
    """One entry of a rule, compared with the services that tests used."""

    entry: Entry
    claimed: int  # tests, including those that were cut short or have only ambient evidence
    confirmed: int
    over_assumed: tuple[str, ...]  # node ids, sorted; other entries may claim them too

    @property
    def is_mostly_wrong(self) -> bool:
        """Whether more of its tests do not use the service than use it."""
        return len(self.over_assumed) > self.confirmed


class DetailedCheck(Struct, frozen=True):
    """The check of one service's rule."""

    service: str
    rule: AssumptionRule
    validation: AssumptionCheck
    blind_spots: Mapping[
        str, tuple[Evidence, ...]
    ]  # node id → evidence; of tests that may need it, without accepted ones
    entries: tuple[EntryCheck, ...]  # in the rule's order
    dropped: tuple[Entry, ...]  # entries that are mostly wrong, and that the others and the proposals replace
    proposals: tuple[Proposal, ...]
    left: tuple[str, ...]  # blind spots, sorted, that no proposal catches
    needs: NeedCheck | None = None  # None: no verdicts


def check_in_detail(classification: Classification, accepted: Collection[Finding] = ()) -> tuple[DetailedCheck, ...]:
    """Check the rules of a classification, in their order. Accepted blind spots are left out."""
    return tuple(
        _check_one(classification, service, rule, accepted)
        for service, rule in classification.rules.assumptions.items()
    )


def _check_one(
    classification: Classification, service: str, rule: AssumptionRule, accepted: Collection[Finding]
) -> DetailedCheck:
    validation = classification.validation[service]
    tests = classification.tests
    known = [nodeid for nodeid in validation.blind_spots if nodeid in tests]  # a report from elsewhere may have others
    only_used = with_need(classification, service, tests, "not needed")
    blind = [
        nodeid
        for nodeid in known
        if nodeid not in only_used and Finding("blind-spots", service, nodeid) not in accepted
    ]
    checks = tuple(_entry_checks(classification, service, rule))
    dropped, proposals = correct(
        _without_use(tests, service, only_used),
        classification.facts,
        service,
        rule,
        blind,
        [check.entry for check in checks if check.is_mostly_wrong],
    )
    caught = {nodeid for proposal in proposals for nodeid in proposal.caught}
    return DetailedCheck(
        service=service,
        rule=rule,
        validation=validation,
        blind_spots={
            nodeid: tuple(one for one in tests[nodeid].evidence if one.service == service and one.is_need)
            for nodeid in blind
        },
        entries=checks,
        dropped=dropped,
        proposals=proposals,
        left=tuple(nodeid for nodeid in blind if nodeid not in caught),
        needs=check_needs(classification, service),
    )


def _without_use(tests: Mapping[str, TestResult], service: str, nodeids: Collection[str]) -> Mapping[str, TestResult]:
    """The tests as if some of them did not use a service, so that a claim for them is a false positive."""
    if not nodeids:
        return tests
    return {
        nodeid: replace(
            test,
            services=tuple(one for one in test.services if one != service),
            ambient=tuple(one for one in test.ambient if one != service),
        )
        if nodeid in nodeids
        else test
        for nodeid, test in tests.items()
    }


def _entry_checks(classification: Classification, service: str, rule: AssumptionRule) -> Iterable[EntryCheck]:
    tests, over_assumed = classification.tests, set(classification.validation[service].over_assumed)
    claiming = [claims(rule, facts) for facts in classification.facts]
    claimed: dict[Entry, list[str]] = {entry: [] for entry in entries(rule)}
    for nodeid, test in tests.items():
        for entry in claiming[test.facts] if test.facts is not None else ():
            claimed[entry].append(nodeid)
    for entry, nodeids in claimed.items():
        confirmed = sum(service in tests[nodeid].services for nodeid in nodeids)
        yield EntryCheck(entry, len(nodeids), confirmed, tuple(sorted(over_assumed.intersection(nodeids))))
