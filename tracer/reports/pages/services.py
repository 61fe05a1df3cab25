"""The tests of each service, grouped by the way in which they use it: `--tests`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from tracer.classify.model import Classification, Evidence
from tracer.reports.blocks import Block, Heading, Names
from tracer.reports.text import counted


def page(classification: Classification, services: Collection[str]) -> Iterator[Block]:
    """The tests of some services, or of each that occurs."""
    for service in services or seen_services(classification):
        groups = _groups(classification, service)
        using = classification.summary.services.get(service, 0)
        others = sum(map(len, groups.values())) - using
        more = f", and {others:,} only with ambient or self-hosted evidence" if others else ""
        yield Heading(f"{service}: {counted(using, 'test')}{more}")
        for way, nodeids in groups.items():
            yield Heading(f"{way} ({len(nodeids):,})", 2)
            yield Names(tuple(nodeids))


def seen_services(classification: Classification) -> list[str]:
    """Every service that a test used: most tests first, then those that were only ambient or self-hosted, by name."""
    ranked = list(classification.summary.services)
    seen = {evidence.service for test in classification.tests.values() for evidence in test.evidence}
    return ranked + sorted(seen.difference(ranked))


def _groups(classification: Classification, service: str) -> dict[str, list[str]]:
    """A way to use the service → node ids in the order in which the tests ended; the way of most tests first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for nodeid, test in classification.tests.items():
        if of_service := [evidence for evidence in test.evidence if evidence.service == service]:
            groups[_ways(of_service)].append(nodeid)
    return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


def _ways(evidence: Iterable[Evidence]) -> str:
    """How a test uses a service, such as `direct in setup, call; inherited from module:tests/a.py in collection`."""
    phases: dict[str, list[str]] = defaultdict(list)
    for one in evidence:
        of_way = phases[_way(one)]
        if one.phase is not None and one.phase not in of_way:
            of_way.append(one.phase)
    return "; ".join(f"{way} in {', '.join(of_way)}" if of_way else way for way, of_way in phases.items())


def _way(evidence: Evidence) -> str:
    way = evidence.how if evidence.via is None else f"{evidence.how} from {evidence.via}"
    if evidence.thread == "other":
        way += " by another thread"
    if evidence.self_hosted:
        way += " (self-hosted)"
    if evidence.ambiguous:
        way += " (ambiguous)"
    if evidence.strength == "attempted":
        way += f" (attempted: {evidence.errno})" if evidence.errno else " (attempted)"
    return way
