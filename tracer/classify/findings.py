"""Findings: what a report says that somebody may want to act on, and what has been accepted of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tracer.classify.model import Classification, RunInfo, is_unknown, unknown_endpoint

Kind = Literal["loss", "blind-spots", "contracts", "over-assumed", "unknown"]


class Finding(NamedTuple):
    """One thing found. What it is, is all it says: two runs with the same finding have equal ones."""

    kind: Kind
    subject: str  # a service, a contract's name, or an endpoint; of a loss its slug
    nodeid: str  # empty where it is of no single test: a loss, an endpoint


@dataclass(frozen=True, slots=True)
class BaselineComparison:
    """Findings held against a baseline of accepted ones."""

    new: tuple[Finding, ...]  # sorted
    accepted: int
    gone: tuple[Finding, ...]  # of the baseline, sorted: they no longer occur


def find(classification: Classification) -> frozenset[Finding]:
    """Everything that can be found in a classification."""
    return frozenset(_findings(classification))


def compare_with_baseline(
    found: Collection[Finding], baseline: Collection[Finding], kinds: Iterable[str]
) -> BaselineComparison:
    """Compare the findings of some kinds with a baseline. A loss is never accepted: it may hide other findings."""
    wanted = set(kinds)
    relevant = {finding for finding in found if finding.kind in wanted}
    known = {finding for finding in baseline if finding.kind in wanted and finding.kind != "loss"}
    return BaselineComparison(
        tuple(sorted(relevant - known)), len(relevant & known), tuple(sorted(known.difference(found)))
    )


def is_whole(run: RunInfo) -> bool:
    """Whether a run lost nothing and the hook reported from at least one process."""
    return run.complete and run.pytest_reported


def _findings(classification: Classification) -> Iterator[Finding]:
    if not is_whole(classification.run):
        yield Finding("loss", "incomplete", "")
    for service, held in classification.validation.items():
        yield from (Finding("blind-spots", service, nodeid) for nodeid in held.blind_spots)
        yield from (Finding("over-assumed", service, nodeid) for nodeid in held.over_assumed)
    for contract in classification.contracts:
        yield from (Finding("contracts", contract.name, nodeid) for nodeid in contract.violations)
    services = {service for test in classification.tests.values() for service in test.services}
    yield from (Finding("unknown", unknown_endpoint(service), "") for service in services if is_unknown(service))
