"""Who uses a service, and how: the tests of one service, grouped by the way they came to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tracer.classify.model import Classification, Evidence


def used_services(classification: Classification) -> list[str]:
    """Every service that a test used: most tests first, then those that were only ambient or self-hosted, by name."""
    ranked = list(classification.summary.services)
    seen = {evidence.service for test in classification.tests.values() for evidence in test.evidence}
    return ranked + sorted(seen.difference(ranked))


def usages(classification: Classification, service: str) -> dict[str, list[str]]:
    """One service's tests: usage in words → node ids, most tests first; tests in the order in which they ended."""
    groups: dict[str, list[str]] = defaultdict(list)
    for nodeid, test in classification.tests.items():
        told = [evidence for evidence in test.evidence if evidence.service == service]
        if told:
            groups[_usage(told)].append(nodeid)
    return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


def _usage(told: Iterable[Evidence]) -> str:
    """How a test came to a service, such as `direct in setup, call; inherited from module:tests/a.py in collection`."""
    phases: dict[str, list[str]] = defaultdict(list)
    for evidence in told:
        ways = phases[_way(evidence)]
        if evidence.phase is not None and evidence.phase not in ways:
            ways.append(evidence.phase)
    return "; ".join(f"{way} in {', '.join(found)}" if found else way for way, found in phases.items())


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
