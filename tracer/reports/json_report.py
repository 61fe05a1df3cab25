"""The JSON report: the classification, field by field. Every other format and command stands on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from tracer.classify.model import SCHEMA, Classification, Evidence, RunInfo, Summary, TestResult, Validation
from tracer.errors import ExitStatus, SvcTraceError
from tracer.trace.json_codec import Defaults, converter, dump, load
from tracer.trace.storage import open_input

_FLAGS: Final = ("self_hosted", "ambiguous")
"""What an evidence tells only where it is true."""
_DEFAULTS: Final[Defaults] = {
    Evidence: {"protocol": None, **dict.fromkeys(_FLAGS, False)},
    TestResult: {"attempts": 1},
}


def render(classification: Classification) -> bytes:
    """The report as indented UTF-8, ending in a newline."""
    return dump(
        {
            "schema": classification.schema,
            "generated_at": classification.generated_at,
            "run": _object(classification.run),
            "tests": {
                nodeid: _object(test) | {"evidence": [_evidence(evidence) for evidence in test.evidence]}
                for nodeid, test in classification.tests.items()
            },
            "run_evidence": [_evidence(evidence) for evidence in classification.run_evidence],
            "summary": _object(classification.summary),
            "validation": {service: _object(held) for service, held in classification.validation.items()},
        },
        indent=True,
    )


def read_classification(path: Path) -> Classification:
    """Read a report, plain or gzip.

    Raises:
        SvcTraceError: not a report that this version reads; names the place.
    """
    with open_input(path) as file:
        try:
            value = load(file.read())
            schema = value.get("schema") if isinstance(value, dict) else None
            if schema != SCHEMA:
                raise ValueError(f"its schema is {schema!r:.40}, not {SCHEMA!r}")
            classification: Classification = converter(Classification, _DEFAULTS)(value)
        except (ValueError, EOFError) as error:
            raise SvcTraceError(
                f"{path} is not a report that this version reads: {error}",
                hint="Name a report that svc-trace wrote, or make it again from its trace with `svc-trace report`.",
                slug="bad-report",
                exit_code=ExitStatus.BAD_INPUT,
            ) from error
    return classification


def _object(record: Evidence | TestResult | RunInfo | Summary | Validation) -> dict[str, Any]:
    """A record's fields by name. `dataclasses.asdict` would copy all that is below."""
    return {field.name: _plain(getattr(record, field.name)) for field in fields(record)}


def _evidence(evidence: Evidence) -> dict[str, Any]:
    value = _object(evidence)
    for flag in _FLAGS:
        if not value[flag]:
            del value[flag]
    return value


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value
