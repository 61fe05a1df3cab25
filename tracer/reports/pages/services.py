"""The tests of each service, grouped by the way in which they use it: `--tests`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from tracer.classify.model import Classification, Evidence, is_unknown
from tracer.classify.need_checks import check_needs
from tracer.reports.blocks import Block, Heading, groups
from tracer.reports.evidence_text import defined_in
from tracer.reports.fixture_names import known_fixture
from tracer.reports.text import counted


def page(classification: Classification, services: Collection[str]) -> Iterator[Block]:
    """The tests of some services, or of each that occurs; in the order in which they ended.

    Endpoints of the run itself that no rule names are left out, unless they are among `services`.
    """
    for service in services or _listed(classification):
        of_service = {
            nodeid: [evidence for evidence in test.evidence if evidence.service == service]
            for nodeid, test in classification.tests.items()
        }
        ways = [(_ways(evidence), nodeid) for nodeid, evidence in of_service.items() if evidence]
        using = classification.summary.services.get(service, 0)
        others = len(ways) - using
        more = (
            f", and {counted(others, 'test')} with only ambient or self-hosted evidence, or goodbyes" if others else ""
        )
        yield Heading(f"{service}: {counted(using, 'test')}{more}{_needs(classification, service)}")
        yield from groups(ways)


def seen_services(classification: Classification) -> list[str]:
    """Every service that a test used: most tests first, then those without such tests, by name."""
    ranked = list(classification.summary.services)
    seen = {evidence.service for test in classification.tests.values() for evidence in test.evidence}
    return ranked + sorted(seen.difference(ranked))


def _listed(classification: Classification) -> list[str]:
    evidence = (one for test in classification.tests.values() for one in test.evidence)
    external = {one.service for one in evidence if not one.self_hosted}
    return [one for one in seen_services(classification) if one in external or not is_unknown(one)]


def _needs(classification: Classification, service: str) -> str:
    """What the verdicts say about the tests of a service."""
    check = check_needs(classification, service)
    if check is None:
        return ""
    needed = check.claimed_needed + len(check.missed)
    return f"; {needed:,} need it, {len(check.claimed_only_used) + check.unclaimed_only_used:,} only use it"


def _ways(evidence: Iterable[Evidence]) -> str:
    """How a test uses a service, such as `direct in setup, call; inherited from the import of tests/a.py`."""
    phases: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for one in evidence:
        of_way = phases[_source(one), _remarks(one)]
        if one.phase is not None and one.phase != "collection":
            of_way[one.phase] = None
    return "; ".join(
        f"{source} in {', '.join(of_way)}{remarks}" if of_way else source + remarks
        for (source, remarks), of_way in phases.items()
    )


def _source(evidence: Evidence) -> str:
    via = evidence.via
    if via is None:
        return evidence.how
    source = (
        f"fixture {known_fixture(via.name)} ({defined_in(via)})"
        if via.kind == "fixture"
        else f"the import of {via.name}"
    )
    return f"{evidence.how} from {source}"


def _remarks(evidence: Evidence) -> str:
    remarks = {
        "another thread or process": evidence.thread == "other",
        "self-hosted": evidence.self_hosted,
        "ambiguous": evidence.ambiguous,
        ": ".join(filter(None, ("attempted", evidence.errno))): evidence.strength == "attempted",
    }
    applying = [remark for remark, applies in remarks.items() if applies]
    return f" ({'; '.join(applying)})" if applying else ""
