"""Findings: the problems in a report, and the baseline of accepted ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Literal, NamedTuple

from msgspec import Struct

from tracer.classify.model import Classification, RunInfo, is_unknown, unknown_place
from tracer.classify.need_checks import with_need
from tracer.classify.presence import Presence, Presences

Kind = Literal["loss", "blind-spots", "contracts", "over-assumed", "unknown", "refused"]


class Finding(NamedTuple):
    """One problem. The same problem in two runs is an equal finding."""

    kind: Kind
    subject: str  # loss: its slug; contracts: the contract's name; unknown: the endpoint; otherwise the service
    nodeid: str  # empty for a loss, an unknown endpoint, and attempts outside of tests


class BaselineComparison(Struct, frozen=True):
    """Findings, compared with a baseline of accepted ones."""

    new: tuple[Finding, ...]  # sorted
    accepted: int
    fixed: tuple[Finding, ...] = ()  # in the baseline, but not found, although the test ran; each of these is sorted
    gone: tuple[Finding, ...] = ()  # the same, of tests that do not exist any more
    skipped: tuple[Finding, ...] = ()  # the same, of tests that were skipped: they may occur again
    not_run: tuple[Finding, ...] = ()  # the same, of tests that this run did not have, or that were cut short


def find(classification: Classification) -> frozenset[Finding]:
    """All findings in a classification.

    If the verdicts say that a test only uses a service, but does not need it, it is no blind spot. If they say that it
    needs the service, it is no over-assumption.
    """
    return frozenset(_findings(classification))


def compare_with_baseline(
    found: Collection[Finding],
    baseline: Collection[Finding],
    kinds: Iterable[str],
    presences: Presences | None = None,
) -> BaselineComparison:
    """Compare the findings of some kinds with a baseline. A loss cannot be accepted: it may hide other findings.

    Only tests that ran can show that a finding of the baseline does not occur any more. An unknown endpoint belongs to
    no test. Without `presences`, findings that do not occur any more all count as `gone`.
    """
    wanted = set(kinds)
    relevant = {finding for finding in found if finding.kind in wanted}
    known = {finding for finding in baseline if finding.kind in wanted and finding.kind != "loss"}
    absent: dict[Presence, list[Finding]] = defaultdict(list)
    for finding in sorted(known.difference(found)):
        presence: Presence = "gone" if presences is None else presences.of(finding.nodeid) if finding.nodeid else "ran"
        absent[presence].append(finding)
    return BaselineComparison(
        new=tuple(sorted(relevant - known)),
        accepted=len(relevant & known),
        fixed=tuple(absent["ran"]),
        gone=tuple(absent["gone"]),
        skipped=tuple(absent["skipped"]),
        not_run=tuple(absent["not run"]),
    )


def is_whole(run: RunInfo) -> bool:
    """Whether a run lost nothing and the hook reported from at least one process."""
    return run.complete and run.pytest_reported


def _findings(classification: Classification) -> Iterator[Finding]:
    if not is_whole(classification.run):
        yield Finding("loss", "incomplete", "")
    for service, check in classification.validation.items():
        only_used = with_need(classification, service, check.blind_spots, "not needed")
        needed = with_need(classification, service, check.over_assumed, "needed")
        yield from (Finding("blind-spots", service, nodeid) for nodeid in check.blind_spots if nodeid not in only_used)
        yield from (Finding("over-assumed", service, nodeid) for nodeid in check.over_assumed if nodeid not in needed)
    for contract in classification.contracts:
        yield from (Finding("contracts", contract.name, nodeid) for nodeid in contract.violations)
    services = {service for test in classification.tests.values() for service in test.services}
    yield from (Finding("unknown", unknown_place(service), "") for service in services if is_unknown(service))
    for service, use in classification.refused.items():
        yield from (Finding("refused", service, nodeid) for nodeid in {*use.tests, *use.reached})
        if use.outside:
            yield Finding("refused", service, "")
