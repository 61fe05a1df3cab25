"""The validation as JSON: everything, without limits. docs/report.md has its fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any, Final

from tracer.classify.detailed_checks import DetailedCheck
from tracer.classify.findings import Finding
from tracer.reports.toml import assumption
from tracer.reports.validation_page import Validated
from tracer.trace.json_codec import dump

SCHEMA: Final = "svc-trace-validation/1"


def render(validated: Validated) -> Iterator[bytes]:
    """The document as UTF-8 text, indented, ending in a newline."""
    classification, held = validated.classification, validated.held
    yield dump(
        {
            "schema": SCHEMA,
            "generated_at": classification.generated_at,
            "rules": validated.source,
            "total_tests": classification.summary.total_tests,
            "complete": classification.run.complete,
            "services": {judgement.service: _service(judgement) for judgement in validated.judgements},
            "contracts": [asdict(contract) for contract in classification.contracts],
            "findings": {"new": _findings(held.new), "accepted": held.accepted, "gone": _findings(held.gone)},
        },
        indent=True,
    )


def _service(judgement: DetailedCheck) -> dict[str, Any]:
    held = judgement.validation
    return {
        "confirmed": held.confirmed,
        "blind_spots": {nodeid: [asdict(one) for one in told] for nodeid, told in judgement.blind_spots.items()},
        "over_assumed": held.over_assumed,
        "neither": held.neither,
        "ambient_only": held.ambient_only,
        "undecided": held.undecided,
        "precision": held.precision,
        "recall": held.recall,
        "entries": [
            {
                **entry.entry._asdict(),
                "claimed": entry.claimed,
                "confirmed": entry.confirmed,
                "over_assumed": entry.over_assumed,
            }
            for entry in judgement.entries
        ],
        "proposals": [
            {**proposal.entry._asdict(), "caught": proposal.caught, "over_assumed": proposal.over_assumed}
            for proposal in judgement.proposals
        ],
        "left": judgement.left,
        "proposed_rule": "\n".join(assumption(judgement.service, judgement.rule, judgement.proposals, pyproject=False))
        if judgement.proposals
        else None,
    }


def _findings(findings: Iterable[Finding]) -> list[dict[str, str]]:
    return [finding._asdict() for finding in findings]
