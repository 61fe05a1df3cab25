"""The report of Sentry's in-process classifier, byte for byte, for the CI scripts that stand on it.

Its source: getsentry/sentry, `service_classifier.py` (a pytest plugin) and `split-tests-by-tier.py`, which reads it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import chain

from tracer.classify.model import Classification


def render(classification: Classification) -> Iterator[bytes]:
    """Node id → services, with what is only ambient: the classifier counts all that was sent while a test ran.

    Node ids and services are sorted, all is ASCII. The tiers are the classifier's own four, whatever the
    configuration's are; only those with tests are counted.
    """
    tests = {nodeid: sorted({*test.services, *test.ambient}) for nodeid, test in sorted(classification.tests.items())}
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
