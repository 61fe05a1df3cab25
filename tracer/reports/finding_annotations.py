"""Findings as annotations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tracer.classify.detailed_checks import DetailedCheck
from tracer.classify.findings import Finding
from tracer.classify.model import Classification
from tracer.reports.annotations import TITLES, Annotation, Place
from tracer.reports.evidence_text import activity


def annotate(
    findings: Iterable[Finding],
    classification: Classification,
    checks: Iterable[DetailedCheck],
    rules_file: str | None,
    place: Callable[[str], Place],
) -> Iterator[Annotation]:
    """An annotation for each finding, at its test; in the order of `TITLES`.

    Args:
        findings: those of the classification.
        classification: the report.
        checks: of its rules; they have the evidence of the findings.
        rules_file: the configuration's file, where findings are that are about no test; None: they have no place.
        place: of a test by its node id, or of a file.
    """
    blind_spots = {check.service: check.blind_spots for check in checks}

    def text(finding: Finding) -> str:
        kind, subject, nodeid = finding
        match kind:
            case "loss":
                return "the run is not complete: tests may use more services than the report shows"
            case "blind-spots":
                seen = "; ".join(dict.fromkeys(map(activity, blind_spots[subject].get(nodeid, ()))))
                return f"uses {subject}, which no rule claims for it: {seen or 'the report has no evidence'}"
            case "contracts":
                test = classification.tests.get(nodeid)
                return f"breaks the contract {subject}: uses {', '.join(test.services if test else ()) or 'no service'}"
            case "over-assumed":
                return f"does not use {subject}, which a rule claims for it"
            case "unknown":
                return f"no rule names the endpoint {subject}"
            case "refused":
                tried = f"tried to use {subject}, which was refused"
                return tried if nodeid else f"something outside of the tests {tried}"

    checked = list(TITLES)
    for finding in sorted(findings, key=lambda one: (checked.index(one.kind), one)):
        at = finding.nodeid or rules_file
        yield Annotation(*finding, None if at is None else place(at), text(finding))
