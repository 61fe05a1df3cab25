"""Test results with services, needs and tier, in the Common Test Report Format (CTRF).

https://ctrf.io; the schema: https://github.com/ctrf-io/ctrf, `schema/ctrf.schema.json`
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TextIO

from tracer import __version__
from tracer.classify.model import Classification, Outcome, RunInfo, TestResult
from tracer.reports.formats.format import Document, Format
from tracer.reports.json_document import line, listed
from tracer.reports.pages.summary import SummaryDocument
from tracer.reports.test_labels import Labels, names_of

_VERSION: Final = "0.0.0"  # of the specification, a working draft
_STATUSES: Final[Mapping[Outcome, str]] = {
    "passed": "passed",
    "xpassed": "passed",
    "failed": "failed",
    "error": "failed",
    "crashed": "failed",
    "skipped": "skipped",
    "xfailed": "skipped",
    "not run": "pending",
    "interrupted": "other",
}
_EXTRA: Final = "svc-trace.test"
"""The key of what the format has no place for; with a namespace, as the specification (4.6.1) wants it."""


def print_document(document: Document, file: TextIO) -> None:
    """Write the summary's classification, with a test on each line."""
    assert isinstance(document, SummaryDocument)
    one = document.classification
    head = {"reportFormat": "CTRF", "specVersion": _VERSION, "generatedBy": f"svc-trace {__version__}"}
    results = {"tool": {"name": "pytest"}, "summary": _summary(one)}
    labels = Labels(one)
    file.buffer.write(line(head).removesuffix(b"}") + b',"results":' + line(results).removesuffix(b"}") + b',"tests":[')
    file.buffer.writelines(listed(line(_test(nodeid, test, labels)) for nodeid, test in one.tests.items()))
    file.buffer.write(b"\n]}}\n")


def _summary(one: Classification) -> dict[str, int]:
    counts = Counter(_STATUSES[test.outcome] for test in one.tests.values())
    times = [(_milliseconds(run), round(run.duration_s * 1000)) for run in one.runs or (one.run,)]
    return {
        "tests": len(one.tests),
        **{status: counts[status] for status in ("passed", "failed", "skipped", "pending", "other")},
        "start": min(start for start, _ in times),
        "stop": max(start + duration for start, duration in times),
    }


def _milliseconds(run: RunInfo) -> int:
    """When a run began, since the epoch; 0 if a report from elsewhere does not say it as a time."""
    try:
        return round(datetime.fromisoformat(run.started_at).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0


def _test(nodeid: str, test: TestResult, labels: Labels) -> dict[str, Any]:
    path, *names = names_of(nodeid)
    *outer, name = (path, *names)
    retries = sum(run.attempts - 1 for run in test.runs) if test.runs else test.attempts - 1
    status = _STATUSES[test.outcome]
    return {
        "name": name or "(no name)",
        "status": status,
        "duration": round(test.duration_s * 1000),
        **({"suite": outer} if outer else {}),
        "rawStatus": test.outcome,
        "tags": test.services,
        "filePath": path,
        "retries": retries,
        "flaky": status == "passed" and retries > 0,
        "extra": {_EXTRA: {"nodeid": nodeid, **labels.of(nodeid)}},
    }


FORMAT: Final = Format("ctrf", "CTRF with services", print_document, document=SummaryDocument, kept=True)
