"""The report of Sentry's in-process classifier, byte for byte, for the CI scripts that read it.

Its source: getsentry/sentry, `service_classifier.py` (a pytest plugin) and `split-tests-by-tier.py`, which reads it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import chain
from typing import Final, TextIO

from tracer.classify.model import Classification
from tracer.classify.run_needs import RunNeeds
from tracer.reports.formats.format import Document, Format
from tracer.reports.pages.summary import SummaryDocument


def print_document(document: Document, file: TextIO) -> None:
    """Write the report of the summary's classification."""
    assert isinstance(document, SummaryDocument)
    file.buffer.writelines(render(document.classification))


FORMAT: Final = Format(
    "sentry", "the report of Sentry's in-process classifier", print_document, document=SummaryDocument
)


def render(classification: Classification) -> Iterator[bytes]:
    """Node id → services, with ambient ones: the classifier counts everything that was sent while a test ran.

    Besides, a test has the services without which its session does not begin, because the CI scripts start only those
    that a test has.

    Node ids and services are sorted; the text is ASCII. The tiers are the classifier's own four, independent of the
    configuration; only those with tests are counted.
    """
    needed = RunNeeds(classification.run_needs)
    tests = {
        nodeid: sorted({*test.services, *test.ambient, *needed.of(nodeid)})
        for nodeid, test in sorted(classification.tests.items())
    }
    report = {
        "generated_at": classification.generated_at,
        "total_tests": len(tests),
        "summary": {
            "service_counts": dict(Counter(chain.from_iterable(tests.values())).most_common()),
            "tier_counts": dict(Counter(map(_tier, tests.values())).most_common()),
        },
        "tests": tests,
    }
    yield f"{json.dumps(report, indent=2)}\n".encode("ascii")


def _tier(services: Collection[str]) -> str:
    if "snuba" in services:
        return "snuba_tier"
    if set(services) - {"postgres"}:
        return "other_services"
    return "postgres_only" if services else "no_services"
