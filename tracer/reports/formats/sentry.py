"""The report of Sentry's in-process classifier, byte for byte, for the CI scripts that read it.

Its source: getsentry/sentry, `service_classifier.py` (a pytest plugin) and `split-tests-by-tier.py`, which reads it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import chain
from types import MappingProxyType
from typing import Any, Final, TextIO

from tracer.classify.model import Classification
from tracer.classify.run_needs import RunNeeds
from tracer.classify.service_names import NewNames, renamed
from tracer.reports.formats.format import Document, Format
from tracer.reports.pages.summary import SummaryDocument


def _print(document: Document, file: TextIO) -> None:
    """Write the report of the summary's classification."""
    assert isinstance(document, SummaryDocument)
    file.buffer.writelines(render(document.classification, document.names))


def _print_tests(document: Document, file: TextIO) -> None:
    assert isinstance(document, SummaryDocument)
    file.buffer.writelines(render(document.classification, document.names, summary=False))


FORMAT: Final = Format(
    "sentry",
    "the report of Sentry's in-process classifier",
    _print,
    document=SummaryDocument,
    options=frozenset({"map"}),
)
WITHOUT_SUMMARY: Final = Format(
    "sentry-tests",
    "the same in its newest form, without a summary",
    _print_tests,
    document=SummaryDocument,
    options=frozenset({"map"}),
)


def render(
    classification: Classification, names: NewNames = MappingProxyType({}), *, summary: bool = True
) -> Iterator[bytes]:
    """Node id → services, with ambient ones: the classifier counts everything that was sent while a test ran.

    Besides, a test has the services without which its session does not begin, because the CI scripts start only those
    that a test has. Node ids and services are sorted; the text is ASCII. The tiers are the classifier's own four,
    independent of the configuration; only those with tests are counted.

    Args:
        classification: the report.
        names: other names of services.
        summary: whether to count services and tiers, as older versions of the classifier do.
    """
    needed = RunNeeds(classification.run_needs)
    tests = {
        nodeid: sorted(renamed((*test.services, *test.ambient, *needed.of(nodeid)), names))
        for nodeid, test in sorted(classification.tests.items())
    }
    report: dict[str, Any] = {"generated_at": classification.generated_at, "total_tests": len(tests)}
    if summary:
        report["summary"] = {
            "service_counts": dict(Counter(chain.from_iterable(tests.values())).most_common()),
            "tier_counts": dict(Counter(map(_tier, tests.values())).most_common()),
        }
    yield f"{json.dumps({**report, 'tests': tests}, indent=2)}\n".encode("ascii")


def _tier(services: Collection[str]) -> str:
    if "snuba" in services:
        return "snuba_tier"
    if set(services) - {"postgres"}:
        return "other_services"
    return "postgres_only" if services else "no_services"
